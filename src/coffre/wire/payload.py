"""Request bodies as a stream: lengths, hashes and the aws-chunked framing.

A decoder takes the body's bytes as they arrive, gives payload back at once and says at `finish`
whether the whole was what its sender declared; nothing may be committed before. Sources: AWS
"Transferring Payload in Multiple Chunks (Chunked Upload)" and "Including Trailing Headers".
"""

from __future__ import annotations

from enum import Enum, auto
from hashlib import sha256
from hmac import compare_digest
from typing import Final, Protocol

from coffre.wire import sigv4
from coffre.wire.auth import Verified, signature_mismatch
from coffre.wire.claim import payload_mode
from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead

MIN_CHUNK: Final = 8192  # bytes; only the last chunk may hold less
MAX_LINE: Final = 256  # bytes of a chunk's size line; a signed one takes about 100
MAX_TRAILERS: Final = 8192  # bytes of all trailers with their signature

_TRAILER_SIGNATURE: Final = "x-amz-trailer-signature"
_SIGNATURE_EXTENSION: Final = b"chunk-signature="
_HEX: Final = frozenset(b"0123456789abcdefABCDEF")


class BodyDecoder(Protocol):
    """Payload out of a request body; `expected` is its decoded length in bytes, if declared."""

    expected: int | None

    def feed(self, data: bytes) -> list[bytes | memoryview]:
        """The payload in the next bytes of the body, in order. Raises S3Error."""
        ...

    def finish(self) -> dict[str, str]:
        """Check the whole after its last byte; the trailers by lower-case name. Raises S3Error."""
        ...


def body_decoder(
    head: RequestHead, verified: Verified | None, *, require_length: bool = True
) -> BodyDecoder:
    """The decoder for a request's body; only `x-amz-content-sha256` decides how it is framed.

    `verified` is None for an anonymous request. Raises S3Error for lengths that are missing
    (unless not `require_length`) or not numbers.
    """
    mode = payload_mode(head) if verified is None else verified.claim.payload_hash
    length = content_length(head)
    if not mode.startswith("STREAMING-"):
        if length is None and require_length:
            raise S3Error("MissingContentLength")
        return _Plain(length, None if mode == sigv4.UNSIGNED_PAYLOAD else mode)
    decoded = _number(head, b"x-amz-decoded-content-length")
    if decoded is None:
        raise S3Error("MissingContentLength")
    chain = None
    if mode != sigv4.STREAMING_UNSIGNED_TRAILER:
        if verified is None or not verified.claim.scheme.is_v4:
            raise S3Error(
                "InvalidArgument",
                "A signed chunked payload requires AWS Signature Version 4",
                ArgumentName="x-amz-content-sha256",
                ArgumentValue=mode,
            )
        chain = _Chain(verified)
    declared = trailer_names(head) if mode.endswith("-TRAILER") else None
    return _Chunked(decoded, length, chain, declared)


def content_length(head: RequestHead) -> int | None:
    """The declared Content-Length; None when missing or blank. Raises InvalidArgument."""
    return _number(head, b"content-length")


def trailer_names(head: RequestHead) -> tuple[str, ...]:
    """The trailers that `x-amz-trailer` announces, in lower case."""
    listed = b",".join(head.by_name.get(b"x-amz-trailer", ())).decode("latin-1").lower()
    return tuple(name for piece in listed.split(",") if (name := piece.strip()))


def _number(head: RequestHead, name: bytes) -> int | None:
    if name not in head.by_name:
        return None
    values = {value.strip() for value in head.by_name[name]}
    if values == {b""}:
        return None
    text = values.pop()
    if values or not text.isdigit() or len(text) > 18:
        raise S3Error(
            "InvalidArgument",
            f"The {name.decode()} header must be one non-negative number",
            ArgumentName=name.decode(),
            ArgumentValue=text.decode("latin-1"),
        )
    return int(text)


def _incomplete(header: str) -> S3Error:
    return S3Error(
        "IncompleteBody",
        f"You did not provide the number of bytes specified by the {header} HTTP header",
    )


class _Plain:
    """A body sent as it is, perhaps with its SHA-256 signed."""

    def __init__(self, expected: int | None, sha256_hex: str | None) -> None:
        self.expected = expected
        self._declared = sha256_hex
        self._hash = None if sha256_hex is None else sha256()
        self._seen = 0

    def feed(self, data: bytes) -> list[bytes | memoryview]:
        self._seen += len(data)
        if self.expected is not None and self._seen > self.expected:
            raise _incomplete("Content-Length")
        if self._hash is not None:
            self._hash.update(data)
        return [data] if data else []

    def finish(self) -> dict[str, str]:
        if self.expected is not None and self._seen != self.expected:
            raise _incomplete("Content-Length")
        if self._hash is not None and self._declared is not None:
            computed = self._hash.hexdigest()
            if computed != self._declared.lower():
                raise S3Error(
                    "XAmzContentSHA256Mismatch",
                    ClientComputedContentSHA256=self._declared,
                    S3ComputedContentSHA256=computed,
                )
        return {}


class _Chain:
    """The signatures of a signed chunked body, each over the one before it."""

    def __init__(self, verified: Verified) -> None:
        claim = verified.claim
        self._claim = claim
        self._key = verified.signing_key
        self._scope = sigv4.scope(claim.date, claim.region, claim.service)
        self._previous = claim.signature

    def check_chunk(self, chunk_sha256: str, provided: str) -> None:
        self._check(
            sigv4.chunk_string_to_sign(
                self._claim.timestamp, self._scope, self._previous, chunk_sha256
            ),
            provided,
        )

    def check_trailers(self, canonical: bytes, provided: str) -> None:
        self._check(
            sigv4.trailer_string_to_sign(
                self._claim.timestamp, self._scope, self._previous, canonical
            ),
            provided,
        )

    def _check(self, string_to_sign: bytes, provided: str) -> None:
        computed = sigv4.sign(self._key, string_to_sign)
        if not compare_digest(computed.encode(), provided.encode()):
            raise signature_mismatch(self._claim, string_to_sign, signature=provided)
        self._previous = computed


class _Expect(Enum):
    """What the next byte of a chunked body belongs to."""

    SIZE_LINE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILERS = auto()


class _Chunked:
    """A body in aws-chunked framing.

    `chain` is None when chunks are unsigned, `declared` when the mode has no trailers. The length
    on the wire is checked too where it was declared, so that a cut anywhere shows.
    """

    def __init__(
        self,
        expected: int,
        wire_length: int | None,
        chain: _Chain | None,
        declared: tuple[str, ...] | None,
    ) -> None:
        self.expected: int | None = expected
        self._undeclared = expected  # payload bytes that no chunk has announced yet
        self._wire_length = wire_length
        self._wire_seen = 0
        self._chain = chain
        self._declared = declared
        self._state = _Expect.SIZE_LINE
        self._line = b""
        self._number = 0
        self._size = 0
        self._left = 0
        self._signature = ""
        self._hash = sha256()
        self._trailers = bytearray()

    def feed(self, data: bytes) -> list[bytes | memoryview]:
        self._wire_seen += len(data)
        if self._wire_length is not None and self._wire_seen > self._wire_length:
            raise _incomplete("Content-Length")
        pieces: list[bytes | memoryview] = []
        view = memoryview(data)
        at = 0
        while at < len(data):
            if self._state is _Expect.DATA:
                piece = view[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._take(piece)
            elif self._state is _Expect.TRAILERS:
                self._trailers += view[at:]
                if len(self._trailers) > MAX_TRAILERS:
                    raise S3Error("MalformedTrailerError")
                break
            else:
                at = self._take_line(data, at)
        return pieces

    def finish(self) -> dict[str, str]:
        if self._state is not _Expect.TRAILERS or (
            self._wire_length is not None and self._wire_seen != self._wire_length
        ):
            raise S3Error("IncompleteBody", "The request body terminated unexpectedly")
        if self._undeclared:
            raise _incomplete("x-amz-decoded-content-length")
        return self._read_trailers()

    def _take(self, piece: memoryview) -> None:
        if self._chain is not None:
            self._hash.update(piece)
        self._left -= len(piece)
        if not self._left:
            self._close_chunk()
            self._state = _Expect.DATA_END

    def _close_chunk(self) -> None:
        if self._chain is not None:
            self._chain.check_chunk(self._hash.hexdigest(), self._signature)
            self._hash = sha256()

    def _take_line(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at, at + MAX_LINE)
        stop = len(data) if end < 0 else end + 1
        line = self._line + data[at:stop]
        if len(line) > MAX_LINE:
            raise _bad_framing()
        if end < 0:
            self._line = line
            return stop
        self._line = b""
        if not line.endswith(b"\r\n"):
            raise _bad_framing()
        if self._state is _Expect.SIZE_LINE:
            self._open_chunk(line[:-2])
        elif line == b"\r\n":
            self._state = _Expect.SIZE_LINE
        else:
            raise _bad_framing()
        return stop

    def _open_chunk(self, line: bytes) -> None:
        digits, semicolon, extension = line.partition(b";")
        signed = extension.startswith(_SIGNATURE_EXTENSION)
        if not digits or len(digits) > 16 or not _HEX.issuperset(digits):
            raise _bad_framing()
        if bool(semicolon) != (self._chain is not None) or (semicolon and not signed):
            raise _bad_framing()
        self._signature = extension[len(_SIGNATURE_EXTENSION) :].decode("latin-1")
        size = int(digits, 16)
        if size and self._number and self._size < MIN_CHUNK:
            raise S3Error(
                "InvalidChunkSizeError",
                "Only the last chunk is allowed to have a size less than 8192 bytes",
                Chunk=str(self._number),
                BadChunkSize=str(self._size),
            )
        if size > self._undeclared:
            raise _incomplete("x-amz-decoded-content-length")
        self._number += 1
        self._size = self._left = size
        self._undeclared -= size
        if size:
            self._state = _Expect.DATA
        else:
            self._close_chunk()
            self._state = _Expect.TRAILERS

    def _read_trailers(self) -> dict[str, str]:
        """The trailers, checked against those announced and their signature.

        Clients in use end a trailer with LF, CRLF or LF CRLF, and the last with or without an
        empty line; the length on the wire already says that nothing is missing.
        """
        found: dict[str, str] = {}
        for raw in self._trailers.split(b"\n"):
            line = raw.strip(b" \t\r")
            if not line:
                continue
            name, colon, value = line.partition(b":")
            key = name.lower().decode("latin-1")
            if not colon or key in found or _TRAILER_SIGNATURE in found:
                raise S3Error("MalformedTrailerError")
            found[key] = value.strip(b" \t").decode("latin-1")
        signature = found.pop(_TRAILER_SIGNATURE, None)
        if found.keys() != set(self._declared or ()):
            raise S3Error("MalformedTrailerError")
        must_sign = self._chain is not None and bool(found)
        if self._chain is not None and self._declared is not None and signature is not None:
            canonical = "".join(f"{name}:{value}\n" for name, value in found.items())
            self._chain.check_trailers(canonical.encode("latin-1"), signature)
        elif must_sign or signature is not None:
            raise S3Error("MalformedTrailerError")
        return found


def _bad_framing() -> S3Error:
    return S3Error("IncompleteBody", "The aws-chunked framing of the request body is malformed")
