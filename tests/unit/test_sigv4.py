"""Version 4 signatures agree with AWS's examples and with botocore's signer."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from coffre.wire import sigv4
from coffre.wire.auth import Claim, Scheme, Verified, hoisted, read_claim, verify
from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead

AWS_KEY = "AKIAIOSFODNN7EXAMPLE"
AWS_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
AWS_NOW_MS = 1_369_353_600_000  # 2013-05-24T00:00:00Z, the moment of AWS's examples
HOST = "store.localhost:9000"

METHODS = st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"])
KEYS = st.text(st.characters(codec="utf-8"), max_size=20)
PATHS = KEYS.map(lambda key: "/" + quote(key, safe="/~"))
SENT_PATHS = st.lists(
    st.sampled_from([*"aZ9-._~/!$'()*,;:=@+", "%2f", "%2F", "%c3%A9", "%20", "%7E"]), max_size=12
).map(lambda pieces: "/b" + "".join(pieces))
QUERIES = st.lists(st.tuples(KEYS.filter(bool).map("q{}".format), KEYS), max_size=5)
NAMES = st.from_regex(r"x-amz-meta-[a-z0-9]{1,6}", fullmatch=True) | st.sampled_from(
    ["content-type", "range", "content-md5", "cache-control"]
)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=20)
HEADERS = st.dictionaries(NAMES, VALUES, max_size=5)


def head_of(request: AWSRequest) -> RequestHead:
    """The request as a server would see it."""
    target = urlsplit(request.url)
    headers = [(b"host", HOST.encode())]
    headers += [(name.lower().encode(), str(v).encode()) for name, v in request.headers.items()]
    return RequestHead(request.method, target.path.encode(), target.query.encode(), tuple(headers))


def signed(
    signer: type[Any],
    *,
    method: str = "GET",
    path: str = "/bucket/key",
    query: list[tuple[str, str]] | None = None,
    headers: dict[str, str] | None = None,
    secret: str = "secret",
    **options: Any,
) -> RequestHead:
    raw_query = "&".join(f"{quote(n, safe='-_.~')}={quote(v, safe='-_.~')}" for n, v in query or [])
    url = f"http://{HOST}{path}" + (f"?{raw_query}" if raw_query else "")
    request = AWSRequest(method=method, url=url, headers=headers or {}, data=b"")
    signer(Credentials("AK", secret), "s3", "eu-west-3", **options).add_auth(request)
    return head_of(request)


def claim_of(head: RequestHead) -> Claim:
    claim = read_claim(head)
    assert claim is not None
    return claim


def verified(head: RequestHead, *secrets: str) -> Verified:
    claim = claim_of(head)
    return verify(
        claim,
        head,
        secrets or ("secret",),
        regions={"eu-west-3"},
        region="eu-west-3",
        now_ms=claim.signed_at_ms,
    )


@given(METHODS, PATHS, QUERIES, HEADERS)
def test_a_header_signature_by_botocore_is_verified(
    method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str]
) -> None:
    head = signed(S3SigV4Auth, method=method, path=path, query=query, headers=headers)
    assert verified(head).claim.scheme is Scheme.V4_HEADER


@given(METHODS, PATHS, QUERIES, HEADERS)
def test_a_presigned_url_by_botocore_is_verified(
    method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str]
) -> None:
    head = signed(S3SigV4QueryAuth, method=method, path=path, query=query, headers=headers)
    found = verified(head)
    assert found.claim.scheme is Scheme.V4_QUERY
    assert found.claim.expires_s == 3600
    assert found.claim.payload_hash == "UNSIGNED-PAYLOAD"


@given(SENT_PATHS)
def test_a_path_is_also_accepted_as_it_was_sent_and_signed(path: str) -> None:
    assert verified(signed(S3SigV4Auth, path=path)).secret_index == 0


@given(PATHS, QUERIES, HEADERS, st.data())
def test_any_change_to_what_was_signed_is_refused(
    path: str, query: list[tuple[str, str]], headers: dict[str, str], data: st.DataObject
) -> None:
    head = signed(S3SigV4Auth, path=path, query=query, headers=headers)
    method, raw_path, raw_query = head.method, head.raw_path, head.raw_query
    changed = list(head.headers)
    match data.draw(st.sampled_from(["method", "path", "query", "header"])):
        case "method":
            method = "PATCH"
        case "path":
            raw_path += b"x"
        case "query":
            raw_query += b"&added=1"
        case "header":
            signable = [i for i, (name, _) in enumerate(changed) if name != b"authorization"]
            at = data.draw(st.sampled_from(signable))
            name, value = changed[at]
            stamped = name in (b"x-amz-date", b"x-amz-content-sha256")
            changed[at] = (name, b"20130524T000000Z" if stamped else value + b"x")
    with pytest.raises(S3Error):
        verified(RequestHead(method, raw_path, raw_query, tuple(changed)))


def test_the_second_of_two_valid_secrets_is_found() -> None:
    head = signed(S3SigV4Auth, secret="new")
    found = verified(head, "old", "new")
    assert found.secret_index == 1
    assert found.signing_key == sigv4.signing_key("new", found.claim.date, "eu-west-3", "s3")


def test_repeated_headers_are_joined_and_their_spaces_collapsed() -> None:
    head = RequestHead(
        "GET", b"/", b"", ((b"x-amz-meta-a", b"  one   two "), (b"x-amz-meta-a", b"three"))
    )
    assert sigv4.header_line(head, b"x-amz-meta-a") == b"x-amz-meta-a:one two,three"


def test_a_query_is_sorted_by_encoded_name_then_value_without_its_signature() -> None:
    head = RequestHead("GET", b"/", b"b&a=2&a=1&A=%7e&X-Amz-Signature=00&a%2fb=x+y", ())
    assert sigv4.canonical_queries(head)[0] == b"A=~&a=1&a=2&a%2Fb=x%20y&b="


AWS_EXAMPLES = [
    pytest.param(
        "GET",
        b"/test.txt",
        b"",
        [(b"range", b"bytes=0-9")],
        sigv4.EMPTY_SHA256,
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        id="GET Object",
    ),
    pytest.param(
        "PUT",
        b"/test%24file.text",
        b"",
        [
            (b"date", b"Fri, 24 May 2013 00:00:00 GMT"),
            (b"x-amz-storage-class", b"REDUCED_REDUNDANCY"),
        ],
        "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        id="PUT Object",
    ),
    pytest.param(
        "GET",
        b"/",
        b"lifecycle",
        [],
        sigv4.EMPTY_SHA256,
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        id="GET Bucket Lifecycle",
    ),
    pytest.param(
        "GET",
        b"/",
        b"max-keys=2&prefix=J",
        [],
        sigv4.EMPTY_SHA256,
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        id="List Objects",
    ),
]


@pytest.mark.parametrize(("method", "path", "query", "extra", "payload", "signature"), AWS_EXAMPLES)
def test_the_examples_of_the_aws_documentation_are_verified(
    method: str,
    path: bytes,
    query: bytes,
    extra: list[tuple[bytes, bytes]],
    payload: str,
    signature: str,
) -> None:
    headers = [
        *extra,
        (b"host", b"examplebucket.s3.amazonaws.com"),
        (b"x-amz-content-sha256", payload.encode()),
        (b"x-amz-date", b"20130524T000000Z"),
    ]
    names = ";".join(sorted(name.decode() for name, _ in headers))
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={AWS_KEY}/20130524/us-east-1/s3/aws4_request,"
        f"SignedHeaders={names},Signature={signature}"
    )
    head = RequestHead(method, path, query, (*headers, (b"authorization", authorization.encode())))
    verify(
        claim_of(head),
        head,
        [AWS_SECRET],
        regions={"us-east-1"},
        region="us-east-1",
        now_ms=AWS_NOW_MS,
    )


def test_the_presigned_example_of_the_aws_documentation_is_verified() -> None:
    query = (
        b"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524"
        b"%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400"
        b"&X-Amz-SignedHeaders=host&X-Amz-Signature="
        b"aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )
    headers = ((b"host", b"examplebucket.s3.amazonaws.com"),)
    head = RequestHead("GET", b"/test.txt", query, headers)
    now_ms = AWS_NOW_MS + 86_400_000
    regions = {"us-east-1"}
    verify(claim_of(head), head, [AWS_SECRET], regions=regions, region="us-east-1", now_ms=now_ms)


def test_a_date_header_stands_in_for_x_amz_date() -> None:
    head = signed(S3SigV4Auth, headers={"Date": "now"})
    assert b"x-amz-date" not in head.by_name
    assert verified(head).secret_index == 0


def test_headers_moved_into_a_presigned_query_are_given_back() -> None:
    head = signed(S3SigV4QueryAuth, query=[("x-amz-meta-a", "b c"), ("X-Amz-Acl", "private")])
    claim = verified(head).claim
    assert hoisted(claim, head) == ((b"x-amz-meta-a", b"b c"), (b"x-amz-acl", b"private"))
