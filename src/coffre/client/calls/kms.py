"""Calls of the management API: kms. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from collections.abc import Iterator

from coffre.client.transport import Transport, located
from coffre.client.types.policies import KmsKey


class KmsCalls:
    """Operations `kms.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, *, store: str) -> Iterator[KmsKey]:
        """The keys of a store's key service, by alias."""
        return self._transport.rows("GET", located("stores", store, "kms-keys"), KmsKey)

    def create(self, *, store: str, alias: str) -> KmsKey:
        """A new key."""
        return self._transport.value(
            "POST", located("stores", store, "kms-keys"), KmsKey, {"alias": alias}
        )

    def rotate(self, *, store: str, key: str) -> KmsKey:
        """A new version of a key; what is encrypted stays readable."""
        return self._transport.value(
            "POST", located("stores", store, "kms-keys", "rotate"), KmsKey, {"key": key}
        )

    def disable(self, *, store: str, key: str) -> KmsKey:
        """Nothing under a key can be read or written any more."""
        return self._transport.value(
            "POST", located("stores", store, "kms-keys", "disable"), KmsKey, {"key": key}
        )

    def enable(self, *, store: str, key: str) -> KmsKey:
        """Undo `disable`."""
        return self._transport.value(
            "POST", located("stores", store, "kms-keys", "enable"), KmsKey, {"key": key}
        )
