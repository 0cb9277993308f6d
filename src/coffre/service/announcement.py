"""What a node says of itself when it is ready: the facts behind the first lines and `--json`."""

from __future__ import annotations

import socket
from typing import Any

from msgspec import Struct

from coffre.config import Settings
from coffre.service.tls import authority_file, is_local

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
    settings: Settings,
    ports: tuple[int | None, int | None],
    owner: Owner,
    first: FirstKeys | None,
    console_port: int | None = None,
) -> dict[str, Any]:
    """The ready line. `ports`: of HTTP and HTTPS (None: not offered); the endpoint is HTTP's where
    there is one, and HTTPS stands beside it; `console_port`: of the console (None: there is none).
    `ca` is what clients of HTTPS must trust, where the certificate is the local authority's.
    `hosts` is the line for /etc/hosts when the store's own name does not resolve; the endpoint is
    then the base, where every store answers path-style."""
    base = settings.bases[0]
    own = f"{owner.store}.{base}"
    resolves = _resolves(own)
    name = own if resolves else base
    plain, secure = ports
    https = None if secure is None else f"https://{name}{'' if secure == 443 else f':{secure}'}"
    facts: dict[str, Any] = {
        "endpoint": https if plain is None else f"http://{name}:{plain}",
        "region": settings.region,
        "owner_id": owner.owner_id,
        "owner_name": owner.owner_name,
        "access_key": owner.access_key,
        "operator": OPERATOR,
    }
    if https is not None:
        facts["https"] = https
    if console_port is not None:
        facts["console"] = f"https://{base}{'' if console_port == 443 else f':{console_port}'}"
    if is_local(settings) and (https is not None or console_port is not None):
        facts["ca"] = str(authority_file(settings))
    if first is not None:
        facts["secret_key"] = first.secret_key
        facts["password"] = first.password
    if not resolves:
        facts["hosts"] = f"{settings.host} {own}"
    return facts


def reached(settings: Settings) -> dict[str, Any]:
    """Where programs reach S3, for pages that say it: `http` and `https` are ports (None: not
    offered), `names` whether stores' own names resolve, `authority` the local authority's
    certificate ("": the certificate is not its)."""
    plain = settings.port if settings.serves_plain else None
    secure = settings.https_port or (settings.port if plain is None else None)
    authority = authority_file(settings)
    local = is_local(settings) and authority.exists()
    return {
        "http": plain,
        "https": secure,
        "base": settings.bases[0],
        "names": _resolves(f"{settings.default_store}.{settings.bases[0]}"),
        "authority": authority.read_text() if local else "",
    }


def _resolves(name: str) -> bool:
    try:
        return bool(socket.getaddrinfo(name, None))
    except OSError:
        return False
