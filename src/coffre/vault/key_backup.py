"""A backup of the root keys: one file under a passphrase, which says itself how it is opened.

ASCII, two lines. The first is JSON: `format` ("coffre-key-backup-1"), `region`, `zone`, `made_ms`,
`keys` (key ids in hex, the current one first), `kdf` ("scrypt"), `n`, `r`, `p`, `salt`, `nonce`
(base64), `cipher` ("AES-256-GCM"). The second is base64 of the bytes of the `root.key` file,
encrypted under scrypt(passphrase, salt) with the first line, without its line feed, as associated
data.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from coffre.system.entropy import Entropy
from coffre.vault.keys import (
    KEY_BYTES,
    RootKey,
    WrongKey,
    decode_root_keys,
    encode_root_keys,
)

# 128 MiB and about half a second a guess (RFC 7914).
_N, _R, _P = 1 << 17, 8, 1
_MOST_MEMORY = 1 << 30
_SALT_BYTES, _NONCE_BYTES = 16, 12


class BackupDamaged(Exception):
    """The bytes are no backup, of a later format, or were altered. The message says which."""


class BackupHead(Struct, frozen=True):
    """What a backup says without its passphrase. `keys` are ids in hex, the current one first."""

    format: Literal["coffre-key-backup-1"]
    region: str
    zone: str
    made_ms: int
    keys: tuple[str, ...]
    kdf: Literal["scrypt"]
    n: int
    r: int
    p: int
    salt: bytes
    cipher: Literal["AES-256-GCM"]
    nonce: bytes


def seal_backup(
    keys: tuple[RootKey, ...],
    passphrase: str,
    *,
    region: str,
    zone: str,
    made_ms: int,
    entropy: Entropy,
    n: int = _N,
) -> bytes:
    """The backup's bytes. `n` is scrypt's cost, a power of 2."""
    head = BackupHead(
        format="coffre-key-backup-1",
        region=region,
        zone=zone,
        made_ms=made_ms,
        keys=tuple(key.id.hex() for key in keys),
        kdf="scrypt",
        n=n,
        r=_R,
        p=_P,
        salt=entropy.bytes(_SALT_BYTES),
        cipher="AES-256-GCM",
        nonce=entropy.bytes(_NONCE_BYTES),
    )
    line = msgspec.json.encode(head)
    sealed = AESGCM(_key(head, passphrase)).encrypt(head.nonce, encode_root_keys(keys), line)
    return line + b"\n" + base64.b64encode(sealed) + b"\n"


def read_head(data: bytes) -> BackupHead:
    """What a backup says of itself. Raises BackupDamaged."""
    try:
        return msgspec.json.decode(data.partition(b"\n")[0], type=BackupHead)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BackupDamaged(
            "it is no backup of root keys, or of a format not known here"
        ) from error


def open_backup(data: bytes, passphrase: str) -> tuple[RootKey, ...]:
    """The keys, the current one first. Raises BackupDamaged; WrongKey: it is not the passphrase."""
    head = read_head(data)
    line, _, rest = data.partition(b"\n")
    try:
        sealed = base64.b64decode(rest.strip(), validate=True)
        plain = AESGCM(_key(head, passphrase)).decrypt(head.nonce, sealed, line)
    except ValueError as error:
        raise BackupDamaged("it was altered, or its end is missing") from error
    except InvalidTag as error:
        raise WrongKey("the passphrase is wrong, or the file was altered") from error
    return decode_root_keys(plain)


def _key(head: BackupHead, passphrase: str) -> bytes:
    """Raises ValueError for a cost that nobody sets."""
    memory = 128 * head.n * head.r
    if memory > _MOST_MEMORY or head.p > 16 or len(head.nonce) != _NONCE_BYTES:
        raise ValueError("a cost out of bounds")
    return hashlib.scrypt(
        passphrase.encode(),
        salt=head.salt,
        n=head.n,
        r=head.r,
        p=head.p,
        maxmem=memory + (64 << 20),
        dklen=KEY_BYTES,
    )
