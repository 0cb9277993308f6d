"""An OpenID Connect issuer on a port of localhost: its keys over HTTPS, and tokens of its own."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

_PEM = serialization.Encoding.PEM
_PLAIN = serialization.NoEncryption()


def new_rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


def pem_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, _PLAIN)


class Issuer:
    """`keys` are those that it publishes, by name; `asked` counts who asked for them."""

    def __init__(self, folder: Path) -> None:
        self.keys: dict[str, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey] = {"one": new_rsa()}
        self.asked = 0
        self.codes: dict[str, dict[str, Any]] = {}
        self.secret: str | None = None
        self.away = False
        self.named: str | None = None
        self.ca_file = folder / "issuer.pem"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _write_certificate(self.ca_file)
        context.load_cert_chain(self.ca_file)
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(issuer._document(self.path)).encode()
                self.send_response(503 if issuer.away else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                form = parse_qs(self.rfile.read(size).decode())
                said = issuer._exchanged({name: one[0] for name, one in form.items()})
                body = json.dumps(said).encode()
                self.send_response(200 if "id_token" in said else 400)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Tests are quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://localhost:{self._server.server_port}/realm"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def name(self) -> str:
        """As policies say it."""
        return self.url.removeprefix("https://")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def token(
        self,
        key: str = "one",
        algorithm: str | None = None,
        named: str | None = None,
        **claims: Any,
    ) -> str:
        """A token signed by one of its keys; claims that are None are left out."""
        signing = self.keys[key]
        now = datetime.now(UTC)
        plain: dict[str, Any] = {
            "iss": self.url,
            "sub": "repo:house/app",
            "aud": "coffre",
            "iat": now,
            "exp": now + timedelta(minutes=5),
        }
        said = {name: one for name, one in {**plain, **claims}.items() if one is not None}
        default = "RS256" if isinstance(signing, rsa.RSAPrivateKey) else "ES256"
        headers = {"kid": named or key}
        return jwt.encode(said, signing, algorithm=algorithm or default, headers=headers)

    def allow(self, address: str, **claims: Any) -> str:
        """A browser was sent to `address`, and somebody signed in there: the code that it brings
        back."""
        asked = {name: one[0] for name, one in parse_qs(urlsplit(address).query).items()}
        code = f"code-{len(self.codes)}"
        self.codes[code] = {**asked, "claims": claims}
        return code

    def _exchanged(self, form: dict[str, str]) -> dict[str, Any]:
        """The token endpoint: a code is good once, for whoever began, with the right verifier."""
        asked = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if asked is None or any(
            asked[name] != form.get(name) for name in ("client_id", "redirect_uri")
        ):
            return {"error": "invalid_grant"}
        if asked["code_challenge"] != challenge or form.get("client_secret") != self.secret:
            return {"error": "invalid_client"}
        claims = {"aud": asked["client_id"], "nonce": asked["nonce"], **asked["claims"]}
        return {"id_token": self.token(**claims), "token_type": "Bearer"}

    def _document(self, path: str) -> Any:
        if path == "/realm/.well-known/openid-configuration":
            host = self.url.removesuffix("/realm")
            return {
                "issuer": self.named or self.url,
                "jwks_uri": f"{host}/keys?all=1",
                "authorization_endpoint": f"{host}/authorize",
                "token_endpoint": f"{host}/token",
            }
        if path == "/keys?all=1":
            self.asked += 1
            return {"keys": [_published(name, key) for name, key in self.keys.items()]}
        return {}


def _published(name: str, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> Any:
    if isinstance(key, rsa.RSAPrivateKey):
        found = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        found = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**found, "kid": name, "use": "sig"}


def _write_certificate(path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(pem_of(key) + certificate.public_bytes(_PEM))
