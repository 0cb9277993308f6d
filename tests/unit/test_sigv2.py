"""Version 2 signatures agree with AWS's examples and with botocore's signer."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import HmacV1Auth, HmacV1QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from coffre.wire.auth import Claim, Scheme, Verified, hoisted, read_claim, verify
from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead

KEYS = st.text(st.characters(codec="utf-8"), max_size=20)
PATHS = KEYS.map(lambda key: "/bucket/" + quote(key, safe="/~"))
SUB_RESOURCES = st.sampled_from(
    ["acl", "uploads", "versioning", "uploadId", "partNumber", "versionId", "tagging", "policy"]
)
QUERIES = st.dictionaries(
    SUB_RESOURCES | st.sampled_from(["prefix", "marker", "response-content-type"]), KEYS, max_size=4
)
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)
HEADERS = st.dictionaries(
    st.from_regex(r"x-amz-meta-[a-z0-9]{1,6}", fullmatch=True)
    | st.sampled_from(["content-type", "content-md5"]),
    VALUES,
    max_size=4,
)
EXAMPLE_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def signed(
    signer: type[Any],
    *,
    method: str = "GET",
    path: str = "/bucket/key",
    query: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    auth_path: str | None = None,
) -> tuple[RequestHead, dict[str, str]]:
    """A signed request's head, and the headers that the signer may have moved to the query."""
    pairs = [f"{name}={quote(v, safe='-_.~')}" for name, v in (query or {}).items()]
    url = f"http://s3.localhost{path}" + ("?" + "&".join(pairs) if pairs else "")
    request = AWSRequest(method=method, url=url, headers=headers or {}, auth_path=auth_path)
    signer(Credentials("AK", "secret")).add_auth(request)
    target = urlsplit(request.url)
    sent = {} if signer is HmacV1QueryAuth else dict(request.headers.items())
    listed = [(b"host", b"s3.localhost")]
    listed += [(name.lower().encode(), str(value).encode()) for name, value in sent.items()]
    head = RequestHead(method, target.path.encode(), target.query.encode(), tuple(listed))
    return head, headers or {}


def verified(head: RequestHead, *, now_ms: int | None = None, **options: Any) -> Verified:
    claim = read_claim(head)
    assert claim is not None
    at = claim.signed_at_ms if now_ms is None else now_ms
    secrets = [options.pop("secret", "secret")]
    return verify(claim, head, secrets, regions=set(), region="", now_ms=at, **options)


@given(st.sampled_from(["GET", "PUT", "DELETE"]), PATHS, QUERIES, HEADERS)
def test_a_header_signature_by_botocore_is_verified(
    method: str, path: str, query: dict[str, str], headers: dict[str, str]
) -> None:
    head, _ = signed(HmacV1Auth, method=method, path=path, query=query, headers=headers)
    assert verified(head).claim.scheme is Scheme.V2_HEADER


@given(st.sampled_from(["GET", "PUT", "DELETE"]), PATHS, QUERIES, HEADERS)
def test_a_presigned_url_by_botocore_is_verified_and_gives_its_headers_back(
    method: str, path: str, query: dict[str, str], headers: dict[str, str]
) -> None:
    head, moved = signed(HmacV1QueryAuth, method=method, path=path, query=query, headers=headers)
    found = verified(head)
    assert found.claim.scheme is Scheme.V2_QUERY
    assert dict(hoisted(found.claim, head)) == {n.encode(): v.encode() for n, v in moved.items()}


def test_the_bucket_of_a_virtual_host_is_part_of_the_resource() -> None:
    head, _ = signed(HmacV1Auth, path="/key", auth_path="/bucket/key")
    assert verified(head, bucket_path=b"/bucket").secret_index == 0
    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        verified(head)


def test_an_added_amz_header_breaks_a_presigned_url() -> None:
    head, _ = signed(HmacV1QueryAuth, method="PUT")
    added = (*head.headers, (b"x-amz-acl", b"public-read"))
    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        verified(RequestHead("PUT", head.raw_path, head.raw_query, added))


def test_a_mismatch_shows_the_string_to_sign_without_a_canonical_request() -> None:
    head, _ = signed(HmacV1Auth)
    with pytest.raises(S3Error) as refusal:
        verified(head, secret="other")
    assert list(refusal.value.fields) == [
        "AWSAccessKeyId",
        "StringToSign",
        "SignatureProvided",
        "StringToSignBytes",
    ]


def test_a_presigned_url_ends_at_its_expires() -> None:
    head, _ = signed(HmacV1QueryAuth)
    claim = read_claim(head)
    assert isinstance(claim, Claim)
    end_ms = int(claim.timestamp) * 1000
    verified(head, now_ms=end_ms)
    with pytest.raises(S3Error, match="Request has expired"):
        verified(head, now_ms=end_ms + 1)


AWS_EXAMPLES = [
    pytest.param(
        "GET",
        b"/photos/puppy.jpg",
        [(b"date", b"Tue, 27 Mar 2007 19:36:42 +0000")],
        "bWq2s1WEIj+Ydj0vQ697zp+IXMU=",
        id="Object GET",
    ),
    pytest.param(
        "PUT",
        b"/photos/puppy.jpg",
        [
            (b"content-type", b"image/jpeg"),
            (b"content-length", b"94328"),
            (b"date", b"Tue, 27 Mar 2007 21:15:45 +0000"),
        ],
        "MyyxeRY7whkBe+bq8fHCL/2kKUg=",
        id="Object PUT",
    ),
]


@pytest.mark.parametrize(("method", "path", "headers", "signature"), AWS_EXAMPLES)
def test_the_examples_of_the_aws_documentation_are_verified(
    method: str, path: bytes, headers: list[tuple[bytes, bytes]], signature: str
) -> None:
    authorization = (b"authorization", b"AWS AKIAIOSFODNN7EXAMPLE:" + signature.encode())
    head = RequestHead(method, path, b"", (*headers, authorization))
    assert verified(head, secret=EXAMPLE_SECRET, bucket_path=b"/johnsmith")
