"""The header of every mirror and segment file: 4096 bytes that say what the file is.

Placement can be found by scanning headers alone. All integers are big-endian.

    offset  bytes  what
         0      8  magic "COFFRECH"
         8      2  version (1)
        10      1  kind: 1 landing, 2 striped
        11      1  role: 1 mirror, 2 segment
        12      1  index of this file among the members
        13      1  k (data segments; 1 for mirrors)
        14      1  m (coding segments; 0 for mirrors)
        15      1  number of members
        16     16  chunk id
        32      8  epoch of the writer
        40      8  root key id
        48      8  first sequence of the log in the chunk (landing; else 0)
        56      8  length: bytes of the chunk's data (sealed landing chunks; else 0)
        64     64  region, UTF-8, padded with NUL
       128     64  zone, UTF-8, padded with NUL
       192  16*n  drive ids of the members in index order (zeros: never written)
      4080     16  xxh3-128 of bytes 0..4080
"""

from __future__ import annotations

import struct
from typing import Literal

from msgspec import Struct
from xxhash import xxh3_128_digest

from coffre.system.buffer import Buffer
from coffre.vault.records import ChunkKind

HEADER_BYTES = 4096
VERSION = 1
Role = Literal["mirror", "segment"]
_MAGIC = b"COFFRECH"
_FIXED = struct.Struct(">8sH6B16sQ8sQQ64s64s")
_MEMBER_BYTES = 16
_CHECKED_BYTES = HEADER_BYTES - 16
_MOST_MEMBERS = 64
_KINDS = {ChunkKind.LANDING: 1, ChunkKind.STRIPED: 2}
_ROLES: dict[Role, int] = {"mirror": 1, "segment": 2}


class BadHeader(Exception):
    """The bytes are no header of ours, or were damaged."""


class Origin(Struct, frozen=True):
    """Whose chunk it is: region, zone, the zone's number in ids, and the root key's id."""

    region: str
    zone: str
    zone_number: int
    key_id: bytes


class ChunkHeader(Struct, frozen=True):
    """What one mirror or segment file says of itself. `members` are drive ids in index order."""

    region: str
    zone: str
    chunk: bytes
    kind: ChunkKind
    role: Role
    index: int
    k: int
    m: int
    members: tuple[bytes, ...]
    epoch: int
    key_id: bytes
    first_sequence: int = 0
    length: int = 0

    def encode(self) -> bytes:
        """The 4096 bytes. Raises ValueError when a field does not fit."""
        region, zone = self.region.encode(), self.zone.encode()
        if len(region) > 64 or len(zone) > 64 or len(self.members) > _MOST_MEMBERS:
            raise ValueError("region and zone take at most 64 bytes, members at most 64")
        fixed = _FIXED.pack(
            _MAGIC,
            VERSION,
            _KINDS[self.kind],
            _ROLES[self.role],
            self.index,
            self.k,
            self.m,
            len(self.members),
            self.chunk,
            self.epoch,
            self.key_id,
            self.first_sequence,
            self.length,
            region,
            zone,
        )
        members = b"".join(member.ljust(_MEMBER_BYTES, b"\0") for member in self.members)
        checked = (fixed + members).ljust(_CHECKED_BYTES, b"\0")
        return checked + xxh3_128_digest(checked)


def decode_header(data: Buffer) -> ChunkHeader:
    """Read a header from a file's first 4096 bytes. Raises BadHeader."""
    data = bytes(data[:HEADER_BYTES])
    if len(data) < HEADER_BYTES or data[:8] != _MAGIC:
        raise BadHeader("no chunk header")
    if xxh3_128_digest(data[:_CHECKED_BYTES]) != data[_CHECKED_BYTES:]:
        raise BadHeader("a chunk header with a wrong checksum")
    (
        _,
        version,
        kind,
        role,
        index,
        k,
        m,
        count,
        chunk,
        epoch,
        key_id,
        first,
        length,
        region,
        zone,
    ) = _FIXED.unpack_from(data)
    if version != VERSION:
        raise BadHeader(f"a chunk header of version {version}: this Coffre reads up to {VERSION}")
    at = _FIXED.size
    ids = (data[at + 16 * i : at + 16 * i + 16] for i in range(count))
    return ChunkHeader(
        region=region.rstrip(b"\0").decode(),
        zone=zone.rstrip(b"\0").decode(),
        chunk=chunk,
        kind=next(name for name, number in _KINDS.items() if number == kind),
        role=next(name for name, number in _ROLES.items() if number == role),
        index=index,
        k=k,
        m=m,
        members=tuple(b"" if not any(member) else member for member in ids),
        epoch=epoch,
        key_id=key_id,
        first_sequence=first,
        length=length,
    )
