"""Temporary keys: a session is a sealed token that the client keeps, and nothing that we do.

An access key of a session has no row. Its secret is derived from the root key and its id; its token
holds who it is, sealed by AES-256-GCM under a key derived likewise, so that a session costs no
write and any process can open it. What a session may do is looked up anew at each request.

A token is base64 of: version (1 byte, 1), id of the root key (8), nonce (12), the sealed `Session`
(msgpack). The access key is the sealed part's associated data and the context of both keys.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections import OrderedDict
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from coffre.iam.credentials import new_temporary_key
from coffre.system.entropy import Entropy
from coffre.vault.keys import KEY_ID_BYTES, RootKey, RootKeys, UnknownRootKey

_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12
_HEAD: Final = 1 + KEY_ID_BYTES + _NONCE_BYTES
LONGEST_TOKEN: Final = 16 * 1024
_KEPT: Final = 4096


class BadToken(Exception):
    """No token of ours, or not of this access key."""


class Session(Struct, frozen=True, array_like=True):
    """`key` is the long-term access key behind a session: it ends with that ("": others vouched for
    somebody). `role_id` "": it is the key's own user's. `policies` (documents) and `managed` (ids)
    bound it, where there is any. `known` are facts by lower-case condition key. `person`: the
    console vouches for a person called `name`, whom `policies` allow what they say."""

    store_id: bytes
    key: str
    role_id: str
    name: str
    issued_ms: int
    expires_ms: int
    policies: tuple[bytes, ...] = ()
    managed: tuple[str, ...] = ()
    known: tuple[tuple[str, str], ...] = ()
    person: bool = False


class Credentials(Struct, frozen=True):
    access_key: str
    secret: str
    token: str


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Session).decode


class Sessions:
    """Makes tokens and opens them; what was opened lately is kept, in bounds."""

    def __init__(self, root_keys: RootKeys, entropy: Entropy, limit: int = _KEPT) -> None:
        self._root_keys = root_keys
        self._entropy = entropy
        self._limit = limit
        self._opened: OrderedDict[tuple[str, str], tuple[Session, str]] = OrderedDict()

    def start(self, session: Session) -> Credentials:
        """Keys and token of a new session; one longer than `LONGEST_TOKEN` does not open."""
        access_key = new_temporary_key(self._entropy)
        root = self._root_keys.current
        nonce = self._entropy.bytes(_NONCE_BYTES)
        sealed = _cipher(root, access_key).encrypt(nonce, _pack(session), access_key.encode())
        token = b64encode(_VERSION + root.id + nonce + sealed).decode()
        return Credentials(access_key, _secret(root, access_key), token)

    def open(self, access_key: str, token: str) -> tuple[Session, str]:
        """The session of an access key, and its secret. Raises BadToken."""
        known = self._opened.get((access_key, token))
        if known is None:
            known = self._opened[(access_key, token)] = self._open(access_key, token)
            if len(self._opened) > self._limit:
                self._opened.popitem(last=False)
        else:
            self._opened.move_to_end((access_key, token))
        return known

    def _open(self, access_key: str, token: str) -> tuple[Session, str]:
        if len(token) > LONGEST_TOKEN:
            raise BadToken("it is too long")
        try:
            raw = b64decode(token, validate=True)
            root = self._root_keys.by_id(raw[1 : 1 + KEY_ID_BYTES])
            nonce = raw[1 + KEY_ID_BYTES : _HEAD]
            cipher = _cipher(root, access_key)
            packed = cipher.decrypt(nonce, raw[_HEAD:], access_key.encode())
        except (ValueError, UnknownRootKey, InvalidTag) as error:
            raise BadToken("it does not open") from error
        if raw[:1] != _VERSION:
            raise BadToken("it is of another version")
        return _unpack(packed), _secret(root, access_key)


def _cipher(root: RootKey, access_key: str) -> AESGCM:
    return AESGCM(root.derive("session token", access_key.encode()))


def _secret(root: RootKey, access_key: str) -> str:
    """40 hexadecimal digits (160 bits)."""
    return root.derive("session secret", access_key.encode()).hex()[:40]
