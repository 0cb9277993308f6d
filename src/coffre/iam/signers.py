"""Whose an access key is, temporary or not: what verifies its signatures, and who signs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from coffre.access.principals import Principal
from coffre.catalog import records
from coffre.catalog.interface import Reader
from coffre.catalog.records import Secret, Store
from coffre.iam import identities
from coffre.iam.credentials import TEMPORARY
from coffre.iam.sessions import BadToken, Session, Sessions
from coffre.wire.errors import S3Error


class OpensSecrets(Protocol):
    """Secrets of a permanent key that still verify."""

    def secrets(self, kept: tuple[Secret, ...], now_ms: int, /) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Signer:
    """`principal` is made when it is asked for: only once the signature holds."""

    store: Store
    secrets: Sequence[str]
    principal: Callable[[], Principal]
    session: Session | None = None
    key: str = ""


def find_signer(
    reader: Reader,
    keyring: OpensSecrets,
    sessions: Sessions,
    access_key: str,
    token: str | None,
    now_ms: int,
) -> Signer:
    """Raises InvalidAccessKeyId, InvalidToken (also where whoever the session is of is gone),
    ExpiredToken."""
    if access_key.startswith(TEMPORARY) and token:
        return _of_session(reader, keyring, sessions, access_key, token, now_ms)
    signed = reader.identity(access_key)
    secrets = () if signed is None else _secrets(keyring, signed, now_ms)
    if signed is None or not secrets:
        raise S3Error("InvalidAccessKeyId", AWSAccessKeyId=access_key)
    if token is not None:
        raise S3Error("InvalidToken")
    principal = partial(identities.of_user, reader, signed.user, signed.store, access_key)
    return Signer(signed.store, secrets, principal, key=access_key)


def claimed_store(
    reader: Reader, sessions: Sessions, access_key: str, token: str | None
) -> bytes | None:
    """The id of the store that a key is of, whether its signature holds or not."""
    if access_key.startswith(TEMPORARY) and token:
        try:
            return sessions.open(access_key, token)[0].store_id
        except BadToken:
            return None
    signed = reader.identity(access_key)
    return None if signed is None else signed.store.id


def _of_session(
    reader: Reader,
    keyring: OpensSecrets,
    sessions: Sessions,
    access_key: str,
    token: str,
    now_ms: int,
) -> Signer:
    try:
        session, secret = sessions.open(access_key, token)
    except BadToken:
        raise S3Error("InvalidToken") from None
    if now_ms >= session.expires_ms:
        raise S3Error("ExpiredToken")
    signed = reader.identity(session.key) if session.key else None
    store = reader.store(session.store_id) if signed is None else signed.store
    role = reader.iam_entity_by_id(session.role_id) if session.role_id else None
    gone = session.key and (signed is None or not _secrets(keyring, signed, now_ms))
    if gone or store is None or (session.role_id and role is None):
        raise S3Error("InvalidToken")
    if role is not None:
        locked = store.status != "active" or (signed is not None and signed.user.locked)
        principal = partial(identities.of_role, reader, store, role, session, locked=locked)
    elif session.person:
        principal = partial(identities.of_person, reader, store, session)
    elif signed is not None:
        who = (signed.user, store, session.key)
        principal = partial(identities.of_user, reader, *who, session)
    else:
        raise S3Error("InvalidToken")
    return Signer(store, (secret,), principal, session, session.key)


def _secrets(keyring: OpensSecrets, signed: records.Identity, now_ms: int) -> Sequence[str]:
    return keyring.secrets(signed.key.secrets, now_ms) if signed.key.active else ()
