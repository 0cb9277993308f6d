"""Sources of time: the kernel's word, and an HTTPS server that proves who it is."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from coffre.config import Settings
from coffre.service import time_sources
from coffre.service.machine import KernelClock
from coffre.service.time_sources import HttpsTime, KernelTime

TOLD_S = 1_800_000_000


class _Answer(BaseHTTPRequestHandler):
    date: ClassVar[str | None] = None

    def do_HEAD(self) -> None:
        self.send_response_only(200)
        if self.date is not None:
            self.send_header("Date", self.date)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def certificate(folder: Path, name: str) -> Path:
    """A certificate of its own for localhost, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("tls"), "ours")


@pytest.fixture(scope="module")
def url(ours: Path) -> Iterator[str]:
    trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trusted.load_cert_chain(ours)
    server = HTTPServer(("127.0.0.1", 0), _Answer)
    server.socket = trusted.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"https://localhost:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


async def test_a_server_that_is_vouched_for_tells_the_time(url: str, ours: Path) -> None:
    _Answer.date = formatdate(TOLD_S, usegmt=True)
    reading = await HttpsTime(url, str(ours)).read()
    assert (reading.source, reading.now_ms) == (url, TOLD_S * 1000)


async def test_a_server_that_nobody_vouches_for_says_nothing(url: str, tmp_path: Path) -> None:
    for authority in (str(certificate(tmp_path, "theirs")), ""):
        reading = await HttpsTime(url, authority).read()
        assert reading.now_ms is None
        assert "CERTIFICATE_VERIFY_FAILED" in reading.note


@pytest.mark.parametrize("date", [None, "now"])
async def test_an_answer_without_a_date_says_nothing(
    url: str, ours: Path, date: str | None
) -> None:
    _Answer.date = date
    assert (await HttpsTime(url, str(ours)).read()).now_ms is None


async def test_nobody_there_says_nothing() -> None:
    assert (await HttpsTime("https://127.0.0.1:1", "").read()).now_ms is None


@pytest.mark.parametrize(
    ("kernel", "says"),
    [(None, None), (KernelClock(False, 16.0, 5), None), (KernelClock(True, 0.01, 5), 5)],
)
async def test_the_kernel_counts_while_something_keeps_it_right(
    monkeypatch: pytest.MonkeyPatch, kernel: KernelClock | None, says: int | None
) -> None:
    monkeypatch.setattr(time_sources, "kernel_clock", lambda: kernel)
    assert (await KernelTime().read()).now_ms == says


def test_a_node_asks_a_server_only_where_one_is_configured() -> None:
    assert len(time_sources.time_sources(Settings())) == 1
    assert len(time_sources.time_sources(Settings(clock_url="https://time.example"))) == 2
