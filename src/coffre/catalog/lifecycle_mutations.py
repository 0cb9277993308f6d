"""Mutations of a bucket's lifecycle, and what expiring answers.

They are part of `coffre.catalog.mutations`, which says what a mutation is.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from coffre.catalog.lifecycle_rules import Lifecycle

Act = Literal["expire", "remove", "abort", "move"]
"""expire: the current version goes, behind a marker where versions are kept; remove: one version or
marker is gone; abort: an upload is; move: a version is of another storage class."""


class PutLifecycle(Struct, frozen=True, tag=True):
    """A bucket's lifecycle, replacing an earlier one. Its versions wait to be judged by it
    (`JudgeVersions`). `if_still`: the packed lifecycle that it was made from (b"": none). Refused:
    NoSuchBucket, ConditionalRequestConflict where another one stands by now."""

    bucket_id: bytes
    lifecycle: Lifecycle
    if_still: bytes | None = None


class DeleteLifecycle(Struct, frozen=True, tag=True):
    """Nothing of a bucket expires any more. No error where there is none. `if_still` as in
    `PutLifecycle`. Refused: NoSuchBucket, ConditionalRequestConflict."""

    bucket_id: bytes
    if_still: bytes | None = None


class JudgeVersions(Struct, frozen=True, tag=True):
    """Judge versions and uploads of a bucket by rules that are new, `limit_rows` at most. Answers
    `Reaped`; nothing waits in a bucket that was judged."""

    bucket_id: bytes
    limit_rows: int = 200


class ExpireDue(Struct, frozen=True, tag=True):
    """Do what is due, the longest due first, `limit_rows` at most: each version and upload is
    judged by the rules as they are now, at the release clock's time. Answers `Expired`."""

    limit_rows: int = 200


LifecycleMutation = PutLifecycle | DeleteLifecycle | JudgeVersions | ExpireDue


class Expiration(Struct, frozen=True, array_like=True):
    """One thing that a rule did. `version_id` is the version's (of an upload: its id); `held`: a
    lock or a retention period kept it, so that nothing was done; `storage_class`: of a move."""

    bucket_id: bytes
    key: bytes
    version_id: bytes
    act: Act
    rule_id: str
    size: int
    held: bool = False
    storage_class: str = ""


class Expired(Struct, frozen=True, tag=True):
    """What `ExpireDue` did; it looked at `rows`, and `more` are due."""

    rows: int
    more: bool
    done: tuple[Expiration, ...] = ()
