"""What the S3 service is told when it starts: names, limits, patience."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from coffre.access.networks import PRIVATE_NETWORKS, Network, read_networks

MIB: Final = 1 << 20
GIB: Final = 1 << 30
TIB: Final = 1 << 40
DEFAULT_REGION: Final = "us-east-1"
RESTORE_DELAYS: Final = {"Expedited": 0.0, "Standard": 300.0, "Bulk": 3600.0}


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, counts of entries. Source: AWS, "Amazon S3 multipart upload limits"."""

    put_bytes: int = 5 * GIB
    part_bytes: int = 5 * GIB
    least_part_bytes: int = 5 * MIB
    copy_bytes: int = 5 * GIB
    object_bytes: int = 5 * TIB
    page: int = 1000
    bucket_page: int = 10_000


@dataclass(frozen=True, slots=True)
class Patience:
    """How slow a client may be: silence while it sends a body or takes an answer, and a least
    average rate of what it sends, after a head start."""

    idle_s: float = 30.0
    grace_s: float = 30.0
    least_bytes_per_s: int = 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """`base_hosts` are the names under which stores and buckets are host names; `sse_c_over_http`:
    customers' keys are taken without TLS from other machines too. `website_bases`: names under
    which buckets are websites, beside `s3-website.<base>` and its kin. `destinations`: name and
    kind of those that buckets may notify. `default_store`: whose buckets are meant first where
    neither host nor signature names a store. `private_networks`: what a private network rule lets
    in. `restore_delays`: seconds by tier after which an archived object is restored at the
    earliest."""

    region: str = DEFAULT_REGION
    base_hosts: tuple[str, ...] = ("localhost",)
    website_bases: tuple[str, ...] = ()
    destinations: frozenset[tuple[str, str]] = frozenset()
    zone: int = 1
    limits: Limits = Limits()
    patience: Patience = Patience()
    sse_c_over_http: bool = False
    private_networks: tuple[Network, ...] = read_networks(PRIVATE_NETWORKS)
    restore_delays: Mapping[str, float] = field(default_factory=lambda: RESTORE_DELAYS)
    default_store: str = ""

    @property
    def regions(self) -> frozenset[str]:
        """Regions that a credential scope may name."""
        return frozenset((self.region, DEFAULT_REGION))
