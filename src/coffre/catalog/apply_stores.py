"""Tenants, stores, users, access keys and buckets."""

from __future__ import annotations

import apsw
import msgspec

from coffre.catalog import iam_rows, judging, lock_guard
from coffre.catalog.access_mutations import RewrapKeys
from coffre.catalog.apply_access import check_goes_on, check_label, check_new_key
from coffre.catalog.apply_events import TEST_EVENT, insert_event
from coffre.catalog.apply_objects import bucket_rules, require_bucket
from coffre.catalog.apply_people import rewrap_codes
from coffre.catalog.apply_usage import note_gone_bucket
from coffre.catalog.ecs_mutations import SetStore, SetTraits
from coffre.catalog.event_mutations import BucketEvent
from coffre.catalog.mutations import (
    CreateBucket,
    CreateStore,
    CreateTenant,
    CreateUser,
    DeleteBucket,
    DeleteBucketDocument,
    Done,
    PutBucketDocument,
    Refusal,
    RotateKey,
    SetVersioning,
)
from coffre.catalog.packing import pack, pack_optional, unpack_secrets, unpack_store_settings
from coffre.catalog.quotas import QUOTA
from coffre.catalog.records import Trait
from coffre.catalog.stamp import Stamp

_PUT_DOCUMENT = (
    "INSERT INTO bucket_documents (bucket_id, kind, document) VALUES (?, ?, ?)"
    " ON CONFLICT DO UPDATE SET document = excluded.document"
)


_NOT_EMPTY = "The bucket you tried to delete is not empty: what is in it is"
_NOTIFICATION = "notification"
_TRAITS = {
    "logging": Trait.LOGGED,
    _NOTIFICATION: Trait.NOTIFYING,
    "inventory": Trait.INVENTORIED,
    QUOTA: Trait.CAPPED,
}


def create_tenant(db: apsw.Connection, mutation: CreateTenant, stamp: Stamp) -> Done:
    if db.execute("SELECT 1 FROM tenants WHERE name = ?", (mutation.name,)).get is not None:
        raise Refusal("TenantAlreadyExists")
    db.execute(
        "INSERT INTO tenants (id, name, bucket_limit) VALUES (?, ?, ?)",
        (mutation.id, mutation.name, mutation.bucket_limit),
    )
    return Done()


def create_store(db: apsw.Connection, mutation: CreateStore, stamp: Stamp) -> Done:
    if db.execute("SELECT 1 FROM stores WHERE name = ?", (mutation.name,)).get is not None:
        raise Refusal("StoreAlreadyExists")
    if db.execute("SELECT 1 FROM tenants WHERE id = ?", (mutation.tenant_id,)).get is None:
        raise Refusal("NoSuchTenant")
    db.execute(
        "INSERT INTO store_keys (id, root_key_id, wrapped) VALUES (?, ?, ?)",
        (mutation.key_id, mutation.root_key_id, mutation.wrapped_key),
    )
    db.execute(
        "INSERT INTO stores (id, name, tenant_id, key_id, created_ms, key_order, dialect, allow_v2,"
        " profile, label, settings) VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?)",
        (
            mutation.id,
            mutation.name,
            mutation.tenant_id,
            mutation.key_id,
            stamp.now_ms,
            mutation.key_order,
            mutation.dialect,
            mutation.profile,
            mutation.label,
            pack(mutation.settings),
        ),
    )
    return Done()


def set_store(db: apsw.Connection, mutation: SetStore, stamp: Stamp) -> Done:
    _require_store(db, mutation.store_id)
    if mutation.profile is not None:
        db.execute(
            "UPDATE stores SET profile = ? WHERE id = ?", (mutation.profile, mutation.store_id)
        )
    if mutation.retention_policies is not None:
        packed = pack_optional(mutation.retention_policies)
        db.execute(
            "UPDATE stores SET retention_policies = ? WHERE id = ?", (packed, mutation.store_id)
        )
    return Done()


def create_user(db: apsw.Connection, mutation: CreateUser, stamp: Stamp) -> Done:
    _require_store(db, mutation.store_id)
    if db.execute("SELECT 1 FROM users WHERE id = ?", (mutation.id,)).get is not None:
        raise Refusal("UserAlreadyExists")
    check_label(db, mutation.store_id, mutation.label)
    check_new_key(db, mutation.access_key)
    db.execute(
        "INSERT INTO users (id, store_id, label, kind, locked, created_ms, create_buckets)"
        " VALUES (?, ?, ?, ?, 0, ?, ?)",
        (
            mutation.id,
            mutation.store_id,
            mutation.label,
            mutation.kind,
            stamp.now_ms,
            mutation.create_buckets,
        ),
    )
    if mutation.kind == "object":
        iam_rows.note_first_user(db, mutation.store_id, mutation.id)
    elif iam_rows.is_taken(db, mutation.store_id, "user", mutation.label):
        raise Refusal("UserAlreadyExists")
    else:
        who = (mutation.id, mutation.label)
        iam_rows.insert_entity(db, mutation.store_id, "user", *who, stamp.now_ms)
    if not mutation.access_key:
        return Done()
    db.execute(
        "INSERT INTO access_keys (access_key, user_id, store_id, created_ms, secrets)"
        " VALUES (?, ?, ?, ?, ?)",
        (
            mutation.access_key,
            mutation.id,
            mutation.store_id,
            stamp.now_ms,
            pack((mutation.secret,)),
        ),
    )
    return Done()


def rotate_key(db: apsw.Connection, mutation: RotateKey, stamp: Stamp) -> Done:
    """The secret of before stays in grace; one already in grace ends."""
    packed = db.execute(
        "SELECT secrets FROM access_keys WHERE access_key = ?", (mutation.access_key,)
    ).get
    if packed is None:
        raise Refusal("InvalidAccessKeyId")
    kept = unpack_secrets(packed)
    check_goes_on(kept)
    secrets = [mutation.secret]
    if mutation.old_expires_ms is not None:
        old = kept[0]
        secrets.append(msgspec.structs.replace(old, expires_ms=mutation.old_expires_ms))
    db.execute(
        "UPDATE access_keys SET secrets = ? WHERE access_key = ?",
        (pack(secrets), mutation.access_key),
    )
    return Done()


def rewrap_keys(db: apsw.Connection, mutation: RewrapKeys, stamp: Stamp) -> Done:
    root = mutation.root_key_id
    for key in mutation.store_keys:
        db.execute(
            "UPDATE store_keys SET root_key_id = ?, wrapped = ? WHERE id = ? AND wrapped = ?",
            (root, key.new, key.name, key.old),
        )
    for secret in mutation.secrets:
        name = secret.name.decode()
        packed = db.execute("SELECT secrets FROM access_keys WHERE access_key = ?", (name,)).get
        if packed is None:
            continue
        kept = [
            msgspec.structs.replace(one, wrapped=secret.new, root_key_id=root)
            if one.wrapped == secret.old
            else one
            for one in unpack_secrets(packed)
        ]
        db.execute("UPDATE access_keys SET secrets = ? WHERE access_key = ?", (pack(kept), name))
    for codes in mutation.codes:
        rewrap_codes(db, codes, root)
    return Done()


def create_bucket(db: apsw.Connection, mutation: CreateBucket, stamp: Stamp) -> Done:
    lock_guard.check_traits(mutation.traits)
    tenant_id, key_order, limited = _require_store(db, mutation.store_id)
    owner = db.execute(
        "SELECT owner_id FROM buckets WHERE store_id = ? AND name = ?",
        (mutation.store_id, mutation.name),
    ).get
    if owner is not None:
        mine = owner == mutation.owner_id
        raise Refusal("BucketAlreadyOwnedByYou" if mine else "BucketAlreadyExists")
    # The limit is the tenant's, over all of its stores.
    db.execute(
        "UPDATE tenants SET buckets = buckets + 1 WHERE id = ? AND buckets < bucket_limit",
        (tenant_id,),
    )
    if db.changes() != 1:
        raise Refusal("TooManyBuckets")
    db.execute(
        "INSERT INTO buckets (id, store_id, name, owner_id, created_ms, region, key_order,"
        " versioning, traits, retention_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            mutation.id,
            mutation.store_id,
            mutation.name,
            mutation.owner_id,
            stamp.now_ms,
            mutation.region,
            key_order,
            "enabled" if mutation.traits & Trait.OBJECT_LOCK else "never",
            mutation.traits | limited,
            mutation.retention_s,
        ),
    )
    for kind, document in mutation.documents.items():
        db.execute(_PUT_DOCUMENT, (mutation.id, kind, document))
    return Done()


def delete_bucket(db: apsw.Connection, mutation: DeleteBucket, stamp: Stamp) -> Done:
    bucket = (mutation.bucket_id,)
    tenant_id = db.execute(
        "SELECT tenant_id FROM stores JOIN buckets ON stores.id = buckets.store_id"
        " WHERE buckets.id = ?",
        bucket,
    ).get
    if tenant_id is None:
        raise Refusal("NoSuchBucket")
    holds = db.execute(
        "SELECT EXISTS (SELECT 1 FROM versions WHERE bucket_id = ?1)"
        " OR EXISTS (SELECT 1 FROM uploads WHERE bucket_id = ?1)",
        bucket,
    ).get
    if holds:
        locks = lock_guard.last_release(db, mutation.bucket_id, stamp.trusted_ms)
        raise Refusal("BucketNotEmpty", None if locks is None else f"{_NOT_EMPTY} {locks}")
    note_gone_bucket(db, mutation.bucket_id, stamp.trusted_ms)
    db.execute("DELETE FROM buckets WHERE id = ?", bucket)
    db.execute("DELETE FROM bucket_documents WHERE bucket_id = ?", bucket)
    db.execute("DELETE FROM outbox WHERE bucket_id = ?", bucket)
    db.execute("DELETE FROM bucket_roles WHERE bucket_id = ?", bucket)
    db.execute("DELETE FROM bucket_classes WHERE bucket_id = ?", bucket)
    db.execute("UPDATE tenants SET buckets = buckets - 1 WHERE id = ?", (tenant_id,))
    return Done()


def set_traits(db: apsw.Connection, mutation: SetTraits, stamp: Stamp) -> Done:
    rules = bucket_rules(db, mutation.bucket_id)
    retention_s = rules.retention_s if mutation.retention_s is None else mutation.retention_s
    # Object Lock is for ever: only its own step gives it, nothing takes it away.
    kept = Trait.OBJECT_LOCK
    traits = rules.traits & ~(mutation.off & ~kept) | mutation.on & ~kept
    lock_guard.check_traits(traits)
    db.execute(
        "UPDATE buckets SET traits = ?, retention_s = ? WHERE id = ?",
        (traits, retention_s, mutation.bucket_id),
    )
    for kind, document in mutation.documents.items():
        db.execute(_PUT_DOCUMENT, (mutation.bucket_id, kind, document))
    return Done()


def set_versioning(db: apsw.Connection, mutation: SetVersioning, stamp: Stamp) -> Done:
    traits = bucket_rules(db, mutation.bucket_id).traits
    if traits & Trait.OBJECT_LOCK and mutation.state != "enabled":
        raise Refusal(
            "InvalidBucketState",
            "An Object Lock configuration is present on this bucket, so the versioning state cannot"
            " be changed.",
        )
    db.execute(
        "UPDATE buckets SET versioning = ? WHERE id = ?", (mutation.state, mutation.bucket_id)
    )
    if traits & Trait.LIFECYCLE:
        # What is retained and could not go may be hidden by a marker now.
        judging.judge_all(db, mutation.bucket_id)
    return Done()


def put_bucket_document(db: apsw.Connection, mutation: PutBucketDocument, stamp: Stamp) -> Done:
    require_bucket(db, mutation.bucket_id)
    db.execute(_PUT_DOCUMENT, (mutation.bucket_id, mutation.kind, mutation.document))
    _mark(db, mutation.bucket_id, mutation.kind)
    if mutation.kind == _NOTIFICATION:
        test = BucketEvent(TEST_EVENT, stamp.now_ms)
        insert_event(db, mutation.bucket_id, stamp, test)
    return Done()


def _mark(db: apsw.Connection, bucket_id: bytes, kind: str) -> None:
    """A bucket's row says whether it has documents that requests or stewards must heed."""
    family = kind.partition(":")[0]
    trait = _TRAITS.get(family)
    if trait is None:
        return
    stands = db.execute(
        "SELECT EXISTS (SELECT 1 FROM bucket_documents WHERE bucket_id = ?1"
        " AND (kind = ?2 OR (kind >= ?2 || ':' AND kind < ?2 || ';')))",
        (bucket_id, family),
    ).get
    db.execute(
        "UPDATE buckets SET traits = CASE WHEN ? THEN traits | ? ELSE traits & ~? END WHERE id = ?",
        (stands, int(trait), int(trait), bucket_id),
    )


def delete_bucket_document(
    db: apsw.Connection, mutation: DeleteBucketDocument, stamp: Stamp
) -> Done:
    require_bucket(db, mutation.bucket_id)
    db.execute(
        "DELETE FROM bucket_documents WHERE bucket_id = ? AND kind = ?",
        (mutation.bucket_id, mutation.kind),
    )
    _mark(db, mutation.bucket_id, mutation.kind)
    return Done()


def _require_store(db: apsw.Connection, store_id: bytes) -> tuple[bytes, str, int]:
    """(tenant id, key order, traits of new buckets). Refused: NoSuchStore (also one that is being
    deleted)."""
    row = db.execute(
        "SELECT tenant_id, key_order, settings FROM stores WHERE id = ? AND status <> 'deleting'",
        (store_id,),
    ).get
    if row is None:
        raise Refusal("NoSuchStore")
    limited = unpack_store_settings(row[2]).quota.refuses
    return row[0], row[1], int(Trait.LIMITED) if limited else 0
