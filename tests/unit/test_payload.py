"""Bodies come out whole and exact, or are refused."""

from __future__ import annotations

import io
from base64 import b64encode
from hashlib import sha256
from itertools import pairwise
from zlib import crc32

import pytest
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum
from hypothesis import given, settings
from hypothesis import strategies as st

from coffre.wire import sigv4
from coffre.wire.auth import Claim, Scheme, Verified, read_claim, verify
from coffre.wire.errors import S3Error
from coffre.wire.payload import BodyDecoder, body_decoder, content_length
from coffre.wire.request import RequestHead

Headers = list[tuple[bytes, bytes]]

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SEED = "5" * 64
STAMP = "20130524T000000Z"
SCOPE = "20130524/us-east-1/s3/aws4_request"
KEY = sigv4.signing_key(SECRET, "20130524", "us-east-1", "s3")
BLOCK = bytes(range(256)) * 32  # 8192 bytes, the least that a chunk before the last may hold


def verified(mode: str, *, seed: str = SEED, scheme: Scheme = Scheme.V4_HEADER) -> Verified:
    claim = Claim(scheme, "AK", seed, "20130524", "us-east-1", "s3", STAMP, 0, None, (), mode)
    return Verified(claim, KEY, 0)


def decoder(
    mode: str, headers: dict[str, object], *, seed: str = SEED, require_length: bool = True
) -> BodyDecoder:
    sent = tuple((name.encode(), str(value).encode()) for name, value in headers.items())
    head = RequestHead("PUT", b"/b/k", b"", sent)
    return body_decoder(head, verified(mode, seed=seed), require_length=require_length)


def run(
    decoder: BodyDecoder, body: bytes, cuts: list[int] | None = None
) -> tuple[bytes, dict[str, str]]:
    """The payload and trailers of a body that arrives in the pieces that `cuts` make."""
    edges = [0, *sorted(cuts or []), len(body)]
    out = b"".join(bytes(p) for a, b in pairwise(edges) for p in decoder.feed(body[a:b]))
    return out, decoder.finish()


def refusal(decoder: BodyDecoder, body: bytes) -> S3Error:
    with pytest.raises(S3Error) as caught:
        run(decoder, body)
    return caught.value


# --- an independent encoder --------------------------------------------------------------------


def encode_unsigned(chunks: list[bytes], trailers: dict[str, str]) -> bytes:
    out = b"".join(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n" for chunk in chunks)
    lines = "".join(f"{name}:{value}\r\n" for name, value in trailers.items())
    return out + b"0\r\n" + lines.encode() + b"\r\n"


def encode_signed(chunks: list[bytes], trailers: dict[str, str] | None, seed: str = SEED) -> bytes:
    previous, out = seed, b""
    empty = sha256(b"").hexdigest()
    for chunk in [*chunks, b""]:
        digest = sha256(chunk).hexdigest()
        text = f"AWS4-HMAC-SHA256-PAYLOAD\n{STAMP}\n{SCOPE}\n{previous}\n{empty}\n{digest}"
        previous = sigv4.sign(KEY, text.encode())
        out += f"{len(chunk):x};chunk-signature={previous}\r\n".encode() + chunk
        out += b"\r\n" if chunk else b""
    if trailers is None:
        return out + b"\r\n"
    lines = "".join(f"{name}:{value}\n" for name, value in trailers.items())
    digest = sha256(lines.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256-TRAILER\n{STAMP}\n{SCOPE}\n{previous}\n{digest}"
    signature = sigv4.sign(KEY, text.encode())
    return (
        out
        + lines.replace("\n", "\r\n").encode()
        + f"x-amz-trailer-signature:{signature}\r\n\r\n".encode()
    )


MODES = st.sampled_from(
    [
        sigv4.STREAMING_SIGNED,
        sigv4.STREAMING_SIGNED_TRAILER,
        sigv4.STREAMING_UNSIGNED_TRAILER,
    ]
)
CHUNKS = st.tuples(
    st.lists(st.integers(0, 300).map(lambda extra: BLOCK + b"+" * extra), max_size=3),
    st.binary(max_size=100),
).map(lambda parts: [*parts[0], *([parts[1]] if parts[1] else [])])


def framed(mode: str, chunks: list[bytes]) -> tuple[bytes, dict[str, object], dict[str, str]]:
    """(body, headers, trailers) of chunks sent in a mode."""
    payload = b"".join(chunks)
    crc = b64encode(crc32(payload).to_bytes(4, "big")).decode()
    trailers = {"x-amz-checksum-crc32": crc} if mode.endswith("TRAILER") else {}
    if mode == sigv4.STREAMING_UNSIGNED_TRAILER:
        body = encode_unsigned(chunks, trailers)
    else:
        body = encode_signed(chunks, trailers or None)
    headers: dict[str, object] = {
        "content-length": len(body),
        "x-amz-decoded-content-length": len(payload),
    }
    if trailers:
        headers["x-amz-trailer"] = ",".join(trailers)
    return body, headers, trailers


@given(MODES, CHUNKS, st.data())
def test_a_chunked_body_cut_anywhere_comes_out_whole(
    mode: str, chunks: list[bytes], data: st.DataObject
) -> None:
    body, headers, trailers = framed(mode, chunks)
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=12))
    assert run(decoder(mode, headers), body, cuts) == (b"".join(chunks), trailers)


@settings(max_examples=15)
@given(MODES, CHUNKS)
def test_a_chunked_body_fed_byte_by_byte_comes_out_whole(mode: str, chunks: list[bytes]) -> None:
    body, headers, trailers = framed(mode, chunks)
    cuts = list(range(len(body)))
    assert run(decoder(mode, headers), body, cuts) == (b"".join(chunks), trailers)


@given(MODES, CHUNKS, st.data())
def test_a_chunked_body_that_stops_early_is_refused(
    mode: str, chunks: list[bytes], data: st.DataObject
) -> None:
    body, headers, _ = framed(mode, chunks)
    kept = data.draw(st.integers(0, len(body) - 1))
    assert refusal(decoder(mode, headers), body[:kept]).code == "IncompleteBody"


@given(st.sampled_from([sigv4.STREAMING_SIGNED, sigv4.STREAMING_SIGNED_TRAILER]), CHUNKS, st.data())
def test_any_changed_byte_of_a_signed_body_is_refused(
    mode: str, chunks: list[bytes], data: st.DataObject
) -> None:
    body, headers, _ = framed(mode, chunks)
    at = data.draw(st.integers(0, len(body) - 3))
    changed = body[:at] + bytes([body[at] ^ 0x01]) + body[at + 1 :]
    with pytest.raises(S3Error):
        run(decoder(mode, headers), changed)


@given(st.binary(max_size=400))
def test_no_bytes_break_the_chunk_reader(body: bytes) -> None:
    headers: dict[str, object] = {"x-amz-decoded-content-length": 5}
    with pytest.raises(S3Error):
        run(decoder(sigv4.STREAMING_UNSIGNED_TRAILER, headers), body + b"!")


# --- other people's bodies ---------------------------------------------------------------------


def test_a_body_framed_by_botocore_is_read_with_its_trailer() -> None:
    payload = BLOCK * 300
    wrapper = AwsChunkedWrapper(
        io.BytesIO(payload), checksum_cls=Crc32Checksum, checksum_name="x-amz-checksum-crc32"
    )
    body = wrapper.read()
    headers: dict[str, object] = {
        "transfer-encoding": "chunked",
        "x-amz-decoded-content-length": len(payload),
        "x-amz-trailer": "x-amz-checksum-crc32",
    }
    crc = b64encode(crc32(payload).to_bytes(4, "big")).decode()
    out, trailers = run(decoder(sigv4.STREAMING_UNSIGNED_TRAILER, headers), body, [1, 70_000])
    assert (out, trailers) == (payload, {"x-amz-checksum-crc32": crc})


def test_trailers_ending_in_lf_crlf_are_read() -> None:
    body = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\n\r\n\r\n"
    headers: dict[str, object] = {
        "x-amz-decoded-content-length": 5,
        "x-amz-trailer": "x-amz-checksum-crc32",
    }
    found = run(decoder(sigv4.STREAMING_UNSIGNED_TRAILER, headers), body)
    assert found == (b"hello", {"x-amz-checksum-crc32": "NhCmhg=="})


AWS_HEADERS: Headers = [
    (b"host", b"s3.amazonaws.com"),
    (b"x-amz-date", STAMP.encode()),
    (b"x-amz-storage-class", b"REDUCED_REDUNDANCY"),
    (b"content-encoding", b"aws-chunked"),
    (b"x-amz-decoded-content-length", b"66560"),
]


def aws_example(headers: Headers, signature: str) -> BodyDecoder:
    names = ";".join(sorted(name.decode() for name, _ in headers))
    authorization = (
        f"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/{SCOPE},SignedHeaders={names},"
        f"Signature={signature}"
    )
    sent = (*headers, (b"authorization", authorization.encode()))
    head = RequestHead("PUT", b"/examplebucket/chunkObject.txt", b"", sent)
    claim = read_claim(head)
    assert claim is not None
    found = verify(
        claim,
        head,
        [SECRET],
        regions={"us-east-1"},
        region="us-east-1",
        now_ms=claim.signed_at_ms,
    )
    return body_decoder(head, found)


def aws_body(signatures: list[str], end: bytes) -> bytes:
    sizes = [65536, 1024, 0]
    chunks = [
        f"{size:x};chunk-signature={signature}\r\n".encode() + b"a" * size
        for size, signature in zip(sizes, signatures, strict=True)
    ]
    return b"\r\n".join(chunks) + end


def test_the_chunked_example_of_the_aws_documentation_is_accepted() -> None:
    headers = [
        *AWS_HEADERS,
        (b"x-amz-content-sha256", b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        (b"content-length", b"66824"),
    ]
    seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
    body = aws_body(
        [
            "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
            "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
            "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
        ],
        b"\r\n",
    )
    assert run(aws_example(headers, seed), body) == (b"a" * 66560, {})


def test_the_trailer_example_of_the_aws_documentation_is_accepted() -> None:
    headers = [
        *AWS_HEADERS,
        (b"x-amz-content-sha256", b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"),
        (b"x-amz-trailer", b"x-amz-checksum-crc32c"),
    ]
    seed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
    body = aws_body(
        [
            "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
            "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
            "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
        ],
        b"x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:"
        b"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n",
    )
    found = run(aws_example(headers, seed), body)
    assert found == (b"a" * 66560, {"x-amz-checksum-crc32c": "sOO8/Q=="})


# --- refusals of chunked bodies ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "trailer"),
    [
        (b"\r\n", "x-amz-checksum-crc32"),
        (b"x-amz-checksum-sha1:AA==\r\n\r\n", "x-amz-checksum-crc32"),
        (b"x-amz-checksum-crc32:AA==\r\nx-amz-meta-a:1\r\n\r\n", "x-amz-checksum-crc32"),
        (b"x-amz-checksum-crc32:AA==\r\nx-amz-checksum-crc32:AA==\r\n\r\n", "x-amz-checksum-crc32"),
        (b"x-amz-checksum-crc32\r\n\r\n", "x-amz-checksum-crc32"),
        (b"x-amz-checksum-crc32:AA==\r\nx-amz-trailer-signature:0\r\n", "x-amz-checksum-crc32"),
        (b"x-amz-checksum-crc32:AA==\r\n\r\n", ""),
        (b"x-amz-checksum-crc32:" + b"A" * 9000, "x-amz-checksum-crc32"),
    ],
)
def test_trailers_other_than_those_announced_are_malformed(end: bytes, trailer: str) -> None:
    headers: dict[str, object] = {"x-amz-decoded-content-length": 2, "x-amz-trailer": trailer}
    body = b"2\r\nhi\r\n0\r\n" + end
    wrong = refusal(decoder(sigv4.STREAMING_UNSIGNED_TRAILER, headers), body)
    assert wrong.code == "MalformedTrailerError"


def test_a_signed_trailer_without_its_signature_is_malformed() -> None:
    body, headers, _ = framed(sigv4.STREAMING_SIGNED_TRAILER, [b"hi"])
    cut = body[: body.index(b"x-amz-trailer-signature")] + b"\r\n"
    headers["content-length"] = len(cut)
    wrong = refusal(decoder(sigv4.STREAMING_SIGNED_TRAILER, headers), cut)
    assert wrong.code == "MalformedTrailerError"


def test_a_body_without_trailer_mode_may_not_have_one() -> None:
    body = encode_signed([b"hi"], {"x-amz-checksum-crc32": "AA=="})
    headers: dict[str, object] = {
        "x-amz-decoded-content-length": 2,
        "x-amz-trailer": "x-amz-checksum-crc32",
    }
    wrong = refusal(decoder(sigv4.STREAMING_SIGNED, headers), body)
    assert wrong.code == "MalformedTrailerError"


def test_a_forged_chunk_signature_is_named() -> None:
    body = encode_signed([b"hi"], None, seed="6" * 64)
    wrong = refusal(decoder(sigv4.STREAMING_SIGNED, {"x-amz-decoded-content-length": 2}), body)
    assert wrong.code == "SignatureDoesNotMatch"
    assert wrong.fields["StringToSign"].startswith("AWS4-HMAC-SHA256-PAYLOAD\n")
    assert wrong.fields["SignatureProvided"] in body.decode()


def test_only_the_last_chunk_may_be_small() -> None:
    chunks = [BLOCK, b"small", b"end"]
    body = encode_unsigned(chunks, {})
    headers: dict[str, object] = {"x-amz-decoded-content-length": 8200}
    wrong = refusal(decoder(sigv4.STREAMING_UNSIGNED_TRAILER, headers), body)
    assert (wrong.status, wrong.code) == (400, "InvalidChunkSizeError")
    assert wrong.fields == {"Chunk": "2", "BadChunkSize": "5"}


@pytest.mark.parametrize("declared", [1, 3, 8192])
def test_a_payload_of_another_length_than_declared_is_incomplete(declared: int) -> None:
    headers: dict[str, object] = {"x-amz-decoded-content-length": declared}
    body = encode_unsigned([b"hi"], {})
    wrong = refusal(decoder(sigv4.STREAMING_UNSIGNED_TRAILER, headers), body)
    assert wrong.code == "IncompleteBody"


@pytest.mark.parametrize(
    "body",
    [
        b"2\nhi\r\n0\r\n\r\n",
        b"2\r\nhi0\r\n\r\n",
        b"2\r\nhi!\r\n0\r\n\r\n",
        b"\r\n2\r\nhi\r\n0\r\n\r\n",
        b"+2\r\nhi\r\n0\r\n\r\n",
        b"0x2\r\nhi\r\n0\r\n\r\n",
        b"2 \r\nhi\r\n0\r\n\r\n",
        b"2;chunk-signature=0\r\nhi\r\n0\r\n\r\n",
        b"fffffffffffffffff\r\n",
        b"ffffffffffffffff\r\n",
        b"2;" + b"x" * 1000,
        b"2" * 300 + b"\r\n",
        b"not chunked at all",
    ],
)
def test_bad_framing_is_incomplete(body: bytes) -> None:
    headers: dict[str, object] = {"x-amz-decoded-content-length": 2}
    wrong = refusal(decoder(sigv4.STREAMING_UNSIGNED_TRAILER, headers), body)
    assert (wrong.status, wrong.code) == (400, "IncompleteBody")


def test_a_signed_body_must_sign_every_chunk() -> None:
    headers: dict[str, object] = {"x-amz-decoded-content-length": 2}
    wrong = refusal(decoder(sigv4.STREAMING_SIGNED, headers), encode_unsigned([b"hi"], {}))
    assert wrong.code == "IncompleteBody"


def test_a_streaming_body_needs_its_decoded_length() -> None:
    with pytest.raises(S3Error) as caught:
        decoder(sigv4.STREAMING_SIGNED, {"content-length": 100}, require_length=False)
    assert (caught.value.status, caught.value.code) == (411, "MissingContentLength")


def test_signed_chunks_need_a_version_4_signature() -> None:
    head = RequestHead(
        "PUT",
        b"/",
        b"",
        (
            (b"x-amz-content-sha256", sigv4.STREAMING_SIGNED.encode()),
            (b"x-amz-decoded-content-length", b"2"),
        ),
    )
    for known in (None, verified(sigv4.STREAMING_SIGNED, scheme=Scheme.V2_HEADER)):
        with pytest.raises(S3Error, match="InvalidArgument"):
            body_decoder(head, known)


# --- plain bodies ------------------------------------------------------------------------------


def test_a_plain_body_is_held_against_its_signed_hash() -> None:
    digest = sha256(b"hello").hexdigest()
    headers: dict[str, object] = {"content-length": 5}
    assert run(decoder(digest, headers), b"hello", [2]) == (b"hello", {})
    assert run(decoder(digest.upper(), headers), b"hello") == (b"hello", {})
    wrong = refusal(decoder(digest, headers), b"jello")
    assert (wrong.status, wrong.code) == (400, "XAmzContentSHA256Mismatch")
    assert wrong.fields["ClientComputedContentSHA256"] == digest
    assert wrong.fields["S3ComputedContentSHA256"] == sha256(b"jello").hexdigest()


@pytest.mark.parametrize("body", [b"", b"hell", b"hello!"])
def test_a_plain_body_of_another_length_is_incomplete(body: bytes) -> None:
    wrong = refusal(decoder("UNSIGNED-PAYLOAD", {"content-length": 5}), body)
    assert (wrong.status, wrong.code) == (400, "IncompleteBody")


def test_an_anonymous_body_needs_no_signature() -> None:
    head = RequestHead("PUT", b"/b/k", b"", ((b"content-length", b"2"),))
    found = body_decoder(head, None)
    assert found.expected == 2
    assert run(found, b"hi") == (b"hi", {})


@pytest.mark.parametrize("values", [[], [b""], [b"  "]])
def test_a_missing_or_blank_length_is_asked_for_unless_none_is_needed(values: list[bytes]) -> None:
    head = RequestHead("PUT", b"/b/k", b"", tuple((b"content-length", v) for v in values))
    with pytest.raises(S3Error) as caught:
        body_decoder(head, None)
    assert (caught.value.status, caught.value.code) == (411, "MissingContentLength")
    free = body_decoder(head, None, require_length=False)
    assert free.expected is None
    assert run(free, b"hi") == (b"hi", {})


@pytest.mark.parametrize(
    "values",
    [[b"-1"], [b"+5"], [b"five"], [b"5, 5"], [b"5", b"6"], [b"1_0"], [b"9" * 19], [b"5", b""]],
)
def test_a_length_that_is_no_single_number_is_refused(values: list[bytes]) -> None:
    head = RequestHead("PUT", b"/b/k", b"", tuple((b"content-length", v) for v in values))
    with pytest.raises(S3Error) as caught:
        content_length(head)
    assert (caught.value.status, caught.value.code) == (400, "InvalidArgument")


def test_the_same_length_twice_is_that_length() -> None:
    head = RequestHead("PUT", b"/b/k", b"", ((b"content-length", b"5"), (b"content-length", b"5")))
    assert content_length(head) == 5
