"""Headers that answers of the `ecs` dialect have beside S3's."""

from __future__ import annotations

from typing import Final

from coffre.catalog.records import Version
from coffre.s3.response import Header

PERIOD: Final = "x-emc-retention-period"
POLICY: Final = "x-emc-retention-policy"


def modified(modified_ms: int) -> Header:
    """When a version was written, in milliseconds."""
    return (b"x-emc-mtime", b"%d" % modified_ms)


def of_version(version: Version) -> list[Header]:
    """What GET and HEAD tell: when it was written, how long it is retained."""
    told = [modified(version.modified_ms)]
    facts = version.ecs
    if facts is not None and facts.retention_s:
        told.append((PERIOD.encode(), b"%d" % facts.retention_s))
    if facts is not None and facts.retention_policy:
        told.append((POLICY.encode(), facts.retention_policy.encode()))
    return told
