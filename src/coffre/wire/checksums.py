"""Object checksums: what a request declares, what the bytes give, and whether both agree.

Sources: AWS "Checking object integrity" (user guide), PutObject and UploadPart (API reference).
Digests are big-endian; on the wire they are base64.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from typing import Final, Protocol

import xxhash
from awscrt import checksums as crt
from msgspec import Struct

from coffre.wire.errors import S3Error
from coffre.wire.payload import trailer_names
from coffre.wire.request import RequestHead

Data = bytes | bytearray | memoryview


class Algorithm(StrEnum):
    """A checksum algorithm by its name in AWS's API."""

    CRC32 = "CRC32"
    CRC32C = "CRC32C"
    CRC64NVME = "CRC64NVME"
    SHA1 = "SHA1"
    SHA256 = "SHA256"
    SHA512 = "SHA512"
    MD5 = "MD5"
    XXHASH64 = "XXHASH64"
    XXHASH3 = "XXHASH3"
    XXHASH128 = "XXHASH128"

    @property
    def header(self) -> str:
        """The header or trailer that carries a value, in lower case."""
        return f"x-amz-checksum-{self.value.lower()}"

    @property
    def size(self) -> int:
        """Bytes of a digest."""
        return _SIZES[self]


class ChecksumType(StrEnum):
    """Over a multipart object's whole (FULL_OBJECT) or over its parts' digests (COMPOSITE)."""

    COMPOSITE = "COMPOSITE"
    FULL_OBJECT = "FULL_OBJECT"


class _Hash(Protocol):
    def update(self, data: Data, /) -> object: ...
    def digest(self) -> bytes: ...


_CRC: Final[dict[Algorithm, Callable[[Data, int], int]]] = {
    Algorithm.CRC32: crt.crc32,
    Algorithm.CRC32C: crt.crc32c,
    Algorithm.CRC64NVME: crt.crc64nvme,
}
_CRC_COMBINE: Final[dict[Algorithm, Callable[[int, int, int], int]]] = {
    Algorithm.CRC32: crt.combine_crc32,
    Algorithm.CRC32C: crt.combine_crc32c,
    Algorithm.CRC64NVME: crt.combine_crc64nvme,
}
_HASH: Final[dict[Algorithm, Callable[[], _Hash]]] = {
    Algorithm.SHA1: partial(hashlib.sha1, usedforsecurity=False),
    Algorithm.SHA256: hashlib.sha256,
    Algorithm.SHA512: hashlib.sha512,
    Algorithm.MD5: partial(hashlib.md5, usedforsecurity=False),
    Algorithm.XXHASH64: xxhash.xxh64,
    Algorithm.XXHASH3: xxhash.xxh3_64,
    Algorithm.XXHASH128: xxhash.xxh3_128,
}
_SIZES: Final = {
    Algorithm.CRC32: 4,
    Algorithm.CRC32C: 4,
    Algorithm.CRC64NVME: 8,
    **{algorithm: len(new().digest()) for algorithm, new in _HASH.items()},
}
_BY_HEADER: Final = {algorithm.header: algorithm for algorithm in Algorithm}
# Headers that share the prefix of values without being one.
_NOT_VALUES: Final = frozenset(
    {b"x-amz-checksum-algorithm", b"x-amz-checksum-type", b"x-amz-checksum-mode"}
)


class Declared(Struct, frozen=True):
    """What a request declares of its payload's digests.

    The value is in `expected` (a header) or follows in the trailer named `trailer`; with neither,
    `algorithm` only asks for one to be computed. `parts` is N where a composite value `…-N` was
    given.
    """

    content_md5: bytes | None = None
    algorithm: Algorithm | None = None
    expected: bytes | None = None
    trailer: str | None = None
    checksum_type: ChecksumType | None = None
    parts: int | None = None


_NOTHING: Final = Declared()


def declared(head: RequestHead, *, composite: bool = False) -> Declared:
    """What a request declares of its digests; `composite` also takes `base64-N` values.

    Raises InvalidDigest for a bad Content-MD5, InvalidRequest for bad, several or contradictory
    checksum headers.
    """
    content_md5 = _content_md5(head)
    if not any(
        name.startswith((b"x-amz-checksum-", b"x-amz-sdk-ch", b"x-amz-trailer"))
        for name in head.by_name
    ):
        return _NOTHING if content_md5 is None else Declared(content_md5=content_md5)
    stated, trailing = _stated(head), _trailing(head)
    if len(stated) + len(trailing) > 1:
        raise S3Error(
            "InvalidRequest",
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        )
    algorithm = next(iter((*stated, *trailing)), None)
    expected = parts = None
    if stated:
        algorithm, text = next(iter(stated.items()))
        expected, parts = _value(algorithm, text, "header", composite=composite)
    asked = _asked(head)
    _check_sdk_algorithm(head, algorithm, asked)
    if asked is not None and algorithm not in (None, asked):
        raise _invalid_value("x-amz-checksum-algorithm", "header")
    return Declared(
        content_md5=content_md5,
        algorithm=algorithm or asked,
        expected=expected,
        trailer=next(iter(trailing)).header if trailing else None,
        checksum_type=_checksum_type(head, algorithm or asked),
        parts=parts,
    )


def multipart_type(algorithm: Algorithm, asked: ChecksumType | None) -> ChecksumType:
    """The checksum type of a multipart upload. Raises InvalidRequest for one it cannot have."""
    composite_only = algorithm not in _CRC
    full_only = algorithm is Algorithm.CRC64NVME
    if asked is None:
        return ChecksumType.FULL_OBJECT if full_only else ChecksumType.COMPOSITE
    if (composite_only and asked is ChecksumType.FULL_OBJECT) or (
        full_only and asked is ChecksumType.COMPOSITE
    ):
        raise S3Error(
            "InvalidRequest",
            f"The {asked.value} checksum type cannot be used with the {algorithm.value.lower()} "
            "checksum algorithm.",
        )
    return asked


class Running:
    """MD5 and one checksum over a payload as it passes; MD5 is never computed twice."""

    __slots__ = ("_crc", "_hash", "_md5", "_value", "algorithm")

    def __init__(self, algorithm: Algorithm | None, *, md5: bool = True) -> None:
        self.algorithm = algorithm
        wants_md5 = md5 or algorithm is Algorithm.MD5
        self._md5 = hashlib.md5(usedforsecurity=False) if wants_md5 else None
        self._value = 0
        self._crc: Callable[[Data, int], int] | None = None
        self._hash: _Hash | None = None
        if algorithm is Algorithm.MD5 or algorithm is None:
            self._hash = self._md5
        elif algorithm in _CRC:
            self._crc = _CRC[algorithm]
        else:
            self._hash = _HASH[algorithm]()

    def update(self, data: Data) -> None:
        if self._md5 is not None:
            self._md5.update(data)
        if self._crc is not None:
            self._value = self._crc(data, self._value)
        elif self._hash is not None and self._hash is not self._md5:
            self._hash.update(data)

    @property
    def md5_digest(self) -> bytes:
        """16 bytes. Only where MD5 was asked for."""
        assert self._md5 is not None, "MD5 was not asked for"
        return self._md5.digest()

    @property
    def md5_hex(self) -> str:
        """32 lower-case digits: an ETag without its quotes. Only where MD5 was asked for."""
        return self.md5_digest.hex()

    def value(self) -> bytes:
        """The digest of `algorithm`, big-endian. Only where there is an algorithm."""
        assert self.algorithm is not None, "no checksum was asked for"
        if self._crc is not None:
            return self._value.to_bytes(self.algorithm.size, "big")
        assert self._hash is not None, "an algorithm is a CRC or a hash"
        return self._hash.digest()

    def value_b64(self) -> str:
        return b64encode(self.value()).decode()


def check(declared: Declared, running: Running, trailers: Mapping[str, str]) -> None:
    """Hold what was declared, in headers or `trailers`, against what was computed.

    `running` must have the declared algorithm, and MD5 where Content-MD5 was declared. Raises
    BadDigest for a difference, InvalidRequest or MalformedTrailerError for a bad trailer.
    """
    if declared.content_md5 is not None and declared.content_md5 != running.md5_digest:
        raise S3Error(
            "BadDigest",
            "The Content-MD5 you specified did not match what we received.",
            ExpectedDigest=declared.content_md5.hex(),
            CalculatedDigest=b64encode(running.md5_digest).decode(),
        )
    if declared.algorithm is None:
        return
    expected = declared.expected
    if declared.trailer is not None:
        text = trailers.get(declared.trailer)
        if text is None:
            raise S3Error("MalformedTrailerError")
        expected, _ = _value(declared.algorithm, text, "trailing header", composite=False)
    if expected is not None and expected != running.value():
        raise S3Error(
            "BadDigest",
            f"The {declared.algorithm.value} you specified did not match the calculated checksum.",
        )


def combine_full(algorithm: Algorithm, parts: Sequence[tuple[bytes, int]]) -> bytes:
    """A whole object's CRC from its parts' (digest, size in bytes), without reading them again.

    Raises ValueError for an algorithm that is not a CRC: only CRCs combine.
    """
    if algorithm not in _CRC_COMBINE:
        raise ValueError(f"{algorithm} has no full-object checksum of a multipart object")
    combine = _CRC_COMBINE[algorithm]
    whole = 0
    for digest, size in parts:
        whole = combine(whole, int.from_bytes(digest, "big"), size)
    return whole.to_bytes(algorithm.size, "big")


def composite(algorithm: Algorithm, digests: Sequence[bytes]) -> str:
    """A multipart object's checksum of checksums: `base64-N` over its parts' digests."""
    running = Running(algorithm, md5=False)
    running.update(b"".join(digests))
    return f"{running.value_b64()}-{len(digests)}"


def _content_md5(head: RequestHead) -> bytes | None:
    if b"content-md5" not in head.by_name:
        return None
    values = set(head.by_name[b"content-md5"])
    text = head.header(b"content-md5") or ""
    digest = _decoded(text, Algorithm.MD5.size)
    if digest is None or len(values) > 1:
        raise S3Error(
            "InvalidDigest",
            "The Content-MD5 you specified was invalid.",
            headers=(),
            **{"Content-MD5": text},
        )
    return digest


def _stated(head: RequestHead) -> dict[Algorithm, str]:
    found: dict[Algorithm, str] = {}
    for name, values in head.by_name.items():
        if not name.startswith(b"x-amz-checksum-") or name in _NOT_VALUES:
            continue
        header = name.decode("latin-1")
        algorithm = _BY_HEADER.get(header)
        if algorithm is None:
            raise S3Error(
                "InvalidRequest",
                "The algorithm type you specified in x-amz-checksum- header is invalid.",
            )
        if len(values) > 1:
            raise _invalid_value(header, "header")
        found[algorithm] = head.header(name) or ""
    return found


def _trailing(head: RequestHead) -> tuple[Algorithm, ...]:
    if b"x-amz-trailer" not in head.by_name:
        return ()
    names = trailer_names(head)
    if any(name not in _BY_HEADER for name in names):
        raise S3Error(
            "InvalidRequest", "The value specified in the x-amz-trailer header is not supported"
        )
    return tuple(_BY_HEADER[name] for name in names)


def _asked(head: RequestHead) -> Algorithm | None:
    """`x-amz-checksum-algorithm`: what CreateMultipartUpload and CopyObject want computed."""
    text = head.header(b"x-amz-checksum-algorithm")
    if text is None:
        return None
    try:
        return Algorithm(text.upper())
    except ValueError:
        names = ", ".join(algorithm.value for algorithm in Algorithm)
        raise S3Error(
            "InvalidRequest",
            "Checksum algorithm provided is unsupported. Please try again with any of the valid "
            f"types: [{names}]",
        ) from None


def _check_sdk_algorithm(
    head: RequestHead, algorithm: Algorithm | None, asked: Algorithm | None
) -> None:
    text = head.header(b"x-amz-sdk-checksum-algorithm")
    if text is None:
        return
    if text.upper() not in Algorithm.__members__:
        raise _invalid_value("x-amz-sdk-checksum-algorithm", "header")
    if algorithm is None and asked is None:
        raise S3Error(
            "InvalidRequest",
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or "
            "x-amz-trailer headers were found.",
        )
    if text.upper() != (algorithm or asked):
        raise _invalid_value("x-amz-sdk-checksum-algorithm", "header")


def _checksum_type(head: RequestHead, algorithm: Algorithm | None) -> ChecksumType | None:
    text = head.header(b"x-amz-checksum-type")
    if text is None:
        return None
    if text.upper() not in ChecksumType.__members__:
        raise _invalid_value("x-amz-checksum-type", "header")
    asked = ChecksumType(text.upper())
    return asked if algorithm is None else multipart_type(algorithm, asked)


def _value(
    algorithm: Algorithm, text: str, place: str, *, composite: bool
) -> tuple[bytes, int | None]:
    parts = None
    if composite and "-" in text:
        text, _, count = text.rpartition("-")
        if not (count.isascii() and count.isdigit() and 1 <= len(count) <= 5):
            raise _invalid_value(algorithm.header, place)
        parts = int(count)
    digest = _decoded(text, algorithm.size)
    if digest is None:
        raise _invalid_value(algorithm.header, place)
    return digest, parts


def _decoded(text: str, size: int) -> bytes | None:
    try:
        digest = b64decode(text, validate=True)
    except ValueError:
        return None
    return digest if len(digest) == size else None


def _invalid_value(name: str, place: str) -> S3Error:
    return S3Error("InvalidRequest", f"Value for {name} {place} is invalid.")
