"""What lies on drives tells nobody anything: no body, no secret, no password, nor do the logs."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from .client import Client
from .ledger import BUCKET
from .node import Keys, Node


def test_no_file_and_no_log_holds_a_body_a_secret_or_the_password(
    make_node: Callable[..., Node], template: tuple[Path, Keys], chance: random.Random
) -> None:
    node = make_node(log_level="debug").start()
    plain = chance.randbytes(32)
    client = Client(node)
    for number, size in enumerate((32, 5000, 300_000, 3 << 20)):
        body = (plain * (size // len(plain) + 1))[:size]
        assert client.put(BUCKET, f"object {number}", body).status == 200
        assert client.get(BUCKET, f"object {number}").body == body
    made = node.command("user", "create", "--store", "default", "--label", "somebody")
    rotated = node.command("user", "rotate", made["access_key"], "--grace", "1h")
    store = node.command("store", "create", "other")
    secrets = {
        "a body": plain,
        "the first secret": template[1].secret_key.encode(),
        "the password": template[1].password.encode(),
        "a user's secret": made["secret_key"].encode(),
        "a rotated secret": rotated["secret_key"].encode(),
        "a store's first secret": store["secret_key"].encode(),
    }
    _nowhere(node, secrets)
    node.command("seal", "--now")
    _nowhere(node, secrets)
    assert node.stop() == 0
    _nowhere(node, secrets)


def test_the_root_key_stands_in_its_own_file_alone_and_only_its_owner_reads_anything(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(log_level="debug").start()
    Client(node).put(BUCKET, "object", b"body")
    node.command("seal", "--now")
    root_key = node.data / "root.key"
    secrets = {f"line {n} of root.key": line for n, line in enumerate(_long_words(root_key))}
    assert secrets
    _nowhere(node, secrets, but=root_key)
    for path in node.data.rglob("*"):
        if not path.is_dir():
            inner = path.relative_to(node.data).parts
            shielded = any(
                not (node.data / Path(*inner[:depth])).stat().st_mode & 0o077
                for depth in range(1, len(inner) + 1)
            )
            assert shielded or not node.data.stat().st_mode & 0o077, path


def _long_words(path: Path) -> Iterator[bytes]:
    """The file's content as it stands, without what is too short to be secret."""
    data = path.read_bytes()
    words = data.split()
    if all(word.isascii() for word in words):
        yield from (word for word in words if len(word) >= 16)
    else:
        yield data[-32:]


def _nowhere(node: Node, secrets: dict[str, bytes], but: Path | None = None) -> None:
    for path in [node.log, *node.data.rglob("*")]:
        if path.is_file() and path != but:
            content = path.read_bytes()
            for name, secret in secrets.items():
                for form, text in _forms(secret):
                    assert text not in content, f"{name} stands in {path} ({form})"


def _forms(secret: bytes) -> Iterator[tuple[str, bytes]]:
    """As it is, and as it may be written down; for base64 the part that its place cannot change."""
    yield "as it is", secret
    yield "hex", secret.hex().encode()
    for shift in range(3):
        yield "base64", base64.b64encode(bytes(shift) + secret)[4:-4]
