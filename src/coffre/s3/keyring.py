"""The opened keys of a worker: store keys and secrets, unwrapped once and kept, in bounds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Final

from coffre.catalog.interface import Reader
from coffre.catalog.records import Secret, StoreKey
from coffre.vault.keys import RootKeys

_KEPT: Final = 4096


class _Kept:
    """The last `limit` values by the bytes that they were opened from."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[bytes, bytes] = OrderedDict()

    def get(self, name: bytes, make: Callable[[], bytes]) -> bytes:
        value = self._values.get(name)
        if value is None:
            value = self._values[name] = make()
            if len(self._values) > self._limit:
                self._values.popitem(last=False)
        else:
            self._values.move_to_end(name)
        return value


class Keyring:
    """Unwraps with the root key that is named beside what is wrapped. Wrapped bytes never change
    meaning, so nothing here goes stale."""

    def __init__(self, root_keys: RootKeys, limit: int = _KEPT) -> None:
        self._root_keys = root_keys
        self._store_keys = _Kept(limit)
        self._secrets = _Kept(limit)

    def wrap_secret(self, secret: str, expires_ms: int | None = None) -> Secret:
        """A secret access key as the catalog keeps it."""
        root_key = self._root_keys.current
        return Secret(root_key.wrap(secret.encode()), root_key.id, expires_ms)

    def secrets(self, kept: tuple[Secret, ...], now_ms: int) -> list[str]:
        """The secrets of an access key that still verify, the current one first."""
        return [
            self._secrets.get(one.wrapped, partial(self._unwrap, one)).decode()
            for one in kept
            if one.expires_ms is None or one.expires_ms > now_ms
        ]

    def data_key(self, reader: Reader, key_id: bytes) -> bytes:
        """The 32 bytes of a store key. Raises LookupError for an id that the catalog lacks."""

        def opened() -> bytes:
            found = reader.store_key(key_id)
            if found is None:
                raise LookupError(f"no store key {key_id.hex()}")
            return self._unwrap(found)

        return self._store_keys.get(key_id, opened)

    def _unwrap(self, one: Secret | StoreKey) -> bytes:
        return self._root_keys.by_id(one.root_key_id).unwrap(one.wrapped)
