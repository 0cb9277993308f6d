"""One POST to whom the operator named. Redirects are not followed: where bodies go is the
operator's to say."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPSConnection
from typing import Final
from urllib.parse import urlsplit

PATIENCE_S: Final = 5.0


def post(url: str, body: bytes, headers: Mapping[str, str], ca_file: str = "") -> int:
    """The answer's status. `ca_file`: who signs the certificate, where the system does not know.
    Raises OSError, http.client.HTTPException. Blocks, for some seconds at most."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca_file or None)
        connection: HTTPConnection = HTTPSConnection(
            parts.netloc, timeout=PATIENCE_S, context=context
        )
    else:
        connection = HTTPConnection(parts.netloc, timeout=PATIENCE_S)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", path, body, {"User-Agent": "Coffre", **headers})
        answer = connection.getresponse()
        answer.read(1024)
        return answer.status
    finally:
        connection.close()
