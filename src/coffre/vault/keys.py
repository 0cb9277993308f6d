"""Keys: one root key per zone, from which or by which every other key is made or wrapped.

Log, superblock and secrets keys are *derived* (HKDF-SHA-256); store keys are random and *wrapped*
(AES-KWP, RFC 5649) by the root key, blob keys by their store's key, or by one that is made of the
key which a customer brings with every request and which is not kept. A key id is computed from the
key, so it never changes and a wrong or mistyped key is noticed before anything is opened with it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap_with_padding,
    aes_key_wrap_with_padding,
)

from coffre.system.disk import Disk, LocalDisk
from coffre.system.entropy import Entropy

KEY_BYTES = 32
KEY_ID_BYTES = 8
_FILE_WORD = b"coffre-root-key-1"


class WrongKey(Exception):
    """A wrapped key does not open with this key, or a key file does not hold a whole key."""


def _hkdf(secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret)


def derive_customer_keys(key: bytes, salt: bytes) -> tuple[bytes, bytes]:
    """Of a key that a customer brings: the 32 bytes that wrap blob keys in its place, and 32 that
    prove it the same key again, from which neither it nor the others can be found."""
    hkdf = HKDF(algorithm=SHA256(), length=2 * KEY_BYTES, salt=salt, info=b"coffre customer key")
    derived = hkdf.derive(key)
    return derived[:KEY_BYTES], derived[KEY_BYTES:]


def wrap_key(kek: bytes, key: bytes) -> bytes:
    """`key` wrapped by the 32-byte `kek`: AES-KWP, 8 to 15 bytes longer."""
    return aes_key_wrap_with_padding(kek, key)


def unwrap_key(kek: bytes, wrapped: bytes) -> bytes:
    """Undo `wrap_key`. Raises WrongKey."""
    try:
        return aes_key_unwrap_with_padding(kek, wrapped)
    except InvalidUnwrap as error:
        raise WrongKey("the wrapped key does not open with this key") from error


@dataclass(frozen=True)
class RootKey:
    """A zone's root key. `id` is 8 bytes, computed from the secret."""

    secret: bytes = field(repr=False)
    id: bytes = field(init=False)
    _wrapping: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise WrongKey(f"a root key has {KEY_BYTES} bytes, not {len(self.secret)}")
        object.__setattr__(self, "id", _hkdf(self.secret, b"coffre key id", KEY_ID_BYTES))
        object.__setattr__(self, "_wrapping", self.derive("wrap"))

    def derive(self, purpose: str, context: bytes = b"") -> bytes:
        """A 32-byte key for one purpose (no NUL in it) and context."""
        return _hkdf(self.secret, b"coffre " + purpose.encode() + b"\0" + context, KEY_BYTES)

    def wrap(self, data_key: bytes) -> bytes:
        """A data key, wrapped by this root key."""
        return wrap_key(self._wrapping, data_key)

    def unwrap(self, wrapped: bytes) -> bytes:
        """Undo `wrap`. Raises WrongKey."""
        return unwrap_key(self._wrapping, wrapped)


def create_root_key(path: str, entropy: Entropy, disk: Disk | None = None) -> RootKey:
    """Make a root key and its file (mode 0600, synced). Raises FileExistsError: none is replaced.

    The file is one line: a word, the secret and the key id, in hex.
    """
    disk = disk or LocalDisk()
    key = RootKey(entropy.bytes(KEY_BYTES))
    line = b" ".join((_FILE_WORD, key.secret.hex().encode(), key.id.hex().encode())) + b"\n"
    file = disk.open(path, "create")
    try:
        file.pwritev([line], 0)
        file.sync()
    finally:
        file.close()
    disk.sync_dir(os.path.dirname(path) or ".")
    return key


def load_root_key(path: str, disk: Disk | None = None) -> RootKey:
    """Read a root key file. Raises FileNotFoundError, or WrongKey when it was altered."""
    file = (disk or LocalDisk()).open(path, "read")
    try:
        words = file.pread(4096, 0).split()
    finally:
        file.close()
    try:
        word, secret, key_id = words
        key = RootKey(bytes.fromhex(secret.decode()))
        named = bytes.fromhex(key_id.decode())
    except ValueError as error:
        raise WrongKey(f"{path} is not a root key file") from error
    if word != _FILE_WORD or named != key.id:
        raise WrongKey(f"{path}: the secret does not match the key id that stands beside it")
    return key
