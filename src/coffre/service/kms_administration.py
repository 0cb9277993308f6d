"""The operations on a store's key service that an operator asks for."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from coffre.catalog.interface import Committer, Reader
from coffre.catalog.records import KmsKey, Store
from coffre.config import Settings
from coffre.s3.key_service import KeyService, KeyServiceAway
from coffre.s3.keyring import Keyring
from coffre.service.administration import Invalid
from coffre.service.key_services import key_service
from coffre.system.entropy import Entropy
from coffre.vault.keys import RootKeys
from coffre.wire.errors import S3Error
from coffre.wire.kms import MANAGED_ALIAS

_ALIAS: Final = re.compile(r"[A-Za-z0-9/_-]{1,250}")


class KmsAdministration:
    """Create, list, rotate, disable and enable keys. All raise Invalid."""

    def __init__(self, keys: KeyService, reader: Reader) -> None:
        self._keys = keys
        self._reader = reader

    @property
    def operations(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {
            "kms.create": self.create,
            "kms.list": self.list,
            "kms.rotate": self.rotate,
            "kms.disable": self.disable,
            "kms.enable": self.enable,
        }

    async def create(self, store: str, alias: str) -> dict[str, Any]:
        """A new key, which requests call `alias/ALIAS`."""
        name = f"alias/{alias.removeprefix('alias/')}"
        own = name.startswith("alias/aws/") and name != MANAGED_ALIAS
        if own or not _ALIAS.fullmatch(name.removeprefix("alias/")):
            raise Invalid(
                "InvalidAlias",
                "an alias is 1 to 250 of A–Z, a–z, 0–9, '/', '_' and '-', and not aws/…",
                "alias",
            )
        found = self._find_store(store)
        return self._shown(found, await _told(self._keys.create(found, name)))

    async def list(self, store: str) -> list[dict[str, Any]]:
        """A store's keys, by alias."""
        found = self._find_store(store)
        return [self._shown(found, key) for key in self._keys.list(found)]

    async def rotate(self, store: str, key: str) -> dict[str, Any]:
        """A new version; what is encrypted stays readable."""
        found = self._find_store(store)
        return self._shown(found, await _told(self._keys.rotate(found, _named(key))))

    async def disable(self, store: str, key: str) -> dict[str, Any]:
        """Nothing under the key can be read or written any more."""
        return await self._enable(store, key, enabled=False)

    async def enable(self, store: str, key: str) -> dict[str, Any]:
        """Undo `disable`."""
        return await self._enable(store, key, enabled=True)

    async def _enable(self, store: str, key: str, *, enabled: bool) -> dict[str, Any]:
        found = self._find_store(store)
        change = self._keys.enable(found, _named(key), enabled=enabled)
        return self._shown(found, await _told(change))

    def _find_store(self, name: str) -> Store:
        store = self._reader.store_named(name)
        if store is None:
            raise Invalid("NoSuchStore", f"there is no store {name!r}", "store")
        return store

    def _shown(self, store: Store, key: KmsKey) -> dict[str, Any]:
        return {
            "id": key.id,
            "alias": key.alias,
            "arn": self._keys.arn(store, key.id),
            "enabled": key.enabled,
            "versions": len(key.versions),
            "backend": key.backend,
            "created_ms": key.created_ms,
            "rotated_ms": key.versions[-1].created_ms,
        }


def _named(key: str) -> str:
    """What an operator calls a key: its id, its ARN, or its alias with or without the word."""
    plain = re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", key)
    return key if plain or key.startswith(("arn:", "alias/")) else f"alias/{key}"


async def _told(change: Awaitable[KmsKey]) -> KmsKey:
    try:
        return await change
    except S3Error as error:
        raise Invalid(error.code, error.message) from error
    except KeyServiceAway as error:
        raise Invalid("KeyServiceAway", str(error)) from error


def kms_operations(
    settings: Settings,
    reader: Reader,
    committer: Committer,
    root_keys: RootKeys,
    entropy: Entropy,
) -> Mapping[str, Callable[..., Awaitable[Any]]]:
    """The operations of a node as it is configured, by name."""
    keys = key_service(settings, reader, committer, Keyring(root_keys), entropy)
    return KmsAdministration(keys, reader).operations
