"""Keys: one root key per zone, from which or by which every other key is made or wrapped.

Log, superblock and secrets keys are *derived* (HKDF-SHA-256); store keys are random and *wrapped*
(AES-KWP, RFC 5649) by the root key, blob keys by their store's key, or by one that is made of the
key which a customer brings with every request and which is not kept. A key id is computed from the
key, so it never changes and a wrong or mistyped key is noticed before anything is opened with it.

`derive(purpose, context)` is HKDF-SHA-256 (RFC 5869) without salt, 32 bytes long, with the info
"coffre ", purpose, NUL, context. A key id is 8 bytes of HKDF-SHA-256 with the info "coffre key id".
What wraps is derived for "wrap".

What is derived from a root key or wrapped by it names that key's id. A zone writes with its current
root key and keeps older ones as long as something names them. File `root.key` (mode 0600, replaced
as a whole) is ASCII:

    coffre-root-key-2
    <secret, 64 hex digits> <key id, 16 hex digits>     the current key first, then older ones
    <SHA-256 of all lines before, 64 hex digits>

The file of version 1 is one line, `coffre-root-key-1 <secret> <key id>`: one key.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

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
_ONE_KEY = b"coffre-root-key-1"
_KEYS = b"coffre-root-key-2"
_FILE_LIMIT = 64 * 1024


class WrongKey(Exception):
    """A wrapped key does not open with this key, or a key file does not hold a whole key."""


class UnknownRootKey(WrongKey):
    """Something names a root key that is not at hand."""

    def __init__(self, key_id: bytes) -> None:
        self.key_id = key_id
        super().__init__(f"root key {key_id.hex()} is needed and not in root.key")


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

    @property
    def current(self) -> RootKey:
        """A root key alone is the `RootKeys` of a zone that never had another."""
        return self

    def by_id(self, key_id: bytes) -> RootKey:
        """Raises UnknownRootKey for any id but its own."""
        if key_id != self.id:
            raise UnknownRootKey(key_id)
        return self

    def derive(self, purpose: str, context: bytes = b"") -> bytes:
        """A 32-byte key for one purpose (no NUL in it) and context."""
        return _hkdf(self.secret, b"coffre " + purpose.encode() + b"\0" + context, KEY_BYTES)

    def wrap(self, data_key: bytes) -> bytes:
        """A data key, wrapped by this root key."""
        return wrap_key(self._wrapping, data_key)

    def unwrap(self, wrapped: bytes) -> bytes:
        """Undo `wrap`. Raises WrongKey."""
        return unwrap_key(self._wrapping, wrapped)


class RootKeys(Protocol):
    """A zone's root keys: one to write with, and every one that something at hand may name."""

    @property
    def current(self) -> RootKey: ...

    def by_id(self, key_id: bytes) -> RootKey:
        """Raises UnknownRootKey."""
        ...


class RootKeyFile:
    """The root keys of a `root.key`. It is read again when the current key is asked for, and for
    one that it did not hold: another process may have added it. What came in the place of all that
    was known is not believed: a file that was put there by mistake must not be written with."""

    def __init__(self, path: str, disk: Disk | None = None) -> None:
        """Raises FileNotFoundError, or WrongKey when the file was altered."""
        self.path = path
        self._disk = disk or LocalDisk()
        self._keys = _parse(path, _read(self._disk, path))

    @property
    def current(self) -> RootKey:
        self._look_again()
        return self._keys[0]

    def all(self) -> tuple[RootKey, ...]:
        """The current key, then older ones."""
        return self._keys

    def by_id(self, key_id: bytes) -> RootKey:
        """Raises UnknownRootKey."""
        found = _named(self._keys, key_id)
        if found is None:
            self._look_again()
            found = _named(self._keys, key_id)
        if found is None:
            raise UnknownRootKey(key_id)
        return found

    def _look_again(self) -> None:
        with suppress(OSError, WrongKey):
            keys = _parse(self.path, _read(self._disk, self.path))
            if self._keys[0] in keys:
                self._keys = keys

    def add(self, key: RootKey) -> None:
        """Make `key` the current one: in the file, synced, before this returns. Raises OSError."""
        self._replace((key, *(one for one in self._keys if one.id != key.id)))

    def remove(self, key_id: bytes) -> None:
        """Take an older key out of the file. Raises OSError, ValueError for the current one."""
        if key_id == self.current.id:
            raise ValueError("the current root key stays")
        self._replace(tuple(one for one in self._keys if one.id != key_id))

    def _replace(self, keys: tuple[RootKey, ...]) -> None:
        _write(self._disk, self.path, keys)
        self._keys = keys


def create_root_key(path: str, entropy: Entropy, disk: Disk | None = None) -> RootKey:
    """Make a root key and its file (mode 0600, synced). Raises FileExistsError."""
    key = RootKey(entropy.bytes(KEY_BYTES))
    write_root_keys(path, (key,), disk)
    return key


def write_root_keys(path: str, keys: Sequence[RootKey], disk: Disk | None = None) -> None:
    """A new root key file, the current key first: whole or not there. Raises FileExistsError: none
    is replaced."""
    disk = disk or LocalDisk()
    if disk.exists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
    _write(disk, path, keys)


def encode_root_keys(keys: Sequence[RootKey]) -> bytes:
    """The file's bytes; see the module's table."""
    lines = [_KEYS, *(f"{key.secret.hex()} {key.id.hex()}".encode() for key in keys)]
    text = b"".join(line + b"\n" for line in lines)
    return text + hashlib.sha256(text).hexdigest().encode() + b"\n"


def decode_root_keys(data: bytes) -> tuple[RootKey, ...]:
    """The keys in a file's bytes, the current one first. Raises WrongKey."""
    word, _, rest = data.partition(b"\n")
    if word == _KEYS:
        text = data[: data.rstrip(b"\n").rfind(b"\n") + 1]
        if data[len(text) :].strip() != hashlib.sha256(text).hexdigest().encode():
            raise WrongKey("it was altered, or its end is missing")
        lines = text.splitlines()[1:]
    else:
        first, _, line = word.partition(b" ")
        if first != _ONE_KEY or rest.strip():
            raise WrongKey("it is not a root key file")
        lines = [line]
    if not lines:
        raise WrongKey("it holds no key")
    return tuple(_key(line) for line in lines)


def _key(line: bytes) -> RootKey:
    try:
        secret, named = (bytes.fromhex(word.decode()) for word in line.split(b" "))
    except ValueError as error:
        raise WrongKey("it is not a root key file") from error
    key = RootKey(secret)
    if named != key.id:
        raise WrongKey("a secret does not match the key id that stands beside it")
    return key


def _parse(path: str, data: bytes) -> tuple[RootKey, ...]:
    try:
        return decode_root_keys(data)
    except WrongKey as error:
        raise WrongKey(f"{path}: {error}") from error


def _named(keys: Sequence[RootKey], key_id: bytes) -> RootKey | None:
    return next((key for key in keys if key.id == key_id), None)


def _read(disk: Disk, path: str) -> bytes:
    file = disk.open(path, "read")
    try:
        return file.pread(_FILE_LIMIT, 0)
    finally:
        file.close()


def _write(disk: Disk, path: str, keys: Sequence[RootKey]) -> None:
    """Beside, then in its place, durably."""
    temporary = f"{path}.tmp"
    if disk.exists(temporary):
        disk.unlink(temporary)
    file = disk.open(temporary, "create")
    try:
        file.pwritev([encode_root_keys(keys)], 0)
        file.sync()
    finally:
        file.close()
    disk.rename(temporary, path)
    disk.sync_dir(os.path.dirname(path) or ".")
