"""Packed columns: msgpack of a value in `records`; NULL stands for "empty" or "none"."""

from __future__ import annotations

import msgspec

from coffre.catalog.iam_records import IamFacts
from coffre.catalog.records import (
    Checksum,
    EcsFacts,
    Encryption,
    KmsVersion,
    ObjectLock,
    PartIndex,
    Piece,
    Restoration,
    SearchKey,
    Secret,
    StoreSettings,
)
from coffre.vault.records import Blob

pack = msgspec.msgpack.Encoder().encode

unpack_blob = msgspec.msgpack.Decoder(Blob).decode
unpack_secrets = msgspec.msgpack.Decoder(tuple[Secret, ...]).decode
unpack_iam_facts = msgspec.msgpack.Decoder(IamFacts).decode
unpack_kms_versions = msgspec.msgpack.Decoder(tuple[KmsVersion, ...]).decode
unpack_members = msgspec.msgpack.Decoder(tuple[bytes, ...]).decode
_checksum = msgspec.msgpack.Decoder(Checksum).decode
_encryption = msgspec.msgpack.Decoder(Encryption).decode
_strings = msgspec.msgpack.Decoder(dict[str, str]).decode
_index = msgspec.msgpack.Decoder(tuple[PartIndex, ...]).decode
_pieces = msgspec.msgpack.Decoder(tuple[Piece, ...]).decode
_ecs = msgspec.msgpack.Decoder(EcsFacts).decode
_lock = msgspec.msgpack.Decoder(ObjectLock).decode
_seconds = msgspec.msgpack.Decoder(dict[str, int]).decode
_store_settings = msgspec.msgpack.Decoder(StoreSettings).decode
unpack_restoration = msgspec.msgpack.Decoder(Restoration).decode
unpack_search_keys = msgspec.msgpack.Decoder(tuple[SearchKey, ...]).decode


def pack_optional(value: object) -> bytes | None:
    """Packed, or NULL for None and for an empty dict."""
    return pack(value) if value else None


def unpack_checksum(packed: bytes | None) -> Checksum | None:
    return None if packed is None else _checksum(packed)


def unpack_encryption(packed: bytes | None) -> Encryption | None:
    return None if packed is None else _encryption(packed)


def unpack_strings(packed: bytes | None) -> dict[str, str]:
    return {} if packed is None else _strings(packed)


def unpack_index(packed: bytes | None) -> tuple[PartIndex, ...]:
    return () if packed is None else _index(packed)


def unpack_pieces(packed: bytes | None) -> tuple[Piece, ...]:
    return () if packed is None else _pieces(packed)


def unpack_ecs(packed: bytes | None) -> EcsFacts | None:
    return None if packed is None else _ecs(packed)


def unpack_restore(packed: bytes | None) -> Restoration | None:
    return None if packed is None else unpack_restoration(packed)


def unpack_lock(packed: bytes | None) -> ObjectLock | None:
    return None if packed is None else _lock(packed)


def unpack_seconds(packed: bytes | None) -> dict[str, int]:
    return {} if packed is None else _seconds(packed)


def unpack_store_settings(packed: bytes | None) -> StoreSettings:
    return StoreSettings() if packed is None else _store_settings(packed)
