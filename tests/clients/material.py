"""What tests send, and how they look at what came of it."""

from __future__ import annotations

import random
import urllib.request
from pathlib import Path


def some_bytes(size: int, seed: int = 0) -> bytes:
    """Bytes that look like nothing, the same for the same seed."""
    return random.Random(seed).randbytes(size)


def contents(root: Path) -> dict[str, bytes]:
    """Every file below `root` by its relative path."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def fetch(url: str) -> bytes:
    """What anybody with this URL gets."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        body: bytes = answer.read()
        return body


def send(url: str, body: bytes, **headers: str) -> int:
    """PUT to this URL; the status."""
    request = urllib.request.Request(url, data=body, method="PUT", headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        status: int = answer.status
        return status
