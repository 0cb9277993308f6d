"""Stores, users, access keys and roles: changed and deleted."""

from __future__ import annotations

from typing import Any, Final

import apsw
from msgspec.structs import replace

from coffre.catalog import iam_rows, lock_guard
from coffre.catalog.access_mutations import (
    AddKey,
    ChangeStore,
    ChangeTenant,
    ChangeUser,
    DeleteKey,
    DeleteStore,
    DeleteUser,
    EndGrace,
    ReplaceKey,
    SetKey,
    SetRole,
)
from coffre.catalog.apply_usage import note_gone_store
from coffre.catalog.mutations import Done, Reaped, Refusal
from coffre.catalog.packing import pack, unpack_secrets
from coffre.catalog.records import Secret, StoreSettings, Trait
from coffre.catalog.stamp import Stamp

KEYS_A_USER: Final = 2
ROLES_A_BUCKET: Final = 1000
ROWS_A_GROUP: Final = 200
_INSERT_KEY: Final = (
    "INSERT INTO access_keys (access_key, user_id, store_id, created_ms, secrets)"
    " VALUES (?, ?, ?, ?, ?)"
)
_KNOWN_KEY: Final = (
    "SELECT EXISTS (SELECT 1 FROM access_keys WHERE access_key = ?1)"
    " OR EXISTS (SELECT 1 FROM retired_keys WHERE access_key = ?1)"
)
_KNOWN_USER: Final = "SELECT EXISTS (SELECT 1 FROM users WHERE id = ?)"


def change_tenant(db: apsw.Connection, mutation: ChangeTenant, stamp: Stamp) -> Done:
    db.execute(
        "UPDATE tenants SET bucket_limit = ? WHERE id = ?",
        (mutation.bucket_limit, mutation.tenant_id),
    )
    if db.changes() != 1:
        raise Refusal("NoSuchTenant")
    return Done()


def change_store(db: apsw.Connection, mutation: ChangeStore, stamp: Stamp) -> Done:
    store = (mutation.store_id,)
    status = db.execute("SELECT status FROM stores WHERE id = ?", store).get
    if status is None or status == "deleting":
        raise Refusal("NoSuchStore")
    if mutation.label is not None:
        db.execute("UPDATE stores SET label = ? WHERE id = ?", (mutation.label, *store))
    if mutation.status is not None:
        db.execute("UPDATE stores SET status = ? WHERE id = ?", (mutation.status, *store))
    if mutation.settings is not None:
        db.execute("UPDATE stores SET settings = ? WHERE id = ?", (pack(mutation.settings), *store))
        _limit_buckets(db, mutation.store_id, mutation.settings)
    return Done()


def _limit_buckets(db: apsw.Connection, store_id: bytes, settings: StoreSettings) -> None:
    """Writes in the store's buckets ask its quota, or do not."""
    limited = int(Trait.LIMITED)
    if settings.quota.refuses:
        statement = "UPDATE buckets SET traits = traits | ?1 WHERE store_id = ?2"
    else:
        statement = "UPDATE buckets SET traits = traits & ~?1 WHERE store_id = ?2"
    db.execute(f"{statement} AND traits & ?1 <> ?3", (limited, store_id, _goal(settings)))


def _goal(settings: StoreSettings) -> int:
    return int(Trait.LIMITED) if settings.quota.refuses else 0


def delete_store(db: apsw.Connection, mutation: DeleteStore, stamp: Stamp) -> Reaped:
    store = (mutation.store_id,)
    key_id = db.execute("SELECT key_id FROM stores WHERE id = ?", store).get
    if key_id is None:
        raise Refusal("NoSuchStore")
    buckets = db.execute("SELECT count(*) FROM buckets WHERE store_id = ?", store).get
    if buckets:
        locks = lock_guard.last_release_in(db, mutation.store_id, stamp.trusted_ms)
        words = f"the store has {buckets} buckets" + (f", {locks}" if locks else "")
        raise Refusal("StoreNotEmpty", words, Buckets=str(buckets))
    limit = max(1, min(mutation.limit_rows, ROWS_A_GROUP))
    users: list[Any] = db.execute(
        "SELECT id FROM users WHERE store_id = ? ORDER BY id LIMIT ?", (*store, limit)
    ).fetchall()
    for (user_id,) in users:
        _remove_user(db, user_id)
    if len(users) == limit or iam_rows.forget_some(db, mutation.store_id, limit) == limit:
        db.execute("UPDATE stores SET status = 'deleting' WHERE id = ?", store)
        return Reaped(limit, True)
    db.execute("DELETE FROM kms_keys WHERE store_id = ?", store)
    # What the store's key wrapped is never opened again, wherever a copy of it is left.
    db.execute("DELETE FROM store_keys WHERE id = ?", (key_id,))
    note_gone_store(db, mutation.store_id, stamp.trusted_ms)
    db.execute("DELETE FROM stores WHERE id = ?", store)
    return Reaped(len(users) + 1, False)


def change_user(db: apsw.Connection, mutation: ChangeUser, stamp: Stamp) -> Done:
    user = (mutation.user_id,)
    store_id = _store_of(db, mutation.user_id)
    if mutation.label is not None:
        check_label(db, store_id, mutation.label, mutation.user_id)
        if iam_rows.is_taken(db, store_id, "user", mutation.label, mutation.user_id):
            raise Refusal("UserAlreadyExists")
        db.execute("UPDATE users SET label = ? WHERE id = ?", (mutation.label, *user))
        iam_rows.rename_user(db, mutation.user_id, mutation.label)
    if mutation.locked is not None:
        db.execute("UPDATE users SET locked = ? WHERE id = ?", (mutation.locked, *user))
    if mutation.create_buckets is not None:
        db.execute(
            "UPDATE users SET create_buckets = ? WHERE id = ?", (mutation.create_buckets, *user)
        )
    return Done()


def check_label(
    db: apsw.Connection, store_id: bytes, label: str, user_id: str | None = None
) -> None:
    """Refused: UserAlreadyExists. Policies name users by their labels: two of a store never share
    one, and none is an access key (that stands or stood) or an id, which policies name likewise."""
    if db.execute(_KNOWN_KEY, (label,)).get or db.execute(_KNOWN_USER, (label,)).get:
        raise Refusal("UserAlreadyExists", "the label is an access key or an Owner ID")
    found = db.execute(
        "SELECT id FROM users INDEXED BY users_by_label WHERE store_id = ? AND label = ?"
        " AND id IS NOT ? LIMIT 1",
        (store_id, label, user_id),
    ).get
    if found is not None:
        raise Refusal("UserAlreadyExists", f"the store has a user {label!r} already")


def delete_user(db: apsw.Connection, mutation: DeleteUser, stamp: Stamp) -> Done:
    store_id = _store_of(db, mutation.user_id)
    owned = (store_id, mutation.user_id)
    buckets = db.execute(
        "SELECT count(*) FROM buckets WHERE store_id = ? AND owner_id = ?", owned
    ).get
    if buckets and mutation.give_to is None:
        raise Refusal("UserHasBuckets", f"the user owns {buckets} buckets", Buckets=str(buckets))
    if mutation.give_to is not None:
        db.execute(
            "UPDATE buckets SET owner_id = ? WHERE store_id = ? AND owner_id = ?",
            (mutation.give_to, *owned),
        )
    _remove_user(db, mutation.user_id)
    return Done()


def _remove_user(db: apsw.Connection, user_id: str) -> None:
    iam_rows.forget_entity(db, user_id)
    db.execute(
        "INSERT OR IGNORE INTO retired_keys (access_key)"
        " SELECT access_key FROM access_keys WHERE user_id = ? ORDER BY access_key",
        (user_id,),
    )
    for table, column in (("access_keys", "user_id"), ("bucket_roles", "user_id"), ("users", "id")):
        db.execute(f"DELETE FROM {table} WHERE {column} = ?", (user_id,))  # noqa: S608


def add_key(db: apsw.Connection, mutation: AddKey, stamp: Stamp) -> Done:
    store_id = _store_of(db, mutation.user_id)
    check_new_key(db, mutation.access_key)
    kept = _forget_ended(db, mutation.user_id, stamp.now_ms)
    if sum(not _ends(secrets) for secrets in kept.values()) >= KEYS_A_USER:
        raise Refusal("AccessKeyLimit", f"a user has at most {KEYS_A_USER} access keys")
    _insert_key(db, mutation.access_key, mutation.user_id, store_id, mutation.secret, stamp)
    return Done()


def replace_key(db: apsw.Connection, mutation: ReplaceKey, stamp: Stamp) -> Done:
    user_id, secrets = _key(db, mutation.old)
    check_goes_on(secrets)
    check_new_key(db, mutation.access_key)
    for access_key, others in _forget_ended(db, user_id, stamp.now_ms).items():
        if access_key != mutation.old and _ends(others):
            _retire(db, access_key)
    if mutation.old_expires_ms is None:
        _retire(db, mutation.old)
    else:
        _set_secrets(db, mutation.old, (replace(secrets[0], expires_ms=mutation.old_expires_ms),))
    store_id = _store_of(db, user_id)
    _insert_key(db, mutation.access_key, user_id, store_id, mutation.secret, stamp)
    return Done()


def set_key(db: apsw.Connection, mutation: SetKey, stamp: Stamp) -> Done:
    db.execute(
        "UPDATE access_keys SET active = ? WHERE access_key = ?",
        (mutation.active, mutation.access_key),
    )
    if db.changes() != 1:
        raise Refusal("InvalidAccessKeyId")
    return Done()


def delete_key(db: apsw.Connection, mutation: DeleteKey, stamp: Stamp) -> Done:
    _key(db, mutation.access_key)
    _retire(db, mutation.access_key)
    return Done()


def end_grace(db: apsw.Connection, mutation: EndGrace, stamp: Stamp) -> Done:
    """A key that is itself in grace ends whole."""
    _, secrets = _key(db, mutation.access_key)
    if _ends(secrets):
        _retire(db, mutation.access_key)
    elif len(secrets) > 1:
        _set_secrets(db, mutation.access_key, secrets[:1])
    return Done()


def set_role(db: apsw.Connection, mutation: SetRole, stamp: Stamp) -> Done:
    where = (mutation.bucket_id, mutation.user_id)
    store_id = db.execute("SELECT store_id FROM buckets WHERE id = ?", where[:1]).get
    if store_id is None:
        raise Refusal("NoSuchBucket")
    if mutation.role is None:
        db.execute("DELETE FROM bucket_roles WHERE bucket_id = ? AND user_id = ?", where)
        return Done()
    if _store_of(db, mutation.user_id) != store_id:
        raise Refusal("NoSuchUser")
    others = db.execute(
        "SELECT count(*) FROM bucket_roles WHERE bucket_id = ? AND user_id <> ?", where
    ).get
    if others >= ROLES_A_BUCKET:
        raise Refusal("RoleLimit", f"a bucket has at most {ROLES_A_BUCKET} roles")
    db.execute(
        "INSERT INTO bucket_roles (bucket_id, user_id, role) VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET role = excluded.role",
        (*where, mutation.role),
    )
    return Done()


def check_new_key(db: apsw.Connection, access_key: str) -> None:
    """Refused: AccessKeyAlreadyExists, for one that stands and for one that ever did."""
    if db.execute(_KNOWN_KEY, (access_key,)).get:
        raise Refusal("AccessKeyAlreadyExists")


def _insert_key(
    db: apsw.Connection,
    access_key: str,
    user_id: str,
    store_id: bytes,
    secret: Secret,
    stamp: Stamp,
) -> None:
    db.execute(_INSERT_KEY, (access_key, user_id, store_id, stamp.now_ms, pack((secret,))))


def _store_of(db: apsw.Connection, user_id: str) -> bytes:
    store_id: bytes | None = db.execute("SELECT store_id FROM users WHERE id = ?", (user_id,)).get
    if store_id is None:
        raise Refusal("NoSuchUser")
    return store_id


def _key(db: apsw.Connection, access_key: str) -> tuple[str, tuple[Secret, ...]]:
    """Whose it is, and its secrets. Refused: InvalidAccessKeyId."""
    row = db.execute(
        "SELECT user_id, secrets FROM access_keys WHERE access_key = ?", (access_key,)
    ).get
    if row is None:
        raise Refusal("InvalidAccessKeyId")
    return row[0], unpack_secrets(row[1])


def _ends(secrets: tuple[Secret, ...]) -> bool:
    """Whether a key is only left to go on for a while."""
    return secrets[0].expires_ms is not None


def check_goes_on(secrets: tuple[Secret, ...]) -> None:
    """Refused: KeyIsEnding. A key that was replaced is not replaced again and gets no new secret:
    two that do so at once would leave a user more keys than it may have."""
    if _ends(secrets):
        raise Refusal("KeyIsEnding", "the access key was replaced and is ending")


def _forget_ended(db: apsw.Connection, user_id: str, now_ms: int) -> dict[str, tuple[Secret, ...]]:
    """Delete a user's keys that verify nothing any more; the others, with their secrets."""
    kept: dict[str, tuple[Secret, ...]] = {}
    rows: list[Any] = db.execute(
        "SELECT access_key, secrets FROM access_keys WHERE user_id = ? ORDER BY access_key",
        (user_id,),
    ).fetchall()
    for access_key, packed in rows:
        secrets = unpack_secrets(packed)
        if (secrets[0].expires_ms or now_ms + 1) <= now_ms:
            _retire(db, access_key)
        else:
            kept[access_key] = secrets
    return kept


def _retire(db: apsw.Connection, access_key: str) -> None:
    db.execute("INSERT OR IGNORE INTO retired_keys (access_key) VALUES (?)", (access_key,))
    db.execute("DELETE FROM access_keys WHERE access_key = ?", (access_key,))


def _set_secrets(db: apsw.Connection, access_key: str, secrets: tuple[Secret, ...]) -> None:
    db.execute(
        "UPDATE access_keys SET secrets = ? WHERE access_key = ?", (pack(secrets), access_key)
    )
