"""Every way of claiming an identity badly is refused in AWS's words."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.wire import sigv4
from coffre.wire.auth import Verified, read_claim, verify
from coffre.wire.claim import parse_date, payload_mode
from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead

Headers = list[tuple[bytes, bytes]]

NOW = "20261124T120000Z"
NOW_MS = 1_795_521_600_000
REGION = "eu-west-3"
HOUR_MS = 3_600_000


def scope_of(**changes: str) -> str:
    parts = {"key": "AK", "date": NOW[:8], "region": REGION, "service": "s3", "end": "aws4_request"}
    return "/".join((parts | changes).values())


def sign(
    method: str,
    query: bytes,
    headers: Headers,
    names: Iterable[bytes],
    payload: str,
    credential: str,
    timestamp: str,
) -> str:
    _, date, region, service, _ = credential.split("/")
    canonical = next(
        sigv4.canonical_requests(
            RequestHead(method, b"/b/k", query, tuple(headers)), tuple(names), payload
        )
    )
    to_sign = sigv4.string_to_sign(timestamp, sigv4.scope(date, region, service), canonical)
    return sigv4.sign(sigv4.signing_key("secret", date, region, service), to_sign)


def by_header(
    *,
    credential: str = "",
    timestamp: str = NOW,
    payload: str | None = "UNSIGNED-PAYLOAD",
    unsigned: Headers | None = None,
    names: list[bytes] | None = None,
    query: bytes = b"",
) -> RequestHead:
    """A well-signed V4 header request, but for what the test asks to be wrong."""
    credential = credential or scope_of()
    headers: Headers = [(b"host", b"h"), (b"x-amz-date", timestamp.encode())]
    if payload is not None:
        headers.append((b"x-amz-content-sha256", payload.encode()))
    signed = sorted(name for name, _ in headers) if names is None else names
    signature = sign("GET", query, headers, signed, payload or "", credential, timestamp)
    value = (
        f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={b';'.join(signed).decode()}, "
        f"Signature={signature}"
    )
    headers += [(b"authorization", value.encode()), *(unsigned or [])]
    return RequestHead("GET", b"/b/k", query, tuple(headers))


def presigned(
    *,
    expires: str | None = "3600",
    credential: str = "",
    timestamp: str = NOW,
    algorithm: str = "AWS4-HMAC-SHA256",
    headers: Headers | None = None,
    extra: bytes = b"",
) -> RequestHead:
    """A well-presigned V4 request, but for what the test asks to be wrong."""
    credential = credential or scope_of()
    query = f"X-Amz-Algorithm={algorithm}&X-Amz-Credential={quote(credential, safe='')}"
    query += f"&X-Amz-Date={timestamp}&X-Amz-SignedHeaders=host"
    if expires is not None:
        query += f"&X-Amz-Expires={quote(expires)}"
    raw = query.encode()
    sent: Headers = [(b"host", b"h"), *(headers or [])]
    signature = sign("GET", raw, sent, [b"host"], "UNSIGNED-PAYLOAD", credential, timestamp)
    raw += b"&X-Amz-Signature=" + signature.encode() + extra
    return RequestHead("GET", b"/b/k", raw, tuple(sent))


def attempt(head: RequestHead, *, now_ms: int = NOW_MS, secret: str = "secret") -> Verified:
    claim = read_claim(head)
    assert claim is not None
    return verify(
        claim, head, [secret], regions={REGION, "us-east-1"}, region=REGION, now_ms=now_ms
    )


def refusal(head: RequestHead, *, now_ms: int = NOW_MS, secret: str = "secret") -> S3Error:
    with pytest.raises(S3Error) as caught:
        attempt(head, now_ms=now_ms, secret=secret)
    return caught.value


def test_well_made_requests_pass() -> None:
    assert attempt(by_header()).secret_index == 0
    assert attempt(presigned()).secret_index == 0
    assert attempt(by_header(credential=scope_of(region="us-east-1"))).secret_index == 0


def test_a_request_without_authentication_is_anonymous() -> None:
    assert read_claim(RequestHead("GET", b"/b/k", b"Expires=1&list-type=2", ())) is None


# --- scope -------------------------------------------------------------------------------------


def test_another_region_is_told_the_right_one() -> None:
    wrong = refusal(by_header(credential=scope_of(region="mars")))
    assert wrong.code == "AuthorizationHeaderMalformed"
    assert wrong.message.endswith("the region 'mars' is wrong; expecting 'eu-west-3'")
    assert wrong.fields == {"Region": REGION}
    wrong = refusal(presigned(credential=scope_of(region="mars")))
    assert (wrong.code, wrong.fields["Region"]) == ("AuthorizationQueryParametersError", REGION)


@pytest.mark.parametrize(
    "credential",
    [
        scope_of(service="ec2"),
        scope_of(end="aws2_request"),
        scope_of(date="20261123"),
        scope_of(date="20261124T"),
        scope_of(key=""),
        "/".join(["AK", NOW[:8], REGION, "s3", ""]),
    ],
)
def test_a_wrong_scope_is_malformed(credential: str) -> None:
    assert refusal(by_header(credential=credential)).code == "AuthorizationHeaderMalformed"
    code = refusal(presigned(credential=credential)).code
    assert code == "AuthorizationQueryParametersError"


@pytest.mark.parametrize(
    "value",
    [
        b"AWS4-HMAC-SHA256",
        b"AWS4-HMAC-SHA256 Credential=AK/20261124/r/s3/aws4_request",
        b"AWS4-HMAC-SHA256 Credential=AK, SignedHeaders=host, Signature=0",
        b"AWS4-HMAC-SHA256 Credential=a, Credential=b, SignedHeaders=host, Signature=0",
    ],
)
def test_a_malformed_v4_header_is_told_so(value: bytes) -> None:
    assert refusal(RequestHead("GET", b"/", b"", ((b"authorization", value),))).code == (
        "AuthorizationHeaderMalformed"
    )


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"Basic dTpw", "InvalidArgument"),
        (b"", "InvalidArgument"),
        (b"AWS", "InvalidArgument"),
        (b"AWS nocolon", "InvalidArgument"),
        (b"AWS4-ECDSA-P256-SHA256 Credential=AK", "NotImplemented"),
    ],
)
def test_other_authorization_types_are_refused(value: bytes, code: str) -> None:
    assert refusal(RequestHead("GET", b"/", b"", ((b"authorization", value),))).code == code


# --- time --------------------------------------------------------------------------------------


def test_fifteen_minutes_of_skew_are_allowed_and_no_more() -> None:
    for sign_of in (1, -1):
        attempt(by_header(), now_ms=NOW_MS + sign_of * 900_000)
        late = refusal(by_header(), now_ms=NOW_MS + sign_of * 900_001)
        assert late.code == "RequestTimeTooSkewed"
        assert late.fields["RequestTime"] == NOW
        assert late.fields["MaxAllowedSkewMilliseconds"] == "900000"
    assert late.fields["ServerTime"] == "2026-11-24T11:44:59Z"


def test_a_presigned_request_lives_for_its_expires() -> None:
    attempt(presigned(), now_ms=NOW_MS + HOUR_MS)
    late = refusal(presigned(), now_ms=NOW_MS + HOUR_MS + 1)
    assert (late.status, late.code, late.message) == (403, "AccessDenied", "Request has expired")
    assert late.fields["X-Amz-Expires"] == "3600"
    assert late.fields["Expires"] == "2026-11-24T13:00:00Z"
    early = refusal(presigned(), now_ms=NOW_MS - 900_001)
    assert (early.code, early.message) == ("AccessDenied", "Request is not yet valid")


@pytest.mark.parametrize("expires", [None, "", "0", "-1", "604801", "9" * 5000, "1.5", "x", "٣"])
def test_a_lifetime_outside_one_second_to_a_week_is_refused(expires: str | None) -> None:
    assert refusal(presigned(expires=expires)).code == "AuthorizationQueryParametersError"


def test_a_week_is_allowed() -> None:
    assert attempt(presigned(expires="604800")).claim.expires_s == 604_800


@pytest.mark.parametrize("date", ["", "yesterday", "20261324T120000Z", "2026-11-24T12:00:00Z"])
def test_a_request_without_a_valid_date_is_refused(date: str) -> None:
    wrong = refusal(by_header(timestamp=date))
    assert wrong.code == "AccessDenied"
    assert wrong.message == "AWS authentication requires a valid Date or x-amz-date header"
    assert refusal(presigned(timestamp=date)).code == "AuthorizationQueryParametersError"


def test_an_http_date_is_read_with_its_offset() -> None:
    assert parse_date("Tue, 24 Nov 2026 13:00:00 +0100") == (NOW_MS, NOW)
    assert parse_date("Tue, 24 Nov 2026 12:00:00 GMT") == (NOW_MS, NOW)


@given(st.text(max_size=40))
def test_no_text_breaks_the_date_parser(text: str) -> None:
    found = parse_date(text)
    assert found is None or len(found[1]) == 16


# --- what must be signed -----------------------------------------------------------------------


@pytest.mark.parametrize("build", [by_header, presigned])
def test_an_amz_header_outside_the_signature_is_refused(build: object) -> None:
    added = [(b"x-amz-acl", b"public-read"), (b"x-amz-meta-a", b"1")]
    head = by_header(unsigned=added) if build is by_header else presigned(headers=added)
    wrong = refusal(head)
    assert (wrong.status, wrong.code) == (403, "AccessDenied")
    assert wrong.message == "There were headers present in the request which were not signed"
    assert wrong.fields == {"HeadersNotSigned": "x-amz-acl, x-amz-meta-a"}


def test_host_must_be_signed() -> None:
    wrong = refusal(by_header(names=[b"x-amz-content-sha256", b"x-amz-date"]))
    assert wrong.fields == {"HeadersNotSigned": "host"}


def test_a_presigned_request_may_repeat_that_its_payload_is_unsigned() -> None:
    attempt(presigned(headers=[(b"x-amz-content-sha256", b"UNSIGNED-PAYLOAD")]))
    for other in (sigv4.STREAMING_UNSIGNED_TRAILER, sigv4.EMPTY_SHA256):
        wrong = refusal(presigned(headers=[(b"x-amz-content-sha256", other.encode())]))
        assert wrong.fields == {"HeadersNotSigned": "x-amz-content-sha256"}


def test_a_header_request_must_state_its_payload_hash() -> None:
    wrong = refusal(by_header(payload=None))
    assert wrong.code == "InvalidRequest"
    assert wrong.message == "Missing required header for this request: x-amz-content-sha256"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ("", "InvalidArgument"),
        ("unsigned-payload", "InvalidArgument"),
        ("0" * 63, "InvalidArgument"),
        ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "NotImplemented"),
        ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER", "NotImplemented"),
    ],
)
def test_an_unknown_payload_hash_is_refused(payload: str, code: str) -> None:
    assert refusal(by_header(payload=payload)).code == code


def test_a_framed_body_that_nothing_signs_is_known_by_its_three_headers() -> None:
    headers = (
        (b"content-encoding", b"gzip,aws-chunked"),
        (b"x-amz-trailer", b"x-amz-checksum-crc32"),
        (b"x-amz-decoded-content-length", b"5"),
    )
    assert payload_mode(RequestHead("PUT", b"/", b"", headers)) == sigv4.STREAMING_UNSIGNED_TRAILER
    assert payload_mode(RequestHead("PUT", b"/", b"", headers[:2])) == sigv4.UNSIGNED_PAYLOAD


# --- doubles -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [b"authorization", b"host", b"x-amz-date", b"x-amz-content-sha256"]
)
def test_a_repeated_security_header_is_refused(name: bytes) -> None:
    head = by_header()
    wrong = refusal(RequestHead("GET", b"/b/k", b"", (*head.headers, (name, b"other"))))
    assert (wrong.status, wrong.code) == (400, "InvalidArgument")
    assert wrong.fields == {"ArgumentName": name.decode()}


@pytest.mark.parametrize(
    "extra", [b"&X-Amz-Signature=0", b"&x-amz-credential=a", b"&X-Amz%2DExpires=9", b"&X-Amz-Date="]
)
def test_a_repeated_security_parameter_is_refused(extra: bytes) -> None:
    assert refusal(presigned(extra=extra)).code == "InvalidArgument"


@pytest.mark.parametrize("query", [b"X-Amz-Algorithm=a", b"Signature=a", b"x-amz-signature="])
def test_two_mechanisms_at_once_are_refused(query: bytes) -> None:
    wrong = refusal(by_header(query=query))
    assert (wrong.status, wrong.code) == (400, "InvalidArgument")
    assert wrong.message.startswith("Only one auth mechanism allowed")
    assert refusal(presigned(extra=b"&AWSAccessKeyId=AK")).message == wrong.message


# --- presigned form ----------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["Algorithm", "Credential", "Signature", "Date", "SignedHeaders"])
def test_every_parameter_of_a_presigned_request_is_required(part: str) -> None:
    head = presigned()
    kept = [p for p in head.raw_query.split(b"&") if not p.startswith(b"X-Amz-" + part.encode())]
    wrong = refusal(RequestHead("GET", b"/b/k", b"&".join(kept), head.headers))
    assert wrong.code == "AuthorizationQueryParametersError"
    assert wrong.message.startswith("Query-string authentication version 4 requires")


def test_other_presigning_algorithms_are_refused() -> None:
    assert refusal(presigned(algorithm="AWS4-HMAC-SHA1")).message == (
        'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"'
    )
    assert refusal(presigned(algorithm="AWS4-ECDSA-P256-SHA256")).code == "NotImplemented"


# --- signature ---------------------------------------------------------------------------------


@pytest.mark.parametrize("head", [by_header(), presigned()], ids=["header", "query"])
def test_a_mismatch_shows_what_was_computed(head: RequestHead) -> None:
    wrong = refusal(head, secret="other")
    assert (wrong.status, wrong.code) == (403, "SignatureDoesNotMatch")
    assert list(wrong.fields) == [
        "AWSAccessKeyId",
        "StringToSign",
        "SignatureProvided",
        "StringToSignBytes",
        "CanonicalRequest",
        "CanonicalRequestBytes",
    ]
    assert wrong.fields["CanonicalRequest"].startswith("GET\n/b/k\n")
    assert bytes.fromhex(wrong.fields["StringToSignBytes"]).decode() == wrong.fields["StringToSign"]
    assert "secret" not in str(wrong.fields)


@given(st.text(max_size=70))
def test_no_provided_signature_breaks_the_comparison(signature: str) -> None:
    head = presigned()
    raw = head.raw_query.rpartition(b"=")[0] + b"=" + quote(signature or "0").encode()
    assert refusal(RequestHead("GET", b"/b/k", raw, head.headers)).code == "SignatureDoesNotMatch"


NOISE = st.binary(max_size=30) | st.sampled_from(
    [b"AWS4-HMAC-SHA256", b"Credential=AK/20261124/eu-west-3/s3/aws4_request", NOW.encode()]
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"authorization", b"x-amz-date", b"x-amz-content-sha256", b"date"]),
            st.lists(NOISE, max_size=4).map(b", ".join) | NOISE.map(b"AWS ".__add__),
        ),
        max_size=4,
    ),
    st.lists(
        st.sampled_from(
            [b"X-Amz-Algorithm=", b"X-Amz-Credential=", b"X-Amz-Date=", b"Signature=", b"Expires="]
        )
        | NOISE,
        max_size=8,
    ).map(b"&".join),
)
def test_noise_is_anonymous_or_refused_and_nothing_else(headers: Headers, query: bytes) -> None:
    try:
        claim = read_claim(RequestHead("GET", b"/", query, tuple(headers)))
    except S3Error:
        return
    assert claim is None or refusal(RequestHead("GET", b"/", query, tuple(headers)))


# --- version 2 ---------------------------------------------------------------------------------


def test_v2_can_be_turned_off() -> None:
    for head in (
        RequestHead("GET", b"/", b"", ((b"authorization", b"AWS AK:sig"),)),
        RequestHead("GET", b"/", b"AWSAccessKeyId=AK&Signature=s&Expires=1", ()),
    ):
        with pytest.raises(S3Error) as caught:
            read_claim(head, allow_v2=False)
        assert caught.value.code == "InvalidRequest"


@pytest.mark.parametrize(
    "query",
    [
        b"AWSAccessKeyId=AK&Signature=s",
        b"AWSAccessKeyId=AK&Expires=1",
        b"Signature=s&Expires=1",
        b"AWSAccessKeyId=AK&Signature=s&Expires=soon",
        b"AWSAccessKeyId=AK&Signature=s&Expires=" + b"9" * 5000,
    ],
)
def test_an_incomplete_v2_presigned_request_is_denied(query: bytes) -> None:
    assert refusal(RequestHead("GET", b"/", query, ())).code == "AccessDenied"


def test_a_control_character_in_a_moved_v2_header_is_refused() -> None:
    query = b"AWSAccessKeyId=AK&Signature=s&Expires=9999999999&x-amz-meta-a=1%0ax-amz-acl:private"
    assert refusal(RequestHead("GET", b"/", query, ())).code == "InvalidArgument"


def test_v2_header_requests_are_held_to_the_clock_too() -> None:
    headers = ((b"authorization", b"AWS AK:sig"), (b"date", b"Tue, 24 Nov 2026 12:00:00 GMT"))
    head = RequestHead("GET", b"/", b"", headers)
    late = refusal(head, now_ms=NOW_MS + 900_001)
    assert late.code == "RequestTimeTooSkewed"
    assert late.fields["RequestTime"] == "Tue, 24 Nov 2026 12:00:00 GMT"
