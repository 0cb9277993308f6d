"""Requests signed in advance, so that a load generator only sends bytes.

Signed by botocore's SigV4 header signer, not by ours: the load is what a client would send. The
signature is good for 15 minutes (S3's clock skew); each round signs its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


@dataclass(frozen=True)
class Request:
    """A signed request without its body."""

    method: str
    target: str
    headers: dict[str, str]

    def head(self) -> bytes:
        """The bytes up to the body."""
        lines = [f"{self.method} {self.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode()


class Signer:
    """Signs for one endpoint and key, path-style, with the payload left unsigned."""

    def __init__(self, endpoint: str, access_key: str, secret_key: str, region: str) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._host = urlsplit(endpoint).netloc
        self._auth = SigV4Auth(Credentials(access_key, secret_key), "s3", region)

    def sign(self, method: str, target: str, *, length: int = 0, answer: int = 0) -> Request:
        """`target`: path and query as sent, percent-encoded. `length`: of the body that follows.
        `answer`: the bytes that the bare server answers with; to Coffre the header is noise."""
        headers = {"Host": self._host, "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
        if method in ("PUT", "POST"):
            headers["Content-Length"] = str(length)
        if answer:
            headers["Bench-Answer"] = str(answer)
        request = AWSRequest(method=method, url=self._endpoint + target, headers=headers)
        self._auth.add_auth(request)
        return Request(method, target, dict(request.headers.items()))
