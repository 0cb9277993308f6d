"""Which store, bucket and key a request names: by its host, by its path, decoded exactly once."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from coffre.wire.errors import S3Error
from coffre.wire.names import check_key
from coffre.wire.request import RequestHead

_ABSOLUTE: Final = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_MAX_KEPT: Final = 256  # characters, so that strangers cannot fill the cache with long texts
_PORT: Final = re.compile(r":[0-9]*\Z")


class Target(Struct, frozen=True):
    """`store` None: the key's own. `bucket` None: the service. `key` None: the bucket.

    `virtual`: the host named the bucket. `host`: lower case, without port and trailing dot.
    Bucket names are only decoded here; whether such a bucket can be is for `names` or the catalog.
    """

    store: str | None
    bucket: str | None
    key: bytes | None
    virtual: bool
    host: str


def resolve(
    head: RequestHead, base_hosts: tuple[str, ...], is_store: Callable[[str], bool]
) -> Target:
    """The target of a request; raises nothing but S3Error, whatever the bytes.

    `<store>.<base>` and `<bucket>.<store>.<base>` name a store; `<x>.<base>` is a store if one has
    that name, else bucket x. Any other host counts as a base: an address, or a name put before us.
    """
    authority, path = _split(head)
    host, label = _read_host(authority, base_hosts)
    store, bucket = _named_by(label, is_store)
    if bucket is not None:
        return Target(store, bucket, _key(path[1:]), True, host)
    if path == b"/":
        return Target(store, None, None, False, host)
    raw_bucket, _, raw_key = path[1:].partition(b"/")
    if not raw_bucket:
        raise S3Error("InvalidBucketName", BucketName="")
    try:
        name = _decoded(raw_bucket).decode()
    except UnicodeDecodeError as error:
        raise _invalid(raw_bucket) from error
    return Target(store, name, _key(raw_key), False, host)


def key_of(head: RequestHead) -> bytes | None:
    """The key that a path names under a host that is a bucket's own; None for none. Raises as
    `resolve`."""
    _, path = _split(head)
    return _key(path[1:])


def host_forms(base_hosts: tuple[str, ...], region: str) -> tuple[str, ...]:
    """The bases, and what clients of AWS make of one with a region: `s3.<base>`,
    `s3.<region>.<base>`, `s3.dualstack.<region>.<base>`. No bucket is hidden by the first: its name
    would be too short; a bucket `s3.<region>` is reached by its path."""
    forms = ("{base}", "s3.{base}", "s3.{region}.{base}", "s3.dualstack.{region}.{base}")
    made = (form.format(base=base, region=region.lower()) for base in base_hosts for form in forms)
    return tuple(dict.fromkeys(made))


def _split(head: RequestHead) -> tuple[str, bytes]:
    """Authority and path, also of an absolute-form target (RFC 9112 §3.2.2).

    There the Host header must agree: it is what the signature covers.
    """
    hosts = head.by_name.get(b"host", [])
    if len(hosts) != 1 or not hosts[0].strip():
        raise S3Error("InvalidRequest", "Exactly one Host header is required")
    path = head.raw_path
    if not path.startswith(b"/"):
        absolute = _ABSOLUTE.fullmatch(path)
        if absolute is None:
            raise _invalid(path)
        if absolute[1].lower() != hosts[0].strip().lower():
            raise S3Error("InvalidRequest", "The Host header and the request target disagree")
        path = absolute[2] or b"/"
        if not path.startswith(b"/"):
            raise _invalid(path)
    return hosts[0].decode("latin-1"), path


def _read_host(authority: str, base_hosts: tuple[str, ...]) -> tuple[str, str]:
    """The host, and what of it stands before its base; the longest base wins where one ends
    another."""
    read = _split_host if len(authority) <= _MAX_KEPT else _split_host.__wrapped__
    return read(authority, base_hosts)


@lru_cache(maxsize=1024)
def _split_host(authority: str, base_hosts: tuple[str, ...]) -> tuple[str, str]:
    host = authority.strip().lower()
    if not host.endswith("]"):
        host = _PORT.sub("", host)
    host = host.removesuffix(".")
    bases = [base for base in base_hosts if host == base or host.endswith(f".{base}")]
    base = max(bases, key=len, default=host)
    return host, host[: -len(base) - 1] if host != base else ""


def _named_by(label: str, is_store: Callable[[str], bool]) -> tuple[str | None, str | None]:
    """Store and bucket that stand before the base."""
    if not label:
        return None, None
    if is_store(label):
        return label, None
    bucket, _, store = label.rpartition(".")
    if bucket and is_store(store):
        return store, bucket
    return None, label


def _key(raw: bytes) -> bytes | None:
    if not raw:
        return None
    key = _decoded(raw)
    check_key(key)
    return key


def _decoded(raw: bytes) -> bytes:
    if b"%" not in raw and b"\0" not in raw:
        return raw
    if _BAD_ESCAPE.search(raw):
        raise _invalid(raw)
    decoded = unquote_to_bytes(raw)
    if b"\0" in decoded:
        raise _invalid(raw)
    return decoded


def _invalid(raw: bytes) -> S3Error:
    return S3Error("InvalidURI", URI=raw.decode(errors="replace"))
