"""Network rules: asked before any permission, and past them goes nobody."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from coffre.access.networks import read_networks
from coffre.s3.settings import Settings
from coffre.testing.server import Credentials, MemoryServer
from tests.protocol.boto_client import boto, refused
from tests.protocol.operator_client import Operator
from tests.protocol.wire_client import WireClient

_numbers = itertools.count()
ELSEWHERE = ["192.0.2.0/24", "2001:db8::/32"]


@pytest.fixture(scope="module")
def operator(server: MemoryServer) -> Operator:
    return Operator(server)


@pytest.fixture
def owner(operator: Operator) -> Credentials:
    return operator.new_store(f"nets-{next(_numbers)}")


@pytest.fixture
def s3(server: MemoryServer, owner: Credentials) -> Any:
    client = boto(server, owner)
    for bucket in ("open", "shut"):
        client.create_bucket(Bucket=bucket)
        client.put_object(Bucket=bucket, Key="k", Body=b"bytes", ACL="public-read")
    return client


@pytest.fixture
def shut(operator: Operator, owner: Credentials, s3: Any) -> str:
    """A bucket that nobody reaches from here."""
    shown = operator.call(
        "bucket.network", name="shut", store=owner.store, network="custom", addresses=ELSEWHERE
    )
    assert (shown["network"], shown["addresses"]) == ("custom", ELSEWHERE)
    return "shut"


def test_whoever_comes_from_elsewhere_gets_403_whatever_he_may(s3: Any, shut: str) -> None:
    for call in (
        lambda: s3.get_object(Bucket=shut, Key="k"),
        lambda: s3.put_object(Bucket=shut, Key="k", Body=b""),
        lambda: s3.list_objects_v2(Bucket=shut),
        lambda: s3.get_bucket_policy(Bucket=shut),
        lambda: s3.delete_bucket(Bucket=shut),
    ):
        assert refused(call) == "AccessDenied"
    assert s3.get_object(Bucket="open", Key="k")["Body"].read() == b"bytes"
    assert len(s3.list_buckets()["Buckets"]) == 2


def test_no_presigned_url_gets_past_it(
    server: MemoryServer, owner: Credentials, s3: Any, shut: str
) -> None:
    wire = WireClient(server.port, owner)
    assert wire.raw("GET", wire.presigned("GET", "/open/k"), b"", {"Host": wire.host}).status == 200
    answer = wire.raw("GET", wire.presigned("GET", f"/{shut}/k"), b"", {"Host": wire.host})
    assert (answer.status, answer.code) == (403, "AccessDenied")


def test_what_is_public_is_not_read_from_elsewhere(
    server: MemoryServer, owner: Credentials, s3: Any, shut: str
) -> None:
    wire = WireClient(server.port, owner)
    host = {"Host": f"{owner.store}.localhost:{server.port}"}
    assert wire.raw("GET", "/open/k", b"", host).body == b"bytes"
    assert wire.raw("GET", f"/{shut}/k", b"", host).status == 403


def test_no_copy_takes_from_it(s3: Any, shut: str) -> None:
    source = {"Bucket": shut, "Key": "k"}
    about = {"Bucket": "open", "Key": "copy", "CopySource": source}
    assert refused(s3.copy_object, **about) == "AccessDenied"
    upload = s3.create_multipart_upload(Bucket="open", Key="copy")["UploadId"]
    part = {**about, "UploadId": upload, "PartNumber": 1}
    assert refused(s3.upload_part_copy, **part) == "AccessDenied"
    assert refused(s3.head_object, Bucket="open", Key="copy") == "404"


def test_a_website_is_not_read_from_elsewhere(
    operator: Operator, server: MemoryServer, owner: Credentials, s3: Any
) -> None:
    name = f"site-{next(_numbers)}"
    s3.create_bucket(Bucket=name)
    page = {"IndexDocument": {"Suffix": "index.html"}}
    s3.put_bucket_website(Bucket=name, WebsiteConfiguration=page)
    s3.put_object(Bucket=name, Key="index.html", Body=b"<p>", ACL="public-read")

    def visit() -> int:
        host = {"Host": f"{name}.s3-website.localhost"}
        return WireClient(server.port, owner).raw("GET", "/", b"", host).status

    assert visit() == 200
    about = {"name": name, "store": owner.store}
    operator.call("bucket.network", **about, network="custom", addresses=ELSEWHERE)
    assert visit() == 403


def test_a_form_uploads_nothing_from_elsewhere(
    server: MemoryServer, owner: Credentials, s3: Any, shut: str
) -> None:
    for bucket, status in (("open", 204), (shut, 403)):
        post = s3.generate_presigned_post(bucket, "form")
        lines = [
            f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in {**post["fields"], "file": "body"}.items()
        ]
        body = "".join((*lines, "--x--\r\n")).encode()
        headers = {
            "Host": f"127.0.0.1:{server.port}",
            "Content-Type": "multipart/form-data; boundary=x",
            "Content-Length": str(len(body)),
        }
        answer = WireClient(server.port, owner).raw("POST", f"/{bucket}", body, headers)
        assert answer.status == status


def test_a_bucket_without_a_rule_has_its_stores(
    operator: Operator, owner: Credentials, s3: Any
) -> None:
    about = {"name": "open", "store": owner.store}
    told = operator.call("store.set", name=owner.store, network="custom", addresses=ELSEWHERE)
    assert told["network"] == "custom"
    assert operator.call("bucket.network", **about)["inherited"] is True
    assert refused(s3.get_object, Bucket="open", Key="k") == "AccessDenied"
    assert refused(s3.list_buckets) == "AccessDenied"
    assert refused(s3.create_bucket, Bucket="third") == "AccessDenied"
    assert refused(s3.list_objects_v2, Bucket="nowhere") == "AccessDenied"
    own = operator.call("bucket.network", **about, network="private")
    assert own["inherited"] is False
    s3.get_object(Bucket="open", Key="k")
    operator.call("bucket.network", **about, network="store")
    assert refused(s3.get_object, Bucket="open", Key="k") == "AccessDenied"
    public = operator.call("store.set", name=owner.store, network="public")
    assert "warning" in public
    s3.get_object(Bucket="open", Key="k")


def test_buckets_of_the_console_are_private_and_public_ones_are_warned_of(
    operator: Operator, owner: Credentials
) -> None:
    about = {"store": owner.store}
    made = operator.call("bucket.create", name="quiet", **about)
    assert (made["network"], "warning" in made) == ("private", False)
    made = operator.call("bucket.create", name="loud", **about, network="public")
    assert "every address" in made["warning"]


@pytest.fixture(scope="module")
def faraway() -> Iterator[MemoryServer]:
    """A server to whom this machine is not one of the operator's."""
    settings = Settings(private_networks=read_networks(["192.0.2.0/24"]))
    with MemoryServer(settings) as running:
        yield running


def test_private_is_what_the_configuration_says(faraway: MemoryServer) -> None:
    operator = Operator(faraway)
    s3 = boto(faraway, faraway.user)
    s3.create_bucket(Bucket="open")
    operator.call("bucket.network", name="open", store="main", network="private")
    assert refused(s3.list_objects_v2, Bucket="open") == "AccessDenied"
    here = {"network": "custom", "addresses": ["127.0.0.1", "::1"]}
    operator.call("bucket.network", name="open", store="main", **here)
    s3.list_objects_v2(Bucket="open")


BAD: list[tuple[str, list[str]]] = [
    ("lan", []),
    ("custom", []),
    ("custom", ["10.0.0.0/33"]),
    ("custom", ["10.0.0.1/8"]),
    ("custom", ["example.org"]),
    ("custom", ["::1", ""]),
    ("custom", [f"10.0.{n // 256}.{n % 256}" for n in range(257)]),
    ("private", ["10.0.0.1"]),
    ("public", ["0.0.0.0/0"]),
]


@pytest.mark.parametrize(("network", "addresses"), BAD)
def test_a_rule_that_is_none_is_refused_and_the_one_of_before_stays(
    operator: Operator, owner: Credentials, s3: Any, network: str, addresses: list[str]
) -> None:
    about = {"name": "open", "store": owner.store}
    before = operator.call("bucket.network", **about)
    code, field = operator.refused("bucket.network", **about, network=network, addresses=addresses)
    assert (code, field) in {
        ("InvalidNetwork", "addresses"),
        ("InvalidArgument", "network"),
    }
    assert operator.call("bucket.network", **about) == before
