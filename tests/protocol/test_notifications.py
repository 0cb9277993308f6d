"""Event notifications: the configuration, the events that changes make, and their delivery to real
destinations: a webhook, and a stream of Redis."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from coffre.config import Destination
from coffre.s3.settings import Settings
from coffre.service.delivery_routes import Destinations, routing
from coffre.stewards.deliverer import Deliverer
from coffre.testing.server import MemoryServer
from coffre.wire.errors import S3Error
from coffre.wire.notifications import parse_notification, read_notification
from tests.protocol.boto_client import boto, refused
from tests.protocol.wire_client import until

BUCKET = "notifying"
TAG = {"Key": "k", "Value": ""}
HOOK = "arn:coffre:sqs::hook:webhook"
STREAM = "arn:coffre:sqs::stream:redis"
ALL = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*", "s3:ObjectAcl:Put"]


class Hook(ThreadingHTTPServer):
    """A webhook that keeps what it gets; it answers `answer`."""

    daemon_threads = True

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answer = 200
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/events?x=1"

    def events(self) -> list[dict[str, Any]]:
        """Records, test events left out."""
        return [record for one in self.got for record in one.get("Records", ())]


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.answer == 200:
            self.server.got.append(json.loads(body))
            self.server.headers.append(dict(self.headers.items()))
        self.send_response(self.server.answer)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


class World:
    """A server, a steward that delivers for it, and a webhook."""

    def __init__(self, hook: Hook, folder: Path, redis: str = "redis://127.0.0.1:1/0") -> None:
        token = folder / "token"
        token.write_text("secret\n")
        configured = (
            Destination("hook", "webhook", hook.url, str(token)),
            Destination("stream", "redis", redis, stream="events"),
        )
        self.hook = hook
        named = frozenset((one.name, one.kind) for one in configured)
        self.server = MemoryServer(Settings(destinations=named))
        self.destinations = Destinations(configured)

    def start(self) -> None:
        catalog = self.server.engine.catalog
        route = routing("us-east-1")
        self.deliverer = Deliverer(
            catalog, catalog, self.server.engine.clock, route, self.destinations.send, 3600
        )
        self.s3 = boto(self.server, self.server.user)

    def deliver(self) -> Any:
        self.deliverer.hasten()
        return self.server.call(self.deliverer.round())

    def waiting(self) -> int:
        found = self.server.engine.catalog.events(after=(b"", 0, 0), limit=1000)  # type: ignore[arg-type]
        return len(found)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    hook = Hook()
    threading.Thread(target=hook.serve_forever, daemon=True).start()
    made = World(hook, tmp_path)
    with made.server:
        made.start()
        made.s3.create_bucket(Bucket=BUCKET)
        yield made
    hook.shutdown()
    hook.server_close()


def configure(world: World, *arns: str, bucket: str = BUCKET, **more: Any) -> None:
    queues = [
        {"Id": f"id{number}", "QueueArn": arn, "Events": ALL, **more}
        for number, arn in enumerate(arns)
    ]
    world.s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={"QueueConfigurations": queues},
        SkipDestinationValidation=True,
    )


def prefix(value: str, name: str = "prefix") -> dict[str, Any]:
    return {"Key": {"FilterRules": [{"Name": name, "Value": value}]}}


def test_a_configuration_is_told_as_it_was_put_and_can_be_taken_back(world: World) -> None:
    told: dict[str, Any] = {
        "TopicConfigurations": [
            {
                "Id": "t",
                "TopicArn": "arn:coffre:sns:eu:hook:webhook",
                "Events": ["s3:ObjectCreated:Put"],
                "Filter": prefix("a/"),
            }
        ],
        "QueueConfigurations": [{"Id": "q", "QueueArn": STREAM, "Events": ["s3:ObjectRemoved:*"]}],
        "LambdaFunctionConfigurations": [
            {
                "Id": "f",
                "LambdaFunctionArn": "arn:minio:lambda::hook:webhook",
                "Events": ["s3:ObjectCreated:*"],
                "Filter": prefix("b/"),
            }
        ],
    }
    s3 = world.s3
    s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=told)
    found = s3.get_bucket_notification_configuration(Bucket=BUCKET)
    found.pop("ResponseMetadata")
    for kind in told:
        for one in found[kind]:
            for rule in one.get("Filter", {}).get("Key", {}).get("FilterRules", ()):
                rule["Name"] = rule["Name"].lower()
    assert found == told
    s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration={})
    found = s3.get_bucket_notification_configuration(Bucket=BUCKET)
    assert found.keys() == {"ResponseMetadata"}


def test_a_configuration_without_an_id_gets_one(world: World) -> None:
    queue = {"QueueArn": HOOK, "Events": ALL}
    world.s3.put_bucket_notification_configuration(
        Bucket=BUCKET, NotificationConfiguration={"QueueConfigurations": [queue]}
    )
    told = world.s3.get_bucket_notification_configuration(Bucket=BUCKET)
    assert told["QueueConfigurations"][0]["Id"]


def _queue(**more: Any) -> dict[str, Any]:
    return {"Id": "a", "QueueArn": HOOK, "Events": ["s3:ObjectCreated:*"], **more}


@pytest.mark.parametrize(
    ("queues", "code"),
    [
        ([_queue(QueueArn="arn:coffre:sqs::other:webhook")], "InvalidArgument"),
        ([_queue(QueueArn="arn:coffre:sqs::hook:redis")], "InvalidArgument"),
        ([_queue(QueueArn="arn:coffre:sns::hook:webhook")], "InvalidArgument"),
        ([_queue(QueueArn="arn:aws:sqs:us-east-1:123456789012:q")], "InvalidArgument"),
        ([_queue(QueueArn="http://127.0.0.1/")], "InvalidArgument"),
        ([_queue(Events=["s3:ObjectEaten:*"])], "InvalidArgument"),
        ([_queue(Events=[])], "MalformedXML"),
        ([_queue(Filter=prefix("a", "middle"))], "InvalidArgument"),
        ([_queue(Filter=prefix("a" * 1025))], "InvalidArgument"),
        ([_queue(Id="x" * 256)], "InvalidArgument"),
        ([_queue(), _queue(Filter=prefix("z"))], "InvalidArgument"),
        ([_queue(), _queue(Id="b")], "InvalidArgument"),
        ([_queue(), _queue(Id="b", Events=["s3:ObjectCreated:Put"])], "InvalidArgument"),
        ([_queue(Filter=prefix("a")), _queue(Id="b", Filter=prefix("ab"))], "InvalidArgument"),
        (
            [
                _queue(
                    Filter={
                        "Key": {
                            "FilterRules": [
                                {"Name": "prefix", "Value": "a"},
                                {"Name": "prefix", "Value": "b"},
                            ]
                        }
                    }
                )
            ],
            "InvalidArgument",
        ),
    ],
)
def test_what_no_configuration_can_be_is_refused(
    server: MemoryServer, queues: list[dict[str, Any]], code: str
) -> None:
    named = frozenset({("hook", "webhook")})
    body = _xml(queues)
    with pytest.raises(S3Error) as error:
        parse_notification(body, lambda: "new", lambda one: (one.name, one.kind) in named)
    assert error.value.code == code


def _xml(queues: list[dict[str, Any]]) -> bytes:
    import botocore.session
    from botocore.serialize import create_serializer

    model = botocore.session.get_session().get_service_model("s3")
    serializer = create_serializer("rest-xml", include_validation=False)
    asked = {"Bucket": BUCKET, "NotificationConfiguration": {"QueueConfigurations": queues}}
    operation = model.operation_model("PutBucketNotificationConfiguration")
    body = serializer.serialize_to_request(asked, operation)["body"]
    return body if isinstance(body, bytes) else body.encode()


def test_keys_apart_may_share_an_event(world: World) -> None:
    queues = [_queue(Filter=prefix("a/")), _queue(Id="b", Filter=prefix("b/"))]
    world.s3.put_bucket_notification_configuration(
        Bucket=BUCKET, NotificationConfiguration={"QueueConfigurations": queues}
    )


def test_event_bridge_is_refused(world: World) -> None:
    about = {"Bucket": BUCKET, "NotificationConfiguration": {"EventBridgeConfiguration": {}}}
    assert refused(world.s3.put_bucket_notification_configuration, **about) == "NotImplemented"


@given(body=st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_parsed_or_refused(body: bytes) -> None:
    for sent in (body, b"<NotificationConfiguration>" + body + b"</NotificationConfiguration>"):
        with suppress(S3Error):
            kept = parse_notification(sent, lambda: "new", lambda one: True)
            assert kept is None or read_notification(kept) is not None


def test_a_test_event_comes_first(world: World) -> None:
    configure(world, HOOK)
    world.deliver()
    (told,) = world.hook.got
    assert (told["Event"], told["Bucket"], told["Service"]) == ("s3:TestEvent", BUCKET, "Amazon S3")
    assert world.hook.headers[0]["Authorization"] == "Bearer secret"
    assert world.waiting() == 0


def test_every_change_is_told_of_as_what_it_is(world: World) -> None:
    s3 = world.s3
    configure(world, HOOK)
    put = s3.put_object(Bucket=BUCKET, Key="a b/ä", Body=b"12345")
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource=f"{BUCKET}/a b/ä")
    s3.put_object_tagging(Bucket=BUCKET, Key="copy", Tagging={"TagSet": [TAG]})
    s3.delete_object_tagging(Bucket=BUCKET, Key="copy")
    s3.put_object_acl(Bucket=BUCKET, Key="copy", ACL="public-read")
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
    about = {"Bucket": BUCKET, "Key": "parts", "UploadId": upload}
    part = {"PartNumber": 1, "ETag": s3.upload_part(**about, PartNumber=1, Body=b"x")["ETag"]}
    s3.complete_multipart_upload(**about, MultipartUpload={"Parts": [part]})
    s3.delete_object(Bucket=BUCKET, Key="copy")
    s3.delete_object(Bucket=BUCKET, Key="never there")
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "parts"}]})
    world.deliver()
    told = world.hook.events()
    assert [(one["eventName"], one["s3"]["object"]["key"]) for one in told] == [
        ("ObjectCreated:Put", "a+b/%C3%A4"),
        ("ObjectCreated:Copy", "copy"),
        ("ObjectTagging:Put", "copy"),
        ("ObjectTagging:Delete", "copy"),
        ("ObjectAcl:Put", "copy"),
        ("ObjectCreated:CompleteMultipartUpload", "parts"),
        ("ObjectRemoved:Delete", "copy"),
        ("ObjectRemoved:Delete", "parts"),
    ]
    first = told[0]
    assert first["s3"]["object"]["eTag"] == put["ETag"].strip('"')
    assert first["s3"]["object"]["size"] == 5
    assert "versionId" not in first["s3"]["object"]
    assert first["s3"]["bucket"]["arn"] == f"arn:aws:s3:::{BUCKET}"
    assert first["s3"]["configurationId"] == "id0"
    assert first["userIdentity"]["principalId"] == world.server.user.id
    assert first["requestParameters"]["sourceIPAddress"] == "127.0.0.1"
    request_id = put["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"]
    assert first["responseElements"]["x-amz-request-id"] == request_id
    sequencers = [one["s3"]["object"]["sequencer"] for one in told]
    assert sequencers == sorted(sequencers)
    assert world.waiting() == 0


def test_versions_are_named(world: World) -> None:
    s3 = world.s3
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    configure(world, HOOK)
    version = s3.put_object(Bucket=BUCKET, Key="k", Body=b"1")["VersionId"]
    marker = s3.delete_object(Bucket=BUCKET, Key="k")["VersionId"]
    s3.delete_object(Bucket=BUCKET, Key="k", VersionId=version)
    world.deliver()
    told = [(one["eventName"], one["s3"]["object"]["versionId"]) for one in world.hook.events()]
    assert told == [
        ("ObjectCreated:Put", version),
        ("ObjectRemoved:DeleteMarkerCreated", marker),
        ("ObjectRemoved:Delete", version),
    ]


def test_only_keys_that_fit_are_told_of(world: World) -> None:
    rules = [{"Name": "prefix", "Value": "in/"}, {"Name": "suffix", "Value": ".jpg"}]
    configure(world, HOOK, Filter={"Key": {"FilterRules": rules}})
    for key in ("in/a.jpg", "in/a.png", "out/a.jpg"):
        world.s3.put_object(Bucket=BUCKET, Key=key)
    world.deliver()
    assert [one["s3"]["object"]["key"] for one in world.hook.events()] == ["in/a.jpg"]
    assert world.waiting() == 0


def test_a_bucket_that_notifies_nobody_writes_no_events(world: World) -> None:
    world.s3.put_object(Bucket=BUCKET, Key="k")
    configure(world, HOOK)
    world.s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration={})
    world.s3.put_object(Bucket=BUCKET, Key="k")
    world.deliver()
    assert (world.hook.events(), world.waiting()) == ([], 0)


def test_what_is_not_taken_is_told_again_in_order(world: World) -> None:
    configure(world, HOOK)
    world.deliver()
    world.hook.answer = 503
    for number in range(3):
        world.s3.put_object(Bucket=BUCKET, Key="k", Body=b"x" * number)
    said = world.deliver()
    assert (said.left, world.hook.events()) == (3, [])
    assert "hook" in said.result
    world.hook.answer = 200
    world.deliver()
    assert [one["s3"]["object"].get("size") for one in world.hook.events()] == [0, 1, 2]
    assert world.waiting() == 0


def test_one_that_is_away_holds_back_no_other(world: World) -> None:
    about = {
        "Bucket": BUCKET,
        "NotificationConfiguration": {
            "QueueConfigurations": [
                _queue(Filter=prefix("a")),
                _queue(Id="b", QueueArn=STREAM, Filter=prefix("b")),
            ]
        },
    }
    world.s3.put_bucket_notification_configuration(**about)
    for key in ("b1", "a1", "a2"):
        world.s3.put_object(Bucket=BUCKET, Key=key)
    world.deliver()
    assert [one["s3"]["object"]["key"] for one in world.hook.events()] == ["a1", "a2"]
    assert world.waiting() == 2  # the test event, and what waits for the stream


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        pytest.skip("no redis-server here")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
    )
    client = Redis(port=port)

    def answers() -> list[bool]:
        with suppress(OSError, Exception):
            return [bool(client.ping())]
        return []

    assert until(answers)
    yield f"redis://127.0.0.1:{port}/0"
    client.close()
    running.terminate()
    running.wait()


def test_a_stream_of_redis_gets_events(tmp_path: Path, redis: str) -> None:
    made = World(Hook(), tmp_path, redis)
    with made.server:
        made.start()
        made.s3.create_bucket(Bucket=BUCKET)
        configure(made, STREAM)
        made.s3.put_object(Bucket=BUCKET, Key="k", Body=b"123")
        made.deliver()
        made.server.call(made.destinations.close())
    entries: Any = Redis.from_url(redis).xrange("events")
    told = [json.loads(fields[b"event"]) for _, fields in entries]
    assert told[0]["Event"] == "s3:TestEvent"
    assert told[1]["Records"][0]["s3"]["object"]["size"] == 3
    made.hook.server_close()
