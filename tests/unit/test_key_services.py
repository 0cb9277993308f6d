"""Back ends of the key service: built in, and Transit over an HTTP server that speaks its API."""

from __future__ import annotations

import json
import os
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.structs import replace

from coffre.catalog.mutations import Refusal
from coffre.catalog.records import KmsEncryption, Store
from coffre.config import Settings
from coffre.s3.key_service import BUILT_IN, BuiltInKeys, KeyService, KeyServiceAway
from coffre.service.key_services import TRANSIT, key_service
from coffre.service.kms_administration import KmsAdministration
from coffre.testing.server import MemoryEngine
from coffre.vault.keys import WrongKey

TOKEN = "s.a-token"


class Transit:
    """The part of Vault's Transit engine that is used: keys, rotate, encrypt, decrypt."""

    def __init__(self) -> None:
        self.keys: dict[str, list[bytes]] = {}
        self.down = False

    def answer(self, path: str, token: str | None, given: dict[str, str]) -> tuple[int, Any]:
        if self.down:
            return 503, {"errors": ["Vault is sealed"]}
        if token != TOKEN:
            return 403, {"errors": ["permission denied"]}
        verb, _, name = path.removeprefix("/v1/kms/").partition("/")
        name, _, action = name.partition("/")
        if verb == "keys":
            if not action and name not in self.keys:
                assert given == {"type": "aes256-gcm96"}
            if action == "rotate" or name not in self.keys:
                self.keys.setdefault(name, []).append(os.urandom(32))
            return 204, None
        versions = self.keys.get(name)
        if versions is None:
            return 400, {"errors": ["encryption key not found"]}
        bound = b64decode(given["associated_data"])
        if verb == "encrypt":
            nonce = os.urandom(12)
            sealed = AESGCM(versions[-1]).encrypt(nonce, b64decode(given["plaintext"]), bound)
            text = f"vault:v{len(versions)}:{b64encode(nonce + sealed).decode()}"
            return 200, {"data": {"ciphertext": text}}
        _, number, text = given["ciphertext"].split(":")
        sealed = b64decode(text)
        try:
            plain = AESGCM(versions[int(number[1:]) - 1]).decrypt(sealed[:12], sealed[12:], bound)
        except InvalidTag:
            return 400, {"errors": ["cipher: message authentication failed"]}
        return 200, {"data": {"plaintext": b64encode(plain).decode()}}


@pytest.fixture
def transit() -> Iterator[tuple[Transit, str]]:
    engine = Transit()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, found = engine.answer(self.path, self.headers["X-Vault-Token"], given)
            body = b"" if found is None else json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield engine, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


async def made(settings: Settings | None = None) -> tuple[MemoryEngine, KeyService, Store]:
    engine = MemoryEngine()
    await engine.create_store("main", await engine.create_tenant("t"))
    store = engine.catalog.store_named("main")
    assert store is not None
    services = engine.services
    service = key_service(
        settings or Settings(), engine.catalog, engine.catalog, services.keyring, engine.entropy
    )
    return engine, service, store


def configured(url: str, folder: Path, tokens: str = f"{TOKEN}\n") -> Settings:
    token = folder / "token"
    token.write_text(tokens)
    return Settings(kms_url=url, kms_token_file=str(token), kms_mount="kms")


async def opens(service: KeyService, store: Store) -> None:
    """A data key is sealed and opened, before and after a rotation, and bound to its context."""
    key = await service.create(store, "alias/a")
    plain, sealed = await service.new_data_key(store, key, '{"a":"b"}')
    kept = KmsEncryption(key.id, sealed, '{"a":"b"}')
    assert len(plain) == 32
    assert plain not in sealed
    assert await service.open(store, kept) == plain
    rotated = await service.rotate(store, key.id)
    assert len(rotated.versions) == 2
    assert await service.open(store, kept) == plain
    newer, resealed = await service.new_data_key(store, rotated, "{}")
    assert await service.open(store, KmsEncryption(key.id, resealed, "{}")) == newer
    with pytest.raises((WrongKey, KeyServiceAway)):
        await service.open(store, replace(kept, context="{}"))


async def test_built_in_keys_seal_and_open() -> None:
    _, service, store = await made()
    await opens(service, store)
    assert [key.backend for key in service.list(store)] == [BUILT_IN]


async def test_a_token_that_no_header_may_hold_is_not_repeated(
    transit: tuple[Transit, str], tmp_path: Path
) -> None:
    _, service, store = await made(configured(transit[1], tmp_path, f"{TOKEN}\n{TOKEN}\n"))
    with pytest.raises(KeyServiceAway, match="does not hold one token") as away:
        await service.create(store, "alias/a")
    assert TOKEN not in str(away.value)


async def test_keys_in_transit_seal_and_open(transit: tuple[Transit, str], tmp_path: Path) -> None:
    engine, url = transit
    _, service, store = await made(configured(url, tmp_path))
    await opens(service, store)
    (key,) = service.list(store)
    assert key.backend == TRANSIT
    assert list(engine.keys) == [f"coffre-main-{key.id}"]
    assert not any(version.wrapped for version in key.versions)


async def test_a_key_service_that_is_away_says_so(
    transit: tuple[Transit, str], tmp_path: Path
) -> None:
    engine, url = transit
    settings = configured(url, tmp_path)
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong")
    _, service, store = await made(settings)
    engine.down = True
    with pytest.raises(KeyServiceAway, match="503"):
        await service.create(store, "alias/a")
    engine.down = False
    os.rename(settings.kms_token_file, tmp_path / "right")
    os.symlink(wrong, settings.kms_token_file)
    with pytest.raises(KeyServiceAway, match="permission denied"):
        await service.create(store, "alias/a")
    os.unlink(settings.kms_token_file)
    with pytest.raises(KeyServiceAway):
        await service.create(store, "alias/a")
    assert service.list(store) == []


async def test_built_in_keys_go_on_beside_another_service(
    transit: tuple[Transit, str], tmp_path: Path
) -> None:
    engine, service, store = await made()
    old = await service.create(store, "alias/old")
    plain, sealed = await service.new_data_key(store, old, "{}")
    beside = key_service(
        configured(transit[1], tmp_path),
        engine.catalog,
        engine.catalog,
        engine.services.keyring,
        engine.entropy,
    )
    assert await beside.open(store, KmsEncryption(old.id, sealed, "{}")) == plain
    assert (await beside.create(store, "alias/new")).backend == TRANSIT
    newer, resealed = await beside.new_data_key(store, beside.find(store, "alias/new"), "{}")
    assert len(newer) == 32
    new = beside.find(store, "alias/new")
    with pytest.raises(KeyServiceAway, match="transit"):
        await service.open(store, KmsEncryption(new.id, resealed, "{}"))


async def test_an_alias_is_one_keys() -> None:
    _, service, store = await made()
    await service.create(store, "alias/a")
    with pytest.raises(Refusal, match="KmsKeyAlreadyExists"):
        await service.create(store, "alias/a")
    first = await service.create(store, "alias/aws/s3")
    assert (await service.create(store, "alias/aws/s3")).id == first.id


async def test_what_an_operator_sees_of_keys() -> None:
    engine, service, _ = await made()
    desk = KmsAdministration(service, engine.catalog)
    key = await desk.create("main", "a")
    assert (key["alias"], key["enabled"], key["versions"]) == ("alias/a", True, 1)
    assert (await desk.rotate("main", "a"))["versions"] == 2
    assert (await desk.disable("main", key["id"]))["enabled"] is False
    assert (await desk.enable("main", key["arn"]))["enabled"] is True
    assert [one["id"] for one in await desk.list("main")] == [key["id"]]
    assert "wrapped" not in repr(await desk.list("main"))


@pytest.mark.parametrize(
    ("operation", "arguments", "code"),
    [
        ("create", {"store": "main", "alias": "aws/mine"}, "InvalidAlias"),
        ("create", {"store": "main", "alias": "a b"}, "InvalidAlias"),
        ("create", {"store": "none", "alias": "a"}, "NoSuchStore"),
        ("rotate", {"store": "main", "key": "none"}, "KMS.NotFoundException"),
        ("disable", {"store": "main", "key": "none"}, "KMS.NotFoundException"),
    ],
)
async def test_what_an_operator_cannot_ask(
    operation: str, arguments: dict[str, str], code: str
) -> None:
    from coffre.service.administration import Invalid

    engine, service, _ = await made()
    desk = KmsAdministration(service, engine.catalog)
    with pytest.raises(Invalid) as refused:
        await desk.operations[f"kms.{operation}"](**arguments)
    assert refused.value.code == code


async def test_the_built_in_back_end_wraps_by_the_stores_key() -> None:
    engine, service, store = await made()
    key = await service.create(store, "alias/a")
    assert key.versions[0].key_id == store.key_id
    keys = BuiltInKeys(engine.catalog, engine.services.keyring, engine.entropy)
    sealed = await keys.encrypt(store, key, bytes(32), b"context")
    with pytest.raises(WrongKey):
        await keys.decrypt(store, replace(key, id="another"), sealed, b"context")
