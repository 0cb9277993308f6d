"""The key service of a node as it is configured: built in, or somebody else's beside it."""

from __future__ import annotations

import asyncio
import json
import logging
from base64 import b64decode, b64encode
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from coffre.catalog.interface import Committer, Reader
from coffre.catalog.records import KmsKey, KmsVersion, Store
from coffre.config import Settings
from coffre.s3.key_service import BUILT_IN, BuiltInKeys, KeyBackend, KeyService, KeyServiceAway
from coffre.s3.keyring import Keyring
from coffre.system.entropy import Entropy
from coffre.vault.keys import KEY_BYTES, WrongKey

log = logging.getLogger("coffre.kms")

TRANSIT: Final = "transit"
_PATIENCE_S: Final = 5.0
_ANSWER_LIMIT: Final = 64 * 1024


def key_service(
    settings: Settings, reader: Reader, committer: Committer, keyring: Keyring, entropy: Entropy
) -> KeyService:
    """The service that `kms_url` and its fellows ask for. New keys lie in Transit where one is
    configured; built-in ones go on."""
    backends: dict[str, KeyBackend] = {BUILT_IN: BuiltInKeys(reader, keyring, entropy)}
    if settings.kms_url:
        backends[TRANSIT] = TransitKeys(
            settings.kms_url, settings.kms_token_file, mount=settings.kms_mount
        )
    newest = TRANSIT if settings.kms_url else BUILT_IN
    return KeyService(reader, committer, entropy, backends, region=settings.region, newest=newest)


class TransitKeys:
    """Keys in the Transit engine of a Vault (or OpenBao) server, which never leave it.

    Source: Vault's HTTP API of the transit secrets engine. The token is read from its file for each
    call, so that whoever renews it needs to tell nobody.
    """

    def __init__(self, url: str, token_file: str, *, mount: str = TRANSIT) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host = parts.netloc
        self._path = f"{parts.path.rstrip('/')}/v1/{mount.strip('/')}"
        self._token_file = token_file

    async def create(self, store: Store, key_id: str) -> KmsVersion:
        await self._call(f"keys/{_name(store, key_id)}", {"type": "aes256-gcm96"})
        return KmsVersion()

    async def rotate(self, store: Store, key: KmsKey) -> KmsVersion:
        await self._call(f"keys/{_name(store, key.id)}/rotate", {})
        return KmsVersion()

    async def encrypt(self, store: Store, key: KmsKey, data_key: bytes, context: bytes) -> bytes:
        given = {"plaintext": _text(data_key), "associated_data": _text(context)}
        found = await self._call(f"encrypt/{_name(store, key.id)}", given)
        return str(found["ciphertext"]).encode()

    async def decrypt(self, store: Store, key: KmsKey, sealed: bytes, context: bytes) -> bytes:
        given = {"ciphertext": sealed.decode(), "associated_data": _text(context)}
        found = await self._call(f"decrypt/{_name(store, key.id)}", given)
        data_key = b64decode(str(found["plaintext"]))
        if len(data_key) != KEY_BYTES:
            raise WrongKey("what was sealed is no data key")
        return data_key

    async def _call(self, path: str, given: Mapping[str, str]) -> dict[str, Any]:
        """The `data` of an answer. Raises KeyServiceAway."""
        try:
            return await asyncio.to_thread(self._post, path, given)
        except (OSError, HTTPException, ValueError, KeyError) as error:
            raise KeyServiceAway(f"{self._host}: {type(error).__name__}: {error}") from error

    def _post(self, path: str, given: Mapping[str, str]) -> dict[str, Any]:
        token = Path(self._token_file).read_bytes().strip()
        if not token.isascii() or len(token.split()) != 1:
            # What a header refuses it repeats in its error, which the log tells.
            raise KeyServiceAway(f"{self._token_file} does not hold one token")
        kind = HTTPSConnection if self._secure else HTTPConnection
        connection = kind(self._host, timeout=_PATIENCE_S)
        try:
            connection.request(
                "POST",
                f"{self._path}/{path}",
                json.dumps(given),
                {"X-Vault-Token": token.decode(), "Content-Type": "application/json"},
            )
            answer = connection.getresponse()
            body = answer.read(_ANSWER_LIMIT)
        finally:
            connection.close()
        if answer.status not in (200, 204):
            raise KeyServiceAway(f"{self._host} answers {answer.status} to {path}: {body[:200]!r}")
        found: dict[str, Any] = (json.loads(body).get("data") if body else None) or {}
        return found


def _name(store: Store, key_id: str) -> str:
    return quote(f"coffre-{store.name}-{key_id}", safe="")


def _text(value: bytes) -> str:
    return b64encode(value).decode()
