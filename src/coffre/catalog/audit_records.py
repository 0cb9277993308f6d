"""What happened, as records; a group's records are one batch, chained to the batch before it.

A record is msgpack, an array of its fields in their order. It is encoded once, by whoever knows it;
its last field is the version, which only the committer knows of what it makes (`with_version`).
A batch holds the records of one group of the committer, one behind the other as they were encoded.
Its hash is SHA-256 over, big-endian: the hash of the batch before it (32 bytes; zeros before the
first), its sequence (8), the earliest and the latest time of its records (8 each, ms), their number
(4), and the records. So the hash can be computed again from the records alone, wherever they lie.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec
from msgspec import Struct

Source = Literal["s3", "iam", "management", "steward", "process", "zone"]
GENESIS: Final = bytes(32)
_HEAD: Final = struct.Struct(">QqqI")


class AuditRecord(Struct, frozen=True, array_like=True):
    """One operation. What is not known, or is not there, is empty.

    `at_ms`: when it arrived. `tenant` is its id in hex: names come and go. `via`: "console", "api",
    "cli" of management, the process of a process, the steward. `principal`: an ARN, "person:alice",
    "cli:uid-0". `operation`: AWS's name ("PutObject"), IAM's ("iam:CreateUser"), management's
    ("store.create"), a lifecycle's as server access logs have it ("S3.EXPIRE.OBJECT"). `status`:
    HTTP's, 0 where there is none; `error`: the code. Bytes are of bodies. `micros`: how long it
    took. `decision`: which statement or rule allowed or denied it. `detail`: a small JSON object.
    `version`: as clients see it. Secrets and signatures are in none of them.
    """

    at_ms: int
    request_id: str = ""
    source: Source = "s3"
    via: str = ""
    store: str = ""
    tenant: str = ""
    principal: str = ""
    access_key: str = ""
    client: str = ""
    operation: str = ""
    bucket: str = ""
    key: bytes = b""
    status: int = 0
    error: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    micros: int = 0
    tls: bool = False
    user_agent: str = ""
    decision: str = ""
    detail: str = ""
    version: str = ""


class AuditBatch(Struct, frozen=True):
    """A row of `audit_batches`: `packed` are `count` encoded records."""

    sequence: int
    first_ms: int
    last_ms: int
    count: int
    previous: bytes
    hash: bytes
    packed: bytes


class ChainHead(Struct, frozen=True):
    """The chain's end: its last batch, and how many records it has had in all."""

    sequence: int = 0
    hash: bytes = GENESIS
    records: int = 0


class _Began(Struct, array_like=True):
    """A record's first field, the rest passed over."""

    at_ms: int


_encode: Final = msgspec.msgpack.Encoder().encode
_decode_batch: Final = msgspec.msgpack.Decoder(list[AuditRecord]).decode
_began: Final = msgspec.msgpack.Decoder(_Began).decode
_encode_text: Final = msgspec.msgpack.Encoder().encode
_NO_TEXT: Final = _encode_text("")


class BadBatch(ValueError):
    """Bytes that are not the records that a batch says it has."""


def readable(text: str) -> str:
    """A text as it can be encoded: a byte that is no UTF-8 stands in it as `\\udcff`."""
    return text.encode(errors="backslashreplace").decode()


def encode_record(record: AuditRecord) -> bytes:
    """A record as batches have it; what a client sent as text that is none is made `readable`."""
    try:
        return _encode(record)
    except UnicodeEncodeError:
        texts = {
            name: readable(value)
            for name in record.__struct_fields__
            if isinstance(value := getattr(record, name), str)
        }
        return _encode(msgspec.structs.replace(record, **texts))


def with_version(record: bytes, version: str) -> bytes:
    """An encoded record that names no version, with one."""
    if not version or not record.endswith(_NO_TEXT):
        return record
    return record[: -len(_NO_TEXT)] + _encode_text(version)


def make_batch(head: ChainHead, records: Sequence[bytes]) -> tuple[AuditBatch, ChainHead]:
    """The batch of these encoded records (at least one) behind a chain's end, and the new end."""
    times = [_began(one).at_ms for one in records]
    sequence, first_ms, last_ms, count = head.sequence + 1, min(times), max(times), len(records)
    packed = b"".join(records)
    digest = batch_hash(head.hash, sequence, first_ms, last_ms, count, packed)
    batch = AuditBatch(sequence, first_ms, last_ms, count, head.hash, digest, packed)
    return batch, ChainHead(sequence, digest, head.records + count)


def batch_hash(
    previous: bytes, sequence: int, first_ms: int, last_ms: int, count: int, packed: bytes
) -> bytes:
    """See the module."""
    digest = hashlib.sha256(previous)
    digest.update(_HEAD.pack(sequence, first_ms, last_ms, count))
    digest.update(packed)
    return digest.digest()


def hash_of(batch: AuditBatch) -> bytes:
    """The hash that a batch should have."""
    return batch_hash(
        batch.previous, batch.sequence, batch.first_ms, batch.last_ms, batch.count, batch.packed
    )


def encode_records(records: Iterable[AuditRecord]) -> bytes:
    """The records as a batch packs them."""
    return b"".join(map(encode_record, records))


def decode_records(batch: AuditBatch) -> list[AuditRecord]:
    """A batch's records, in their order. Raises BadBatch."""
    array = b"\xdd" + struct.pack(">I", batch.count) + batch.packed
    try:
        return _decode_batch(array)
    except msgspec.DecodeError as error:
        raise BadBatch(f"batch {batch.sequence} does not parse: {error}") from error
