"""Keys of a store's key service: made, rotated, disabled, enabled."""

from __future__ import annotations

import apsw
from msgspec.structs import replace

from coffre.catalog.kms_mutations import CreateKmsKey, RotateKmsKey, SetKmsKey
from coffre.catalog.mutations import Done, Refusal
from coffre.catalog.packing import pack, unpack_kms_versions
from coffre.catalog.stamp import Stamp


def create_kms_key(db: apsw.Connection, mutation: CreateKmsKey, stamp: Stamp) -> Done:
    where = (mutation.store_id, mutation.alias)
    if db.execute("SELECT 1 FROM stores WHERE id = ?", where[:1]).get is None:
        raise Refusal("NoSuchStore")
    taken = db.execute("SELECT 1 FROM kms_keys WHERE store_id = ? AND alias = ?", where).get
    if taken is not None:
        raise Refusal("KmsKeyAlreadyExists", f"the store has a key {mutation.alias!r} already")
    version = replace(mutation.version, created_ms=stamp.now_ms)
    db.execute(
        "INSERT INTO kms_keys (store_id, id, alias, backend, enabled, created_ms, versions)"
        " VALUES (?, ?, ?, ?, 1, ?, ?)",
        (
            mutation.store_id,
            mutation.id,
            mutation.alias,
            mutation.backend,
            stamp.now_ms,
            pack((version,)),
        ),
    )
    return Done()


def rotate_kms_key(db: apsw.Connection, mutation: RotateKmsKey, stamp: Stamp) -> Done:
    where = (mutation.store_id, mutation.id)
    packed = db.execute("SELECT versions FROM kms_keys WHERE store_id = ? AND id = ?", where).get
    if packed is None:
        raise Refusal("NoSuchKmsKey")
    versions = unpack_kms_versions(packed)
    if len(versions) != mutation.after:
        raise Refusal("OperationAborted")
    version = replace(mutation.version, created_ms=stamp.now_ms)
    db.execute(
        "UPDATE kms_keys SET versions = ? WHERE store_id = ? AND id = ?",
        (pack((*versions, version)), *where),
    )
    return Done()


def set_kms_key(db: apsw.Connection, mutation: SetKmsKey, stamp: Stamp) -> Done:
    db.execute(
        "UPDATE kms_keys SET enabled = ? WHERE store_id = ? AND id = ?",
        (mutation.enabled, mutation.store_id, mutation.id),
    )
    if db.changes() != 1:
        raise Refusal("NoSuchKmsKey")
    return Done()
