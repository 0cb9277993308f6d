"""The key service of a store: named keys that data keys of objects are sealed with (SSE-KMS).

A key has an id, an alias, a state, and versions: rotating adds one, and what earlier ones sealed
still opens. Where its secret lies is a back end's matter: built in (in the catalog, wrapped by the
store's key, which the root key wraps), or a key service of somebody else's.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Final, Protocol

from coffre.catalog.interface import Committer, Reader
from coffre.catalog.kms_mutations import CreateKmsKey, RotateKmsKey, SetKmsKey
from coffre.catalog.mutations import Refusal
from coffre.catalog.records import KmsEncryption, KmsKey, KmsVersion, Store
from coffre.s3.keyring import Keyring
from coffre.system.entropy import Entropy
from coffre.vault.envelopes import NONCE_BYTES, seal, unseal, version_of
from coffre.vault.keys import KEY_BYTES, unwrap_key, wrap_key
from coffre.wire.errors import S3Error
from coffre.wire.kms import MANAGED_ALIAS, key_arn, named_key

BUILT_IN: Final = "built-in"


class KeyBackend(Protocol):
    """Where keys' secrets lie. Whatever it cannot do just now is a KeyServiceAway."""

    async def create(self, store: Store, key_id: str) -> KmsVersion:
        """The first version of a new key, as the catalog keeps it."""
        ...

    async def rotate(self, store: Store, key: KmsKey) -> KmsVersion:
        """The next version."""
        ...

    async def encrypt(self, store: Store, key: KmsKey, data_key: bytes, context: bytes) -> bytes:
        """A data key, sealed with the newest version."""
        ...

    async def decrypt(self, store: Store, key: KmsKey, sealed: bytes, context: bytes) -> bytes:
        """What `encrypt` sealed. Raises vault.keys.WrongKey for another key or context."""
        ...


class KeyServiceAway(Exception):
    """Another's key service does not answer, or refuses: what it says is for the operator."""


class BuiltInKeys:
    """The back end that needs nobody else."""

    def __init__(self, reader: Reader, keyring: Keyring, entropy: Entropy) -> None:
        self._reader = reader
        self._keyring = keyring
        self._entropy = entropy

    async def create(self, store: Store, key_id: str) -> KmsVersion:
        store_key = self._keyring.data_key(self._reader, store.key_id)
        return KmsVersion(store.key_id, wrap_key(store_key, self._entropy.bytes(KEY_BYTES)))

    async def rotate(self, store: Store, key: KmsKey) -> KmsVersion:
        return await self.create(store, key.id)

    async def encrypt(self, store: Store, key: KmsKey, data_key: bytes, context: bytes) -> bytes:
        version = len(key.versions)
        nonce = self._entropy.bytes(NONCE_BYTES)
        return seal(version, self._material(key, version), nonce, data_key, _bound(key, context))

    async def decrypt(self, store: Store, key: KmsKey, sealed: bytes, context: bytes) -> bytes:
        material = self._material(key, version_of(sealed))
        return unseal(material, sealed, _bound(key, context))

    def _material(self, key: KmsKey, number: int) -> bytes:
        """The 32 bytes of a version, counted from 1."""
        version = key.versions[number - 1]
        return unwrap_key(self._keyring.data_key(self._reader, version.key_id), version.wrapped)


def _bound(key: KmsKey, context: bytes) -> bytes:
    return key.id.encode() + b"\0" + context


class KeyService:
    """Keys by name and what they seal. New keys lie in the back end `newest`."""

    def __init__(
        self,
        reader: Reader,
        committer: Committer,
        entropy: Entropy,
        backends: Mapping[str, KeyBackend],
        *,
        region: str,
        newest: str = BUILT_IN,
    ) -> None:
        self._reader = reader
        self._committer = committer
        self._entropy = entropy
        self._backends = backends
        self._region = region
        self._newest = newest

    def arn(self, store: Store, key_id: str) -> str:
        return key_arn(self._region, store.name, key_id)

    def find(self, store: Store, name: str) -> KmsKey:
        """A key by id, alias or ARN. Raises KMS.NotFoundException."""
        wanted = named_key(name, self._region, store.name)
        if wanted.startswith("alias/"):
            found = self._reader.kms_key_by_alias(store.id, wanted)
        else:
            found = self._reader.kms_key(store.id, wanted)
        if found is None:
            raise S3Error("KMS.NotFoundException", f"Key '{name}' does not exist")
        return found

    async def usable(self, store: Store, name: str | None) -> KmsKey:
        """The key that a write means: the store's own (`alias/aws/s3`, made when it is first
        needed) where it names none. Raises as `find`, and KMS.DisabledException."""
        if name is None:
            key = self._reader.kms_key_by_alias(store.id, MANAGED_ALIAS)
            key = key or await self.create(store, MANAGED_ALIAS)
        else:
            key = self.find(store, name)
        self._require_enabled(store, key)
        return key

    async def new_data_key(self, store: Store, key: KmsKey, context: str) -> tuple[bytes, bytes]:
        """A new data key of 32 bytes, plain and sealed."""
        data_key = self._entropy.bytes(KEY_BYTES)
        return data_key, await self.seal(store, key, data_key, context)

    async def seal(self, store: Store, key: KmsKey, data_key: bytes, context: str) -> bytes:
        """A data key, sealed."""
        return await self._backend(key).encrypt(store, key, data_key, context.encode())

    async def open(self, store: Store, kept: KmsEncryption) -> bytes:
        """The data key of an object. Raises KMS.NotFoundException, KMS.DisabledException."""
        key = self.find(store, kept.key_id)
        self._require_enabled(store, key)
        backend = self._backend(key)
        return await backend.decrypt(store, key, kept.sealed, kept.context.encode())

    async def create(self, store: Store, alias: str) -> KmsKey:
        """A new key. One of the same alias that somebody else made meanwhile serves as well where
        it is the store's own; else Refusal (KmsKeyAlreadyExists)."""
        key_id = str(uuid.UUID(bytes=self._entropy.bytes(16), version=4))
        version = await self._backends[self._newest].create(store, key_id)
        try:
            await self._committer.commit(
                CreateKmsKey(store.id, key_id, alias, self._newest, version)
            )
        except Refusal as refusal:
            if refusal.code != "KmsKeyAlreadyExists" or alias != MANAGED_ALIAS:
                raise
        return self.find(store, alias)

    async def rotate(self, store: Store, name: str) -> KmsKey:
        """A new version for a key; what earlier ones sealed still opens."""
        key = self.find(store, name)
        version = await self._backend(key).rotate(store, key)
        await self._committer.commit(RotateKmsKey(store.id, key.id, version, len(key.versions)))
        return self.find(store, key.id)

    async def enable(self, store: Store, name: str, *, enabled: bool) -> KmsKey:
        """Let a key be used, or no more: then nothing under it can be read or written."""
        key = self.find(store, name)
        await self._committer.commit(SetKmsKey(store.id, key.id, enabled))
        return self.find(store, key.id)

    def list(self, store: Store) -> list[KmsKey]:
        return self._reader.kms_keys(store.id)

    def _backend(self, key: KmsKey) -> KeyBackend:
        found = self._backends.get(key.backend)
        if found is None:
            raise KeyServiceAway(f"no key service {key.backend!r} is configured")
        return found

    def _require_enabled(self, store: Store, key: KmsKey) -> None:
        if not key.enabled:
            raise S3Error("KMS.DisabledException", f"{self.arn(store, key.id)} is disabled.")
