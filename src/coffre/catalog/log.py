"""The log's record: what one group changed, chained to the record before it.

A record lies behind its group's blobs in a landing chunk (`coffre.vault.landing` frames groups).
It is encrypted with AES-256-GCM under `derive("log", chunk id)`; the nonce is the epoch (4 bytes)
and the sequence (8 bytes), which no two records of a chunk share, and the associated data binds
chunk, epoch and sequence. What is encrypted, big-endian:

| offset | bytes | field                                                                |
|--------|-------|----------------------------------------------------------------------|
| 0      | 4     | magic `CFLR`                                                         |
| 4      | 1     | format version, 1                                                    |
| 5      | 1     | how the body is stored: 0 as it is, 1 zlib                           |
| 6      | 1     | n: bytes of the kind                                                 |
| 7      | 1     | t: number of tables                                                  |
| 8      | 8     | epoch                                                                |
| 16     | 8     | sequence                                                             |
| 24     | 32    | SHA-256 of the previous record (zeros before the first)              |
| 56     | 4     | schema version                                                       |
| 60     | 4     | number of changes in the body                                        |
| 64     | 4     | bytes of the body once expanded                                      |
| 68     | 4     | bytes of the body as stored                                          |
| 72     | n     | kind, ASCII: an open set; a reader stops at a kind it does not know  |
| 72+n   | ...   | t tables, by name: length (1), name (ASCII), column count (2)        |
| ...    | ...   | body                                                                 |

A record's hash is SHA-256 over all of these plaintext bytes, so that the chain does not depend on
the chunk that a record was written to. The body of `changeset` is SQLite's session changeset;
of `membership` and `migrate`, JSON (`Membership`, `Migrated`); of `void`, empty. `audit` is a kind
that nothing writes: records of the audit are rows.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from coffre.system.buffer import Buffer
from coffre.vault.keys import RootKey

VERSION = 1
HASH_BYTES = 32
GENESIS_HASH = bytes(HASH_BYTES)
MAX_BODY_BYTES = 256 * 1024 * 1024

_MAGIC = b"CFLR"
_HEAD = struct.Struct(">4s4B2Q32s4I")
_BINDING = struct.Struct(">16sIQ")
_NONCE = struct.Struct(">IQ")
_COMPRESS_FROM = 4096


class RecordDamaged(Exception):
    """Bytes that are no record of this chunk, epoch and sequence, or were changed since."""


class RecordTooNew(Exception):
    """A record of a later format: a newer Coffre wrote it, and this one must not guess."""


class RecordKind(StrEnum):
    """What a record holds. The set is open: `Record.kind` may be a name not listed here."""

    CHANGESET = "changeset"
    MIGRATE = "migrate"
    MEMBERSHIP = "membership"
    AUDIT = "audit"
    VOID = "void"


class Position(Struct, frozen=True):
    """A place in the log: the last record that counts, and its hash."""

    sequence: int = 0
    hash: bytes = GENESIS_HASH


class Membership(Struct, frozen=True):
    """The body of a membership record: `chunk` was given up for `successor` because `ejected`
    failed. Ids in hex."""

    chunk: str
    successor: str
    ejected: tuple[str, ...]


class Migrated(Struct, frozen=True):
    """The body of a migrate record: the rows went from schema version `before` to `after` by the
    statements of this SHA-256 (hex), see `coffre.catalog.migrations`."""

    before: int
    after: int
    statements: str


class Record(Struct, frozen=True):
    """One record, decoded. `columns` is the number of columns of every table the body touches."""

    epoch: int
    sequence: int
    previous: bytes
    schema_version: int
    kind: str
    columns: Mapping[str, int] = {}
    changes: int = 0
    body: bytes = b""


class EncodedRecord(Struct, frozen=True):
    """A record's plaintext and what the next one chains to."""

    plain: bytes
    epoch: int
    position: Position


def encode(record: Record) -> EncodedRecord:
    """The record's plaintext bytes (see the module's table) and its position."""
    kind = record.kind.encode("ascii")
    stored = record.body
    if len(stored) >= _COMPRESS_FROM:
        squeezed = zlib.compress(stored, 1)
        if len(squeezed) < len(stored):
            stored = squeezed
    packed = stored is not record.body
    parts = [
        _HEAD.pack(
            _MAGIC,
            VERSION,
            packed,
            len(kind),
            len(record.columns),
            record.epoch,
            record.sequence,
            record.previous,
            record.schema_version,
            record.changes,
            len(record.body),
            len(stored),
        ),
        kind,
    ]
    for name in sorted(record.columns):
        parts.append(
            struct.pack(f">B{len(name)}sH", len(name), name.encode("ascii"), record.columns[name])
        )
    parts.append(stored)
    plain = b"".join(parts)
    position = Position(record.sequence, hashlib.sha256(plain).digest())
    return EncodedRecord(plain, record.epoch, position)


def decode(plain: bytes) -> Record:
    """The record in `plain`. Raises RecordDamaged, RecordTooNew."""
    try:
        return _decode(plain)
    except (struct.error, UnicodeDecodeError, IndexError, zlib.error) as error:
        raise RecordDamaged("a record does not parse") from error


def _head(plain: bytes) -> tuple[Any, ...]:
    """The fixed fields, in the order of the module's table."""
    if len(plain) < _HEAD.size or plain[:4] != _MAGIC:
        raise RecordDamaged("not a record")
    fields = _HEAD.unpack_from(plain)
    if fields[1] > VERSION:
        raise RecordTooNew(f"record format {fields[1]}; this version reads up to {VERSION}")
    return fields


def _decode(plain: bytes) -> Record:
    _, _, packed, kind_bytes, tables, epoch, sequence, previous, *rest = _head(plain)
    schema_version, changes, expanded, stored = rest
    at = _HEAD.size
    kind = plain[at : at + kind_bytes].decode("ascii")
    if len(kind) != kind_bytes:
        raise RecordDamaged("a record ends inside its kind")
    at += kind_bytes
    columns: dict[str, int] = {}
    for _ in range(tables):
        name_bytes = plain[at]
        name, count = struct.unpack_from(f">{name_bytes}sH", plain, at + 1)
        columns[name.decode("ascii")] = count
        at += 3 + name_bytes
    body = plain[at:]
    if len(body) != stored or packed > 1 or expanded > MAX_BODY_BYTES:
        raise RecordDamaged("a record's body has another length than its head says")
    if packed:
        body = zlib.decompressobj().decompress(body, expanded + 1)
    if len(body) != expanded:
        raise RecordDamaged("a record's body expands to another length than its head says")
    return Record(epoch, sequence, previous, schema_version, kind, columns, changes, body)


class RecordCipher:
    """Seals and opens the records of one chunk, whose header names the root key (`key_id`)."""

    def __init__(self, root: RootKey, chunk: bytes) -> None:
        self.key_id = root.id
        self._chunk = chunk
        self._aead = AESGCM(root.derive("log", chunk))

    def seal(self, encoded: EncodedRecord) -> bytes:
        """Ciphertext and tag, 16 bytes longer than the plaintext."""
        nonce, binding = self._bind(encoded.epoch, encoded.position.sequence)
        return self._aead.encrypt(nonce, encoded.plain, binding)

    def open(self, sealed: Buffer, epoch: int, sequence: int) -> tuple[Record, Position]:
        """The record that this chunk holds as `epoch` and `sequence`, and its position.

        Raises RecordDamaged, RecordTooNew.
        """
        plain = self._decrypt(sealed, epoch, sequence)
        record = decode(plain)
        if (record.epoch, record.sequence) != (epoch, sequence):
            raise RecordDamaged("a record names another place than its group")
        return record, Position(sequence, hashlib.sha256(plain).digest())

    def link(self, sealed: Buffer, epoch: int, sequence: int) -> tuple[bytes, Position]:
        """Of the same record only the previous hash and its position: far cheaper than `open`.

        Raises RecordDamaged, RecordTooNew.
        """
        plain = self._decrypt(sealed, epoch, sequence)
        head = _head(plain)
        if (head[5], head[6]) != (epoch, sequence):
            raise RecordDamaged("a record names another place than its group")
        return head[7], Position(sequence, hashlib.sha256(plain).digest())

    def _decrypt(self, sealed: Buffer, epoch: int, sequence: int) -> bytes:
        nonce, binding = self._bind(epoch, sequence)
        try:
            return self._aead.decrypt(nonce, sealed, binding)
        except InvalidTag as error:
            raise RecordDamaged(f"record {sequence} of epoch {epoch} fails its tag") from error

    def _bind(self, epoch: int, sequence: int) -> tuple[bytes, bytes]:
        return _NONCE.pack(epoch, sequence), _BINDING.pack(self._chunk, epoch, sequence)


def encode_membership(membership: Membership) -> bytes:
    return msgspec.json.encode(membership)


def decode_membership(body: bytes) -> Membership:
    return msgspec.json.decode(body, type=Membership)


def encode_migrated(migrated: Migrated) -> bytes:
    return msgspec.json.encode(migrated)


def decode_migrated(body: bytes) -> Migrated:
    """Raises RecordDamaged."""
    try:
        return msgspec.json.decode(body, type=Migrated)
    except msgspec.DecodeError as error:
        raise RecordDamaged("the body of a migrate record does not parse") from error
