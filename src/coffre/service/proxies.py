"""Who the client is where proxies stand in between: the one place that decides it.

Everything behind it (network rules, `aws:SourceIp`, `aws:SecureTransport`, access logs, events)
takes the address and the scheme that the scope says. A proxy is believed if its own address is one
of the trusted ones, and then only in the one header that the settings name: the others reach us as
the client wrote them. Source of the forms: RFC 7239; "X-Forwarded-For" as proxies write it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

from coffre.access.networks import Address, Network, read_networks
from coffre.config import Settings
from coffre.wire.errors import S3Error, error_xml

Scope = MutableMapping[str, Any]
Application = Callable[..., Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]

# One element of Forwarded: pairs of a token and a token or quoted string.
_PAIR: Final = re.compile(
    r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:\"((?:[^\"\\]|\\.)*)\"|([^\s\",;]*))\s*([;,]|\Z)"
)
_PORT: Final = re.compile(r"(.+?)(?::[0-9]{1,5})?\Z")
_BRACKETED: Final = re.compile(r"\[([^\]]+)\](?::[0-9]{1,5})?\Z")
_MOST_HOPS: Final = 64


class BadForwarding(Exception):
    """A trusted proxy said something that cannot be read: better none than a wrong client."""


class ClientAddress:
    """An ASGI application that tells the one behind it who the client is.

    `relayed` are the connections of the PROXY protocol's relay: the client by the relay's own
    address and port (`coffre.service.relay`).
    """

    def __init__(
        self,
        app: Application,
        settings: Settings,
        relayed: Mapping[tuple[str, int], str] | None = None,
    ) -> None:
        self._app = app
        self._trusted = read_networks(settings.trusted_proxies)
        self._read = _forwarded if settings.proxy_header == "Forwarded" else _x_forwarded
        self._relayed = relayed

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        try:
            self._correct(scope)
        except BadForwarding as bad:
            error = S3Error("InvalidRequest", str(bad))
            headers = [(b"content-type", b"application/xml"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 400, "headers": headers})
            await send({"type": "http.response.body", "body": error_xml(error, "", "", "")})
            return
        await self._app(scope, receive, send)

    def _correct(self, scope: Scope) -> None:
        peer, port = scope["client"]
        if self._relayed is not None:
            client = self._relayed.get((peer, int(port)))
            if client is None:
                raise BadForwarding("Connections come through the proxy alone")
            scope["client"] = (client, port)
        elif peer.startswith("::ffff:"):
            peer = str(_plain(ip_address(peer)))
            scope["client"] = (peer, port)
        if self._relayed is None and self._trusted and _within(peer, self._trusted):
            client, scheme = self._read(scope["headers"], self._trusted)
            scope["client"] = (client or peer, port)
            scope["scheme"] = scheme or scope["scheme"]


def _x_forwarded(headers: Headers, trusted: Sequence[Network]) -> tuple[str, str]:
    """(client, scheme) by X-Forwarded-For and X-Forwarded-Proto; empty where they say nothing."""
    hops = _values(headers, b"x-forwarded-for")
    schemes = _values(headers, b"x-forwarded-proto")
    client = _rightmost([_address(hop) for hop in hops], trusted)
    return client[0], _scheme(schemes[-1]) if schemes else ""


def _forwarded(headers: Headers, trusted: Sequence[Network]) -> tuple[str, str]:
    """(client, scheme) by Forwarded (RFC 7239); empty where it says nothing."""
    lines = [value.decode("latin-1") for name, value in headers if name == b"forwarded"]
    elements = [element for line in lines for element in _elements(line)]
    if len(elements) > _MOST_HOPS:
        raise BadForwarding("The proxy's header names too many hops")
    if not elements:
        return "", ""
    if any("for" not in element for element in elements):
        raise BadForwarding("The proxy's header names no client")
    client, at = _rightmost([_address(element["for"]) for element in elements], trusted)
    scheme = elements[at].get("proto", "")
    return client, _scheme(scheme) if scheme else ""


def _rightmost(hops: list[Address | None], trusted: Sequence[Network]) -> tuple[str, int]:
    """The first hop from the right that is no trusted proxy, and its place; where all are, the
    leftmost. What stands left of it anybody may have written, so it is not even read."""
    for at in range(len(hops) - 1, -1, -1):
        hop = hops[at]
        if hop is None:
            raise BadForwarding("The proxy's header names no address")
        if at == 0 or not any(hop in network for network in trusted):
            return str(hop), at
    return "", 0


def _values(headers: Headers, wanted: bytes) -> list[str]:
    """The elements of a list header, of all of its lines."""
    lines = [value.decode("latin-1") for name, value in headers if name == wanted]
    values = [part.strip() for line in lines for part in line.split(",")]
    if len(values) > _MOST_HOPS:
        raise BadForwarding("The proxy's header names too many hops")
    return values


def _elements(line: str) -> Iterator[dict[str, str]]:
    element: dict[str, str] = {}
    at = 0
    while at < len(line) or element:
        found = _PAIR.match(line, at)
        if found is None:
            raise BadForwarding("The proxy's header is malformed")
        name, quoted, token, end = found.groups()
        value = token if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        if name.lower() in element:
            raise BadForwarding("The proxy's header is malformed")
        element[name.lower()] = value
        at = found.end()
        if end != ";":
            yield element
            element = {}
            if end == "":
                return


def _address(hop: str) -> Address | None:
    """An address, also with a port; None for what is none ("unknown", a name of the proxy's)."""
    found = _BRACKETED.fullmatch(hop)
    text = found[1] if found else hop
    if not found and text.count(":") == 1:
        parts = _PORT.fullmatch(text)
        text = parts[1] if parts else text
    try:
        return _plain(ip_address(text))
    except ValueError:
        return None


def _scheme(text: str) -> str:
    scheme = text.strip().lower()
    if scheme not in ("http", "https"):
        raise BadForwarding("The proxy names a scheme that is neither http nor https")
    return scheme


def _within(peer: str, networks: Sequence[Network]) -> bool:
    address = _address(peer)
    return address is not None and any(address in network for network in networks)


def _plain(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
