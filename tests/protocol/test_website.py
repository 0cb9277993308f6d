"""Buckets as websites: the configuration, and what a website's host answers to browsers."""

from __future__ import annotations

from contextlib import suppress
from html import unescape
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.testing.server import MemoryServer
from coffre.wire.errors import S3Error
from coffre.wire.website import parse_website, read_website
from tests.protocol.boto_client import refused
from tests.protocol.wire_client import Answer, WireClient

INDEX = {"IndexDocument": {"Suffix": "index.html"}}


@pytest.fixture
def site(s3: Any, bucket: str) -> str:
    """A bucket with a website that everybody may list and read."""
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    for key, body in {
        "index.html": b"<h1>home</h1>",
        "docs/index.html": b"<h1>docs</h1>",
        "a b+c.txt": b"text",
    }.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body, ACL="public-read", ContentType="text/html")
    configure(s3, bucket)
    return bucket


def configure(s3: Any, bucket: str, **more: Any) -> None:
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration={**INDEX, **more})


def visit(
    wire: WireClient,
    bucket: str,
    path: str = "/",
    method: str = "GET",
    form: str = "s3-website.localhost",
    **headers: str,
) -> Answer:
    return wire.raw(method, path, b"", {"Host": f"{bucket}.{form}", **headers})


@pytest.mark.parametrize(
    "configuration",
    [
        INDEX,
        {**INDEX, "ErrorDocument": {"Key": "error.html"}},
        {"RedirectAllRequestsTo": {"HostName": "example.com"}},
        {"RedirectAllRequestsTo": {"HostName": "example.com", "Protocol": "https"}},
        {
            **INDEX,
            "RoutingRules": [
                {
                    "Condition": {"KeyPrefixEquals": "old/"},
                    "Redirect": {"ReplaceKeyPrefixWith": "new/"},
                },
                {
                    "Condition": {"HttpErrorCodeReturnedEquals": "404"},
                    "Redirect": {"HostName": "h", "HttpRedirectCode": "307"},
                },
                {"Redirect": {"ReplaceKeyWith": "one.html", "Protocol": "http"}},
            ],
        },
    ],
)
def test_a_configuration_is_told_as_it_was_put(
    s3: Any, bucket: str, configuration: dict[str, Any]
) -> None:
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=configuration)
    told = s3.get_bucket_website(Bucket=bucket)
    assert {k: v for k, v in told.items() if k != "ResponseMetadata"} == configuration
    s3.delete_bucket_website(Bucket=bucket)
    assert refused(s3.get_bucket_website, Bucket=bucket) == "NoSuchWebsiteConfiguration"
    s3.delete_bucket_website(Bucket=bucket)


def _rule(**rule: Any) -> dict[str, Any]:
    return {**INDEX, "RoutingRules": [rule]}


@pytest.mark.parametrize(
    ("configuration", "code"),
    [
        ({}, "MalformedXML"),
        ({"ErrorDocument": {"Key": "e"}}, "InvalidArgument"),
        ({"IndexDocument": {"Suffix": ""}}, "InvalidArgument"),
        ({"IndexDocument": {"Suffix": "a/b"}}, "InvalidArgument"),
        ({**INDEX, "RedirectAllRequestsTo": {"HostName": "h"}}, "InvalidRequest"),
        ({"RedirectAllRequestsTo": {"HostName": ""}}, "InvalidArgument"),
        ({"RedirectAllRequestsTo": {"HostName": "h", "Protocol": "ftp"}}, "InvalidRequest"),
        (_rule(Redirect={}), "MalformedXML"),
        (_rule(Redirect={"ReplaceKeyWith": "a", "ReplaceKeyPrefixWith": "b"}), "InvalidRequest"),
        (_rule(Redirect={"HostName": "h", "HttpRedirectCode": "200"}), "InvalidRequest"),
        (_rule(Redirect={"HostName": "h", "HttpRedirectCode": "300"}), "InvalidRequest"),
        (_rule(Condition={}, Redirect={"HostName": "h"}), "InvalidRequest"),
        (
            _rule(Condition={"HttpErrorCodeReturnedEquals": "200"}, Redirect={"HostName": "h"}),
            "InvalidRequest",
        ),
        ({**INDEX, "RoutingRules": [{"Redirect": {"HostName": "h"}}] * 51}, "InvalidRequest"),
    ],
)
def test_what_no_website_can_be_is_refused(
    s3: Any, bucket: str, configuration: dict[str, Any], code: str
) -> None:
    about = {"Bucket": bucket, "WebsiteConfiguration": configuration}
    assert refused(s3.put_bucket_website, **about) == code
    assert refused(s3.get_bucket_website, Bucket=bucket) == "NoSuchWebsiteConfiguration"


@given(body=st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_parsed_or_refused(body: bytes) -> None:
    for sent in (body, b"<WebsiteConfiguration>" + body + b"</WebsiteConfiguration>"):
        with suppress(S3Error):
            read_website(parse_website(sent))


@pytest.mark.parametrize(
    "form",
    [
        "s3-website.localhost",
        "s3-website-us-east-1.localhost:9000",
        "s3-website.us-east-1.localhost",
    ],
)
def test_the_index_of_the_site_and_of_a_folder(wire: WireClient, site: str, form: str) -> None:
    home = visit(wire, site, form=form)
    assert (home.status, home.body) == (200, b"<h1>home</h1>")
    assert home.headers["content-type"] == "text/html"
    assert visit(wire, site, "/docs/", form=form).body == b"<h1>docs</h1>"


def test_a_folder_without_its_slash_is_redirected_to(wire: WireClient, site: str) -> None:
    answer = visit(wire, site, "/docs")
    assert (answer.status, answer.headers["location"]) == (302, "/docs/")


def test_an_object_is_served_whole_in_part_and_as_headers(wire: WireClient, site: str) -> None:
    path = "/a%20b%2Bc.txt"
    whole = visit(wire, site, path + "?versionId=x&anything")
    assert (whole.status, whole.body) == (200, b"text")
    part = visit(wire, site, path, Range="bytes=1-2")
    assert (part.status, part.body) == (206, b"ex")
    head = visit(wire, site, path, "HEAD")
    assert (head.status, head.headers["content-length"], head.body) == (200, "4", b"")
    same = visit(wire, site, path, **{"If-None-Match": whole.headers["etag"]})
    assert (same.status, same.body) == (304, b"")


def test_a_missing_key_is_told_in_html(wire: WireClient, site: str) -> None:
    answer = visit(wire, site, "/none?a=b")
    assert answer.status == 404
    assert answer.headers["content-type"].startswith("text/html")
    text = unescape(answer.body.decode())
    assert "<h1>404 Not Found</h1>" in text
    assert "<li>Code: NoSuchKey</li>" in text
    assert "<li>Message: The specified key does not exist.</li>" in text
    assert "<li>Key: none</li>" in text
    assert answer.headers["x-amz-request-id"] in text
    head = visit(wire, site, "/none", "HEAD")
    assert (head.status, head.body) == (404, b"")
    assert head.headers["x-amz-error-code"] == "NoSuchKey"


def test_a_page_shows_no_markup_of_strangers(wire: WireClient, site: str) -> None:
    answer = visit(wire, site, "/%3Cscript%3E")
    assert answer.status == 404
    assert b"<script>" not in answer.body


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_a_website_is_only_read(wire: WireClient, s3: Any, site: str, method: str) -> None:
    answer = visit(wire, site, "/index.html", method)
    assert answer.status == 405
    assert b"MethodNotAllowed" in answer.body
    assert s3.get_object(Bucket=site, Key="index.html")["Body"].read() == b"<h1>home</h1>"


def test_what_is_not_public_is_not_served(wire: WireClient, s3: Any, bucket: str) -> None:
    configure(s3, bucket)
    s3.put_object(Bucket=bucket, Key="index.html", Body=b"secret")
    for path in ("/", "/index.html", "/none"):
        answer = visit(wire, bucket, path)
        assert answer.status == 403
        assert b"<li>Code: AccessDenied</li>" in answer.body


def test_no_bucket_and_no_website(wire: WireClient, bucket: str) -> None:
    assert b"NoSuchBucket" in visit(wire, "no-such-bucket-at-all").body
    answer = visit(wire, bucket)
    assert answer.status == 404
    assert b"<li>Code: NoSuchWebsiteConfiguration</li>" in answer.body


def test_an_error_document_takes_the_pages_place(wire: WireClient, s3: Any, site: str) -> None:
    configure(s3, site, ErrorDocument={"Key": "errors/e.html"})
    missing = visit(wire, site, "/none")
    assert missing.status == 404
    assert b"An Error Occurred While Attempting to Retrieve a Custom Error" in missing.body
    s3.put_object(Bucket=site, Key="errors/e.html", Body=b"<p>gone</p>", ACL="public-read")
    found = visit(wire, site, "/none", Range="bytes=0-1")
    assert (found.status, found.body) == (404, b"<p>gone</p>")


def test_every_request_is_redirected(wire: WireClient, s3: Any, bucket: str) -> None:
    everything = {"RedirectAllRequestsTo": {"HostName": "example.com", "Protocol": "https"}}
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=everything)
    answer = visit(wire, bucket, "/a/b%20c")
    assert (answer.status, answer.headers["location"]) == (301, "https://example.com/a/b%20c")


def test_rules_redirect_before_and_after_the_look(wire: WireClient, s3: Any, site: str) -> None:
    rules = [
        {
            "Condition": {"KeyPrefixEquals": "old/"},
            "Redirect": {"ReplaceKeyPrefixWith": "new/", "HttpRedirectCode": "302"},
        },
        {"Condition": {"KeyPrefixEquals": "b"}, "Redirect": {"ReplaceKeyWith": "b.html"}},
        {
            "Condition": {"HttpErrorCodeReturnedEquals": "404", "KeyPrefixEquals": "x"},
            "Redirect": {"HostName": "other.example", "Protocol": "https"},
        },
    ]
    configure(s3, site, RoutingRules=rules)
    host = f"http://{site}.s3-website.localhost"
    told = {path: visit(wire, site, path) for path in ("/old/a%20b", "/banana", "/xy", "/y")}
    assert [answer.status for answer in told.values()] == [302, 301, 301, 404]
    assert [answer.headers.get("location") for answer in told.values()] == [
        f"{host}/new/a%20b",
        f"{host}/b.html",
        "https://other.example/xy",
        None,
    ]


def test_an_object_redirects_to_where_it_says(wire: WireClient, s3: Any, site: str) -> None:
    to = "/docs/index.html"
    s3.put_object(Bucket=site, Key="moved", WebsiteRedirectLocation=to, ACL="public-read")
    assert s3.head_object(Bucket=site, Key="moved")["WebsiteRedirectLocation"] == to
    answer = visit(wire, site, "/moved")
    assert (answer.status, answer.headers["location"]) == (301, to)
    s3.copy_object(Bucket=site, Key="copied", CopySource=f"{site}/moved")
    assert "WebsiteRedirectLocation" not in s3.head_object(Bucket=site, Key="copied")
    about = {"Bucket": site, "Key": "bad", "WebsiteRedirectLocation": "ftp://x"}
    assert refused(s3.put_object, **about) == "InvalidRedirectLocation"


def test_a_store_can_be_named_in_the_host(server: MemoryServer, wire: WireClient) -> None:
    other = server.create_store("sitestore")
    mine = WireClient(server.port, other)
    assert mine.send("PUT", "/shared-name").status == 200
    body = (
        b"<WebsiteConfiguration><RedirectAllRequestsTo><HostName>other</HostName>"
        b"</RedirectAllRequestsTo></WebsiteConfiguration>"
    )
    assert mine.send("PUT", "/shared-name?website", body).status == 200
    assert wire.send("PUT", "/shared-name").status == 200
    assert visit(wire, "shared-name.sitestore").headers["location"] == "http://other/"
    assert visit(wire, "shared-name").status == 404


def test_an_event_says_what_was_read(server: MemoryServer, wire: WireClient, site: str) -> None:
    visit(wire, site, "/none")
    event = next(one for one in reversed(server.events) if one.bucket == site)
    assert (event.operation, event.status, event.error) == ("GetObject", 404, "NoSuchKey")
    assert (event.key, event.store, event.user_id) == (b"none", "main", "")
