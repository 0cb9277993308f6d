"""What browsers do: forms, as curl and urllib3 send them, and requests across origins."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import urllib3

from .material import some_bytes
from .server import Program, Server

MIB = 1024 * 1024
SHOP = "https://shop.example"


@pytest.mark.parametrize("version", ["s3v4", "s3"], ids=["V4", "V2"])
def test_curl_posts_a_form(
    program: Callable[..., Program], boto: Callable[..., Any], bucket: str, version: str
) -> None:
    s3 = boto(signature_version=version)
    body = some_bytes(9 * MIB)
    made = s3.generate_presigned_post(
        bucket,
        "in/${filename}",
        Fields={"success_action_status": "201", "Content-Type": "video/x-large"},
        Conditions=[
            {"success_action_status": "201"},
            ["starts-with", "$Content-Type", "video/"],
            ["content-length-range", 1, 10 * MIB],
        ],
    )
    curl = program("curl", "--silent", "--show-error")
    (curl.folder / "été 1.bin").write_bytes(body)
    fields = [option for field in made["fields"].items() for option in ("-F", "=".join(field))]
    told = curl(*fields, "-F", "file=@été 1.bin", "--write-out", "%{http_code}", made["url"])
    assert told.endswith("201")
    assert "<Key>in/été 1.bin</Key>" in told
    found = s3.get_object(Bucket=bucket, Key="in/été 1.bin")
    assert found["Body"].read() == body
    assert found["ContentType"] == "video/x-large"
    (curl.folder / "too large").write_bytes(bytes(10 * MIB + 1))
    told = curl(*fields, "-F", "file=@too large", made["url"])
    assert "<Code>EntityTooLarge</Code>" in told


def test_urllib3_posts_a_form(s3: Any, bucket: str) -> None:
    made = s3.generate_presigned_post(bucket, "k")
    fields = {**made["fields"], "file": ("name", b"content")}
    answer = urllib3.request("POST", made["url"], fields=fields, redirect=False)
    assert answer.status == 204
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"content"


def test_a_page_asks_before_it_sends_and_sees_the_answer(
    s3: Any, server: Server, bucket: str
) -> None:
    rule = {
        "AllowedOrigins": ["https://*.example"],
        "AllowedMethods": ["GET", "PUT"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 60,
    }
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    url = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "k"})
    asked = {
        "Origin": SHOP,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type",
    }
    for target in (url, f"{server.endpoint}/{bucket}/k"):
        answer = urllib3.request("OPTIONS", target, headers=asked)
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == SHOP
        assert answer.headers["access-control-allow-headers"] == "content-type"
    sent = urllib3.request("PUT", url, body=b"from a page", headers={"Origin": SHOP})
    assert (sent.status, sent.headers["access-control-expose-headers"]) == (200, "ETag")
    asked["Origin"] = "https://elsewhere.test"
    assert urllib3.request("OPTIONS", url, headers=asked).status == 403


def test_aws_cli_sets_the_rules(
    program: Callable[..., Program], server: Server, bucket: str
) -> None:
    aws = program("aws", "--endpoint-url", server.endpoint, "s3api")
    rules = {"CORSRules": [{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}]}
    aws("put-bucket-cors", "--bucket", bucket, "--cors-configuration", json.dumps(rules))
    assert json.loads(aws("get-bucket-cors", "--bucket", bucket, "--output", "json")) == rules
    aws("delete-bucket-cors", "--bucket", bucket)
    assert "NoSuchCORSConfiguration" in aws.refused("get-bucket-cors", "--bucket", bucket)
