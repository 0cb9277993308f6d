"""Certificates of the HTTPS listeners: those that the operator names, else a local authority's.

The local authority lies in `DATA/tls`: `ca.pem` (what clients are told to trust), `ca.key`, and
`server.pem`, the server's key and certificate in one file, so that both change together. All but
`ca.pem` are the owner's alone. The authority lives for ten years; the server's certificate for 90
days, and is made anew 30 days before its end, or when a name is missing from it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import apsw
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

from coffre.config import Settings
from coffre.service.layout import DataFolder, StartRefused
from coffre.service.zone import catalog_reader
from coffre.system.clock import SystemClock

AUTHORITY_DAYS: Final = 3650
SERVER_DAYS: Final = 90
RENEW_DAYS: Final = 30
# What renews itself has been late for long by then; of one's own there is time to get another.
WARN_DAYS: Final = 21
# A certificate of very many names is more than some clients read in a handshake.
AUTHORITY: Final = "ca.pem"
MOST_STORES: Final = 100
# Clients' clocks may be behind this machine's.
_EARLIER: Final = timedelta(hours=1)
_LEAST_RSA_BITS: Final = 2048
_DAY_MS: Final = 24 * 3600 * 1000


class BadCertificate(StartRefused):
    """Files that cannot serve: which, and why."""


class Pair(Struct, frozen=True):
    """A certificate chain, the server's own first, and its private key, both PEM."""

    chain: bytes
    key: bytes


class Stamp(Struct, frozen=True):
    """What changes when one of the files does."""

    files: tuple[tuple[int, int, int], ...]


def certificate_files(settings: Settings) -> tuple[Path, Path]:
    """Where chain and key lie: the settings' files, or the local authority's."""
    if settings.tls_certificate:
        return Path(settings.tls_certificate), Path(settings.tls_key)
    server = DataFolder(Path(settings.data)).tls / "server.pem"
    return server, server


def authority_file(settings: Settings) -> Path:
    """Where the local authority's certificate lies, or will."""
    return DataFolder(Path(settings.data)).tls / AUTHORITY


def is_local(settings: Settings) -> bool:
    """Whether the certificate is the local authority's."""
    return not settings.tls_certificate


def stamp(settings: Settings) -> Stamp | None:
    """The files as they stand; None while one is missing."""
    try:
        stats = [os.stat(path) for path in certificate_files(settings)]
    except OSError:
        return None
    return Stamp(tuple((one.st_mtime_ns, one.st_ino, one.st_size) for one in stats))


def read_pair(settings: Settings) -> Pair:
    """Chain and key, which belong together. Raises BadCertificate."""
    chain_path, key_path = certificate_files(settings)
    pair = Pair(_bytes(chain_path), _bytes(key_path))
    certificates = _certificates(pair.chain, chain_path)
    try:
        key = load_pem_private_key(pair.key, None)
    except (ValueError, TypeError) as error:
        raise BadCertificate(
            f"{key_path} holds no private key without a passphrase ({error}):"
            " give one as PEM with tls_key"
        ) from None
    if not _serves(key):
        raise BadCertificate(
            f"{key_path} is of a kind that cannot serve: use ECDSA P-256 or P-384, Ed25519, or RSA"
            f" of at least {_LEAST_RSA_BITS} bits"
        )
    if _public(key.public_key()) != _public(certificates[0].public_key()):
        raise BadCertificate(
            f"{key_path} is not the key of {chain_path}: put the server's own certificate first"
        )
    return pair


def facts(settings: Settings) -> dict[str, Any]:
    """What the server's certificate says, JSON-shaped. Raises BadCertificate."""
    path, key_path = certificate_files(settings)
    read_pair(settings)
    own = _certificates(_bytes(path), path)[0]
    return {
        "certificate": str(path),
        "key": str(key_path),
        "local": is_local(settings),
        "names": _names(own),
        "issuer": own.issuer.rfc4514_string(),
        "not_before_ms": _ms(own.not_valid_before_utc),
        "not_after_ms": _ms(own.not_valid_after_utc),
        "sha256": own.fingerprint(hashes.SHA256()).hex(),
    }


def end(settings: Settings, now_ms: int) -> dict[str, Any] | None:
    """When the certificate ends (`ends_ms`), and whether that is near (`soon`); None if it cannot
    be read, which `coffre doctor` explains."""
    try:
        ends_ms: int = facts(settings)["not_after_ms"]
    except BadCertificate:
        return None
    return {"ends_ms": ends_ms, "soon": ends_ms - now_ms < WARN_DAYS * _DAY_MS}


def wanted_names(settings: Settings, stores: Iterable[str]) -> tuple[str, ...]:
    """Every name and address under which clients reach this node: the bases, stores under them,
    and buckets under those (a wildcard stands for one label, and never for one right under a name
    like `localhost`)."""
    names = ["localhost", *settings.tls_names]
    named = sorted(stores)[:MOST_STORES]
    for base in settings.bases:
        own = (f"{store}.{base}" for store in named)
        names += [base, f"*.{base}", *(form for name in own for form in (name, f"*.{name}"))]
        names += [f"*.s3-website.{base}"]
    names += [form for base in settings.website_bases for form in (base, f"*.{base}")]
    names += ["127.0.0.1", "::1"]
    if not _unspecified(settings.host):
        names.append(settings.host)
    return tuple(dict.fromkeys(_canonical(name) for name in names))


def certify(settings: Settings, *, renew: bool = False, replace: bool = False) -> None:
    """Have a certificate to serve with: the operator's is looked at, the local authority's is made
    or renewed when it is due (`renew`: now; `replace`: by another authority). Raises StartRefused.
    """
    if not is_local(settings):
        read_pair(settings)
        return
    folder = DataFolder(Path(settings.data))
    now_ms = SystemClock().now_ms()
    try:
        stores = [store.name for store in catalog_reader(folder).stores()]
    except (apsw.Error, OSError) as error:
        raise StartRefused(f"{folder.catalog} cannot be read now: {error}") from error
    names = wanted_names(settings, stores)
    authority = LocalAuthority(folder)
    try:
        if replace:
            authority.replace(names, now_ms)
        else:
            authority.keep(names, now_ms, renew=renew)
    except OSError as error:
        raise StartRefused(
            f"{folder.tls} cannot be written ({error.strerror}): it belongs to the user that serves"
        ) from error


class LocalAuthority:
    """The authority in a data folder: makes and renews the server's certificate."""

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder.tls
        self.certificate_path = self._folder / AUTHORITY
        self._key_path = self._folder / "ca.key"
        self._server_path = self._folder / "server.pem"

    def keep(self, names: tuple[str, ...], now_ms: int, *, renew: bool = False) -> bool:
        """Have a certificate for these names that is not about to end; whether one was made.
        `renew`: in any case. Raises BadCertificate, OSError."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        if not (self.certificate_path.exists() and self._key_path.exists()):
            self._make_authority(now_ms)
        elif not renew and self._serves(names, now_ms):
            return False
        self._make_server(names, now_ms)
        return True

    def replace(self, names: tuple[str, ...], now_ms: int) -> None:
        """Another authority, and a server's certificate by it: clients must trust it anew."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._make_authority(now_ms)
        self._make_server(names, now_ms)

    def _serves(self, names: tuple[str, ...], now_ms: int) -> bool:
        if not self._server_path.exists():
            return False
        authority = self._authority()
        try:
            own = _certificates(_bytes(self._server_path), self._server_path)[0]
            own.verify_directly_issued_by(authority)
        except (BadCertificate, InvalidSignature, ValueError, TypeError):
            return False
        # None lives longer than what signed it.
        due = own.not_valid_after_utc - timedelta(days=RENEW_DAYS)
        if own.not_valid_after_utc > authority.not_valid_after_utc - timedelta(days=1):
            due = own.not_valid_after_utc
        return _time(now_ms) < due and set(names) <= set(_names(own))

    def _authority(self) -> x509.Certificate:
        return _certificates(_bytes(self.certificate_path), self.certificate_path)[0]

    def _make_authority(self, now_ms: int) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Coffre local authority")])
        made = (
            _begun(name, name, key.public_key(), now_ms, AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        # The certificate last: where it stands, its key does too.
        _write(self._key_path, _key_pem(key), 0o600)
        _write(self.certificate_path, made.public_bytes(Encoding.PEM), 0o644)

    def _make_server(self, names: tuple[str, ...], now_ms: int) -> None:
        authority = self._authority()
        signer = load_pem_private_key(_bytes(self._key_path), None)
        if not isinstance(signer, ec.EllipticCurvePrivateKey):
            raise BadCertificate(f"{self._key_path} is not ours: `coffre tls renew --ca`")
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Coffre")])
        end = (authority.not_valid_after_utc - _time(now_ms)).days
        if end < 1:
            raise BadCertificate(
                f"{self.certificate_path} has ended: `coffre tls renew --ca` makes another, which"
                " clients must be given"
            )
        made = (
            _begun(subject, authority.subject, key.public_key(), now_ms, min(SERVER_DAYS, end))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.SubjectAlternativeName([_general(name) for name in names]), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
                critical=False,
            )
            .sign(signer, hashes.SHA256())
        )
        chain = made.public_bytes(Encoding.PEM) + authority.public_bytes(Encoding.PEM)
        _write(self._server_path, chain + _key_pem(key), 0o600)


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now_ms: int, days: int
) -> x509.CertificateBuilder:
    now = _time(now_ms)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    """Whole or not at all, whoever reads meanwhile."""
    beside = path.with_name(f"{path.name}.tmp")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    os.replace(beside, path)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadCertificate(
            f"{path} cannot be read ({error.strerror}): name others with tls_certificate and"
            " tls_key"
        ) from None


def _certificates(pem: bytes, path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise BadCertificate(
            f"{path} holds no certificate ({error}): give a PEM chain with tls_certificate"
        ) from None


def _serves(key: object) -> bool:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.key_size >= _LEAST_RSA_BITS
    return isinstance(key, ed25519.Ed25519PrivateKey)


def _public(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [
        *found.get_values_for_type(x509.DNSName),
        *(str(one) for one in found.get_values_for_type(x509.IPAddress)),
    ]


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _canonical(name: str) -> str:
    try:
        return str(ip_address(name))
    except ValueError:
        return name


def _unspecified(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


def _time(now_ms: int) -> datetime:
    return datetime.fromtimestamp(now_ms // 1000, UTC)


def _ms(when: datetime) -> int:
    return int(when.timestamp() * 1000)
