"""Who the client is behind proxies: headers that are believed, ignored and refused."""

from __future__ import annotations

import socket
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.access.networks import read_networks
from coffre.config import Settings
from coffre.service.proxies import ClientAddress
from coffre.service.relay import BadHeader, Relay, read_header

PROXIES = ("10.0.0.0/24", "2001:db8:1::/64")
V2 = b"\r\n\r\n\0\r\nQUIT\n"


async def seen(
    headers: list[tuple[str, str]],
    peer: str = "10.0.0.1",
    header: Any = "X-Forwarded-For",
    scheme: str = "http",
    relayed: dict[tuple[str, int], str] | None = None,
) -> tuple[str, str] | int:
    """(client, scheme) that the application is told, or the status that the request is refused
    with before it."""
    told: list[tuple[str, str]] = []
    answered: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        told.append((scope["client"][0], scope["scheme"]))

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answered.append(message["status"])

    settings = Settings(trusted_proxies=PROXIES, proxy_header=header)
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"client": (peer, 40000), "scheme": scheme, "headers": raw}
    await ClientAddress(app, settings, relayed)(scope, None, send)
    return answered[0] if answered else told[0]


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("2001:db8::9", "2001:db8::9"),
        ("[2001:db8::9]:443", "2001:db8::9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9, 10.0.0.7", "203.0.113.9"),
        ("rubbish, 203.0.113.9, 10.0.0.7", "203.0.113.9"),
        ("10.0.0.8, 10.0.0.7", "10.0.0.8"),
    ],
)
async def test_the_client_is_the_rightmost_address_that_is_no_trusted_proxy(
    value: str, client: str
) -> None:
    assert await seen([("X-Forwarded-For", value)]) == (client, "http")


async def test_lines_of_one_header_are_one_list() -> None:
    lines = [("X-Forwarded-For", "198.51.100.1"), ("X-Forwarded-For", "203.0.113.9")]
    assert await seen(lines) == ("203.0.113.9", "http")


@pytest.mark.parametrize("peer", ["203.0.113.5", "10.0.1.1", "2001:db8:2::1", "127.0.0.1"])
async def test_what_others_than_the_proxies_say_is_ignored(peer: str) -> None:
    lies = [("X-Forwarded-For", "10.0.0.9"), ("X-Forwarded-Proto", "https")]
    assert await seen(lies, peer) == (peer, "http")


async def test_without_the_header_the_proxy_speaks_for_itself() -> None:
    assert await seen([]) == ("10.0.0.1", "http")
    assert await seen([], header="Forwarded") == ("10.0.0.1", "http")


@pytest.mark.parametrize(
    "value", ["", "unknown", "203.0.113.9, rubbish", "203.0.113.999", "1.2.3.4:5:6", "[::1", " , "]
)
async def test_what_a_proxy_says_and_cannot_be_read_is_refused(value: str) -> None:
    assert await seen([("X-Forwarded-For", value)]) == 400


async def test_more_hops_than_there_can_be_are_refused() -> None:
    assert await seen([("X-Forwarded-For", ",".join(["10.0.0.2"] * 65))]) == 400


@pytest.mark.parametrize(
    ("value", "expected"),
    [("https", "https"), ("HTTPS", "https"), ("https, http", "http"), ("http", "http")],
)
async def test_the_scheme_is_what_the_nearest_proxy_says(value: str, expected: str) -> None:
    headers = [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", value)]
    assert await seen(headers) == ("203.0.113.9", expected)


async def test_a_scheme_that_is_none_is_refused() -> None:
    assert await seen([("X-Forwarded-Proto", "gopher")]) == 400


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("for=203.0.113.9", ("203.0.113.9", "http")),
        ('for="203.0.113.9:80";proto=https;by=10.0.0.1', ("203.0.113.9", "https")),
        ('For="[2001:db8::9]:4711"; Proto=https', ("2001:db8::9", "https")),
        ("for=1.1.1.1;proto=http, for=203.0.113.9;proto=https", ("203.0.113.9", "https")),
        ("for=203.0.113.9;proto=https, for=10.0.0.3;proto=http", ("203.0.113.9", "https")),
        ('for=203.0.113.9;host="a,b;c=\\"d"', ("203.0.113.9", "http")),
        ("for=_hidden, for=203.0.113.9", ("203.0.113.9", "http")),
    ],
)
async def test_forwarded_is_read_as_its_rfc_says(value: str, expected: tuple[str, str]) -> None:
    assert await seen([("Forwarded", value)], header="Forwarded") == expected


@pytest.mark.parametrize(
    "value",
    [
        "proto=https",
        "for=",
        "for=unknown",
        "for=_hidden",
        'for="1.1.1.1',
        "for=1.1.1.1;for=2.2.2.2",
    ],
)
async def test_forwarded_that_cannot_be_read_is_refused(value: str) -> None:
    assert await seen([("Forwarded", value)], header="Forwarded") == 400


async def test_only_the_header_that_the_settings_name_is_read() -> None:
    both = [("Forwarded", "for=1.1.1.1"), ("X-Forwarded-For", "203.0.113.9")]
    assert await seen(both) == ("203.0.113.9", "http")
    assert await seen(both, header="Forwarded") == ("1.1.1.1", "http")
    assert await seen(both[:1]) == ("10.0.0.1", "http")


async def test_an_ipv4_client_of_an_ipv6_listener_is_its_ipv4_address() -> None:
    assert await seen([], "::ffff:203.0.113.9") == ("203.0.113.9", "http")
    hop = [("X-Forwarded-For", "203.0.113.9")]
    assert await seen(hop, "::ffff:10.0.0.1") == ("203.0.113.9", "http")


async def test_behind_the_relay_its_word_alone_counts() -> None:
    relayed = {("127.0.0.1", 40000): "203.0.113.9"}
    lies = [("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-Proto", "https")]
    assert await seen(lies, "127.0.0.1", "PROXY", relayed=relayed) == ("203.0.113.9", "http")
    assert await seen(lies, "127.0.0.1", "PROXY", relayed={}) == 400


@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_no_header_whatever_makes_it_fail(value: str) -> None:
    import asyncio

    for header in ("X-Forwarded-For", "Forwarded"):
        asyncio.run(seen([(header, value)], header=header))


def v2(command: int, family: int, block: bytes) -> bytes:
    return V2 + bytes((command, family)) + len(block).to_bytes(2, "big") + block


IPV4 = bytes((203, 0, 113, 9, 10, 0, 0, 1, 0x12, 0x34, 0x01, 0xBB))
IPV6 = bytes.fromhex("20010db8000000000000000000000009") + bytes(16) + bytes(4)


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (b"PROXY TCP4 203.0.113.9 10.0.0.1 4660 443\r\n", "203.0.113.9"),
        (b"PROXY TCP6 2001:db8::9 ::1 4660 443\r\n", "2001:db8::9"),
        (b"PROXY UNKNOWN\r\n", ""),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", ""),
        (v2(0x21, 0x11, IPV4), "203.0.113.9"),
        (v2(0x21, 0x11, IPV4 + b"\x04\x00\x03abc"), "203.0.113.9"),
        (v2(0x21, 0x21, IPV6), "2001:db8::9"),
        (v2(0x20, 0x00, b""), ""),
    ],
)
def test_proxy_headers_are_read_whole_and_no_further(header: bytes, client: str) -> None:
    assert read_header(header + b"GET / HTTP/1.1") == (len(header), client)
    assert all(read_header(header[:end]) is None for end in range(len(header)))


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00",
        b"PROXY TCP4 203.0.113.9 10.0.0.1 4660\r\n",
        b"PROXY TCP4 2001:db8::9 ::1 4660 443\r\n",
        b"PROXY TCP4 203.0.113.999 10.0.0.1 4660 443\r\n",
        b"PROXY UDP4 203.0.113.9 10.0.0.1 4660 443\r\n",
        b"PROXY TCP4 " + b"1" * 100,
        v2(0x31, 0x11, IPV4),
        v2(0x21, 0x12, IPV4),
        v2(0x21, 0x31, bytes(216)),
        v2(0x21, 0x11, IPV4[:-1]),
        v2(0x21, 0x00, b""),
        V2 + b"\x21\x11\xff\xff",
    ],
)
def test_what_is_no_proxy_header_is_refused(data: bytes) -> None:
    with pytest.raises(BadHeader):
        read_header(data)


@given(st.binary(max_size=200))
def test_no_first_bytes_whatever_make_it_fail(data: bytes) -> None:
    for begun in (data, b"PROXY " + data, V2 + data):
        try:
            found = read_header(begun)
        except BadHeader:
            continue
        assert found is None or found[0] <= len(begun)


async def test_the_relay_leaves_room_for_as_many_that_wait_as_there_was() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(200)
        relay = Relay(read_networks(PROXIES), 1.0)
        inner = await relay.stand_before(listener)
        assert inner is not None
        with inner:
            described = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
            # Of a socket that listens, tcpi_sacked is how many may wait.
            (room,) = struct.unpack_from("=I", described, 28)
            relay.close()
        assert room >= 200
