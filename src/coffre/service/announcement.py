"""What a node says of itself when it is ready: the facts behind the first lines and `--json`."""

from __future__ import annotations

import socket
from typing import Any

from msgspec import Struct

from coffre.config import Settings

OPERATOR = "operator"
FIRST_STORE = "default"


class FirstKeys(Struct, frozen=True):
    """The secrets that an initialization made: shown once, kept nowhere."""

    secret_key: str
    password: str


class Owner(Struct, frozen=True):
    """The first store's initial user, as S3 answers name it."""

    store: str
    owner_id: str
    owner_name: str
    access_key: str


def announcement(
    settings: Settings, port: int, owner: Owner, first: FirstKeys | None
) -> dict[str, Any]:
    """The ready line. `hosts` is the line for /etc/hosts when the store's own name does not
    resolve; the endpoint is then the base, where every store answers path-style."""
    base = settings.bases[0]
    own = f"{owner.store}.{base}"
    resolves = _resolves(own)
    facts: dict[str, Any] = {
        "endpoint": f"http://{own if resolves else base}:{port}",
        "region": settings.region,
        "owner_id": owner.owner_id,
        "owner_name": owner.owner_name,
        "access_key": owner.access_key,
        "operator": OPERATOR,
    }
    if first is not None:
        facts["secret_key"] = first.secret_key
        facts["password"] = first.password
    if not resolves:
        facts["hosts"] = f"{settings.host} {own}"
    return facts


def _resolves(name: str) -> bool:
    try:
        return bool(socket.getaddrinfo(name, None))
    except OSError:
        return False
