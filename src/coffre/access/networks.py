"""Network rules: from which addresses a bucket or a store is reached at all.

A rule is asked before anything else and beats everything, presigned URLs too. It filters addresses
only: what it lets in still needs a permission. Source: the spec's Private, Public and Custom.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
RULE_NETWORKS: Final = 256
# Loopback, RFC 1918, RFC 4193: what "Private" means unless the operator says otherwise.
PRIVATE_NETWORKS: Final = (
    "127.0.0.0/8",
    "::1/128",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "fc00::/7",
)


class BadNetwork(ValueError):
    """What is no address and no range; the message says which."""


@dataclass(frozen=True, slots=True)
class NetworkRule:
    """`networks` counts for `custom` alone: none of them lets nobody in."""

    kind: Literal["private", "public", "custom"]
    networks: tuple[Network, ...] = ()

    def admits(self, address: Address | None, private: Sequence[Network]) -> bool:
        """Whether a client at `address` (None: not known) may come in."""
        if self.kind == "public":
            return True
        if address is None:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        networks = private if self.kind == "private" else self.networks
        return any((mapped or address) in network for network in networks)


PUBLIC: Final = NetworkRule("public")
PRIVATE: Final = NetworkRule("private")


def read_rule(document: bytes) -> NetworkRule:
    """A rule as `write_rule` wrote it; public where there is none."""
    if not document:
        return PUBLIC
    found = json.loads(document)
    return NetworkRule(found["kind"], read_networks(found["networks"]))


def write_rule(rule: NetworkRule) -> bytes:
    """A rule as it is kept: JSON."""
    networks = [str(one) for one in rule.networks]
    return json.dumps({"kind": rule.kind, "networks": networks}).encode()


def read_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Addresses and ranges, IPv4 and IPv6. Raises BadNetwork for one that is neither, for a range
    with bits set beyond its mask, and for too many of them."""
    if len(texts) > RULE_NETWORKS:
        raise BadNetwork(f"a rule has at most {RULE_NETWORKS} addresses and ranges")
    networks: list[Network] = []
    for text in texts:
        try:
            networks.append(ipaddress.ip_network(text.strip()))
        except ValueError as error:
            raise BadNetwork(f"{text!r} is no address or range: {error}") from error
    return tuple(networks)
