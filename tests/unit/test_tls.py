"""Certificates: what the local authority makes, when it renews, and what is refused."""

from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from coffre.config import Settings
from coffre.service.layout import DataFolder
from coffre.service.tls import (
    AUTHORITY_DAYS,
    MOST_STORES,
    BadCertificate,
    LocalAuthority,
    certificate_files,
    end,
    facts,
    read_pair,
    stamp,
    wanted_names,
)

NOW_MS = 1_800_000_000_000
DAY_MS = 24 * 3600 * 1000
NAMES = ("localhost", "*.s3.example", "127.0.0.1", "2001:db8::1")


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=str(tmp_path))


def test_a_made_certificate_holds_what_was_wanted_and_verifies(
    folder: DataFolder, settings: Settings
) -> None:
    authority = LocalAuthority(folder)
    assert authority.keep(NAMES, NOW_MS)
    assert facts(settings)["names"] == list(NAMES)
    path, _ = certificate_files(settings)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority.certificate_path)
    assert len(context.get_ca_certs()) == 1
    own, issuer = x509.load_pem_x509_certificates(path.read_bytes())
    own.verify_directly_issued_by(issuer)


def test_keys_are_the_owners_alone(folder: DataFolder) -> None:
    LocalAuthority(folder).keep(NAMES, NOW_MS)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.tls.iterdir()}
    assert modes == {"ca.pem": 0o644, "ca.key": 0o600, "server.pem": 0o600}


@pytest.mark.parametrize(
    ("days", "names", "renewed"),
    [
        (0, NAMES, False),
        (59, NAMES, False),
        (60, NAMES, True),
        (200, NAMES, True),
        (0, ("localhost",), False),
        (0, (*NAMES, "other.example"), True),
    ],
)
def test_it_is_renewed_when_due_or_when_a_name_is_missing(
    folder: DataFolder, settings: Settings, days: int, names: tuple[str, ...], renewed: bool
) -> None:
    authority = LocalAuthority(folder)
    authority.keep(NAMES, NOW_MS)
    before = stamp(settings)
    assert authority.keep(names, NOW_MS + days * DAY_MS) is renewed
    assert (stamp(settings) != before) is renewed


def test_near_the_authoritys_own_end_a_certificate_is_not_made_at_every_look(
    folder: DataFolder,
) -> None:
    authority = LocalAuthority(folder)
    authority.keep(NAMES, NOW_MS)
    late = NOW_MS + (AUTHORITY_DAYS - 10) * DAY_MS
    assert authority.keep(NAMES, late)
    assert not authority.keep(NAMES, late + DAY_MS)


def test_an_authority_that_has_ended_signs_no_more(folder: DataFolder) -> None:
    authority = LocalAuthority(folder)
    authority.keep(NAMES, NOW_MS)
    with pytest.raises(BadCertificate, match="renew --ca"):
        authority.keep(NAMES, NOW_MS + AUTHORITY_DAYS * DAY_MS)
    authority.replace(NAMES, NOW_MS + AUTHORITY_DAYS * DAY_MS)
    assert not authority.keep(NAMES, NOW_MS + AUTHORITY_DAYS * DAY_MS)


def test_what_was_damaged_or_cut_short_is_made_again(
    folder: DataFolder, settings: Settings
) -> None:
    authority = LocalAuthority(folder)
    authority.keep(NAMES, NOW_MS)
    (folder.tls / "server.pem").write_text("no certificate")
    (folder.tls / "server.pem.tmp").write_text("left by a cut")
    assert authority.keep(NAMES, NOW_MS)
    read_pair(settings)


def test_names_are_those_of_stores_and_of_buckets_under_every_base() -> None:
    settings = Settings(
        bases=("s3.example", "localhost"), host="::1", tls_names=("store.lan", "10.0.0.1")
    )
    names = wanted_names(settings, ["main", "other"])
    assert {"s3.example", "*.s3.example", "*.main.s3.example", "*.other.localhost"} <= set(names)
    # OpenSSL takes no wildcard right under a name without a dot.
    assert {"main.localhost", "store.lan", "10.0.0.1", "::1", "127.0.0.1"} <= set(names)
    assert len(names) == len(set(names))


def test_the_address_of_every_interface_is_no_name() -> None:
    assert "0.0.0.0" not in wanted_names(Settings(host="0.0.0.0"), [])


def test_very_many_stores_do_not_make_a_certificate_that_clients_cannot_read() -> None:
    names = wanted_names(Settings(), [f"store-{number:04}" for number in range(1000)])
    assert sum(name.startswith("store-") for name in names) == MOST_STORES


def _key_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    """Settings with a certificate of the operator's own: a pair that fits."""
    LocalAuthority(DataFolder(tmp_path)).keep(NAMES, NOW_MS)
    certificate, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    whole = (tmp_path / "tls" / "server.pem").read_text()
    at = whole.index("-----BEGIN PRIVATE KEY")
    certificate.write_text(whole[:at])
    key.write_text(whole[at:])
    return Settings(data=str(tmp_path), tls_certificate=str(certificate), tls_key=str(key))


def test_the_operators_own_pair_is_taken(own: Settings) -> None:
    assert read_pair(own).chain == Path(own.tls_certificate).read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("key.pem", b"", "no private key"),
        ("key.pem", _key_pem(ec.generate_private_key(ec.SECP256R1())), "is not the key of"),
        ("key.pem", _key_pem(ec.generate_private_key(ec.SECP521R1())), "cannot serve"),
        ("key.pem", _key_pem(rsa.generate_private_key(65537, 1024)), "cannot serve"),
        (
            "chain.pem",
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "holds no",
        ),
        ("chain.pem", b"", "holds no certificate"),
    ],
)
def test_files_that_cannot_serve_are_refused_with_the_reason(
    own: Settings, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadCertificate, match=said):
        read_pair(own)


def test_a_file_that_is_missing_is_refused_with_its_name(own: Settings) -> None:
    Path(own.tls_key).unlink()
    assert stamp(own) is None
    with pytest.raises(BadCertificate, match=r"key\.pem cannot be read"):
        read_pair(own)


def test_times_are_the_clocks_not_the_machines(folder: DataFolder, settings: Settings) -> None:
    LocalAuthority(folder).keep(NAMES, NOW_MS)
    found = facts(settings)
    begun = datetime.fromtimestamp(NOW_MS / 1000, UTC) - timedelta(hours=1)
    assert found["not_before_ms"] == int(begun.timestamp() * 1000)
    assert found["not_after_ms"] == NOW_MS + 90 * DAY_MS


def test_an_end_that_is_near_is_told(folder: DataFolder, settings: Settings) -> None:
    assert end(settings, NOW_MS) is None
    LocalAuthority(folder).keep(NAMES, NOW_MS)
    ends_ms = NOW_MS + 90 * DAY_MS
    assert end(settings, ends_ms - 22 * DAY_MS) == {"ends_ms": ends_ms, "soon": False}
    assert end(settings, ends_ms - 20 * DAY_MS) == {"ends_ms": ends_ms, "soon": True}
