"""Event notifications: a bucket's configuration, and the events as destinations get them.

Sources: AWS API reference of PutBucketNotificationConfiguration; AWS user guide "Event message
structure", "Configuring event notifications using object key name filtering". Destinations are the
operator's; a configuration names them by ARN: `arn:coffre:sqs::<name>:<kind>`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any, Final
from urllib.parse import quote_plus
from xml.etree.ElementTree import Element, SubElement

from coffre.wire.configurations import Node, canonical, render_configuration
from coffre.wire.errors import S3Error
from coffre.wire.xml import parse

DOCUMENT_LIMIT: Final = 256 * 1024
_ROOT: Final = "NotificationConfiguration"
_VALUE_LIMIT: Final = 1024
_ID_LIMIT: Final = 255
_LIMIT: Final = 100
# What a configuration's element calls the service, as ARNs name it.
_SERVICES: Final = {"Topic": "sns", "Queue": "sqs", "CloudFunction": "lambda"}
_PARTITIONS: Final = frozenset({"coffre", "minio"})
EVENTS: Final = frozenset(
    {
        *(f"s3:ObjectCreated:{how}" for how in ("*", "Put", "Post", "Copy")),
        "s3:ObjectCreated:CompleteMultipartUpload",
        *(f"s3:ObjectRemoved:{how}" for how in ("*", "Delete", "DeleteMarkerCreated")),
        *(f"s3:ObjectRestore:{how}" for how in ("*", "Post", "Completed", "Delete")),
        *(f"s3:Replication:{how}" for how in ("*", "OperationFailedReplication")),
        *(f"s3:Replication:Operation{how}" for how in ("NotTracked", "MissedThreshold")),
        "s3:Replication:OperationReplicatedAfterThreshold",
        *(f"s3:LifecycleExpiration:{how}" for how in ("*", "Delete", "DeleteMarkerCreated")),
        *(f"s3:ObjectTagging:{how}" for how in ("*", "Put", "Delete")),
        "s3:ObjectAcl:Put",
        "s3:LifecycleTransition",
        "s3:IntelligentTiering",
        "s3:ReducedRedundancyLostObject",
        "s3:ObjectAnnotation:*",
        "s3:ObjectAnnotation:Put",
        "s3:ObjectAnnotation:Delete",
    }
)
_RULE: Final = Node("FilterRule", (Node("Name", required=True), Node("Value")), many=True)
_FILTER: Final = Node("Filter", (Node("S3Key", (_RULE,), empty=True),), empty=True)


def _configuration(name: str) -> Node:
    return Node(
        f"{name}Configuration",
        (
            Node("Id"),
            Node(name, required=True),
            Node("Event", required=True, many=True),
            _FILTER,
        ),
        many=True,
    )


_SCHEMA: Final = Node(
    _ROOT,
    (
        *(_configuration(name) for name in _SERVICES),
        Node("EventBridgeConfiguration", (Node("none"),), empty=True),
    ),
    empty=True,
)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an ARN leads: a destination of the operator's by name and kind."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Notified:
    """One configuration: `destination` is told of `events` on keys that fit."""

    id: str
    destination: Destination
    events: tuple[str, ...]
    prefix: str = ""
    suffix: str = ""

    def wants(self, event: str, key: str) -> bool:
        """Whether it wants to be told; `event` is without `s3:`."""
        family = event.partition(":")[0]
        return (
            (f"s3:{event}" in self.events or f"s3:{family}:*" in self.events)
            and key.startswith(self.prefix)
            and key.endswith(self.suffix)
        )

    def overlaps(self, other: Notified) -> bool:
        """Whether an event on some key would be told to both."""
        common = any(_same(mine, theirs) for mine in self.events for theirs in other.events)
        return (
            common
            and _nested(self.prefix, other.prefix, str.startswith)
            and _nested(self.suffix, other.suffix, str.endswith)
        )


def _same(one: str, other: str) -> bool:
    return one == other or any(
        a.endswith(":*") and b.startswith(a[:-1]) for a, b in ((one, other), (other, one))
    )


def _nested(one: str, other: str, has: Callable[[str, str], bool]) -> bool:
    return has(one, other) or has(other, one)


def parse_notification(
    body: bytes, new_id: Callable[[], str], is_known: Callable[[Destination], bool]
) -> bytes | None:
    """The configuration as it is kept, None for one that says nothing. A configuration without an
    id gets one from `new_id`. Raises MalformedXML, InvalidArgument, NotImplemented."""
    root = parse(body, _ROOT, limit=DOCUMENT_LIMIT)
    kept = canonical(root, _SCHEMA).encode()
    if root.find("EventBridgeConfiguration") is not None:
        raise S3Error("NotImplemented", "There is no EventBridge here to send events to")
    if not len(root):
        return None
    for one in root:
        if not one.findtext("Id"):
            for empty in one.findall("Id"):
                one.remove(empty)
            SubElement(one, "Id").text = new_id()
    kept = canonical(root, _SCHEMA).encode()
    found = [_read(one) for one in root]
    _check_all(found)
    unknown = [one for one in found if not is_known(one[0].destination)]
    if unknown:
        told: dict[str, str] = {}
        for number, (_, arn) in enumerate(unknown, 1):
            told[f"ArgumentName{number}"] = arn
            told[f"ArgumentValue{number}"] = "The destination does not exist"
        raise S3Error(
            "InvalidArgument",
            "Unable to validate the following destination configurations",
            headers=(),
            **told,
        )
    return render_configuration(kept, _SCHEMA)


@lru_cache(maxsize=256)
def read_notification(kept: bytes) -> tuple[Notified, ...]:
    """What a kept document says."""
    root = parse(kept, _ROOT, limit=2 * DOCUMENT_LIMIT)
    return tuple(_read(one)[0] for one in root)


def render_no_notification() -> bytes:
    return render_configuration(f"<{_ROOT}></{_ROOT}>".encode(), _SCHEMA)


def _read(one: Element) -> tuple[Notified, str]:
    """A configuration and its ARN as it was sent."""
    name = one.tag.removesuffix("Configuration")
    arn = one.findtext(name) or ""
    events = tuple(event.text or "" for event in one.findall("Event"))
    for event in events:
        if event not in EVENTS:
            raise _invalid("Event", event, "A specified event is not supported for notifications.")
    identity = one.findtext("Id") or ""
    if len(identity) > _ID_LIMIT:
        raise _invalid("Id", identity, f"An Id has at most {_ID_LIMIT} characters.")
    chosen: dict[str, str] = {}
    for rule in one.iter("FilterRule"):
        which, value = (rule.findtext("Name") or "").lower(), rule.findtext("Value") or ""
        if which not in ("prefix", "suffix"):
            raise _invalid(
                "FilterRule.Name", which, "filter rule name must be either prefix or suffix"
            )
        if which in chosen:
            raise _invalid(
                "FilterRule.Name", which, f"Cannot specify more than one {which} rule in a filter."
            )
        if len(value.encode()) > _VALUE_LIMIT:
            raise _invalid(
                "FilterRule.Value",
                value,
                f"Size of filter rule value cannot exceed {_VALUE_LIMIT} bytes in UTF-8"
                " representation",
            )
        chosen[which] = value
    where = destination(arn, _SERVICES[name])
    return Notified(
        identity, where, events, chosen.get("prefix", ""), chosen.get("suffix", "")
    ), arn


def destination(arn: str, service: str) -> Destination:
    """Where `arn:coffre:<service>:<region>:<name>:<kind>` leads (`minio` for `coffre` is the same).
    InvalidArgument for what is no such ARN."""
    parts = arn.split(":")
    if len(parts) != 6 or parts[0] != "arn" or parts[1] not in _PARTITIONS:
        raise _invalid(service, arn, "The ARN is not well formed")
    if parts[2] != service or not parts[4] or not parts[5]:
        raise _invalid(service, arn, "The ARN is not well formed")
    return Destination(parts[4], parts[5])


def _check_all(found: Sequence[tuple[Notified, str]]) -> None:
    if len(found) > _LIMIT:
        raise S3Error("InvalidArgument", f"A bucket has at most {_LIMIT} configurations.")
    if len({one.id for one, _ in found}) < len(found):
        raise S3Error(
            "InvalidArgument", "Same ID used for multiple configurations. IDs must be unique."
        )
    if any(one.overlaps(other) for (one, _), (other, _) in combinations(found, 2)):
        raise S3Error(
            "InvalidArgument",
            "Configurations overlap. Configurations on the same bucket cannot share a common event"
            " type.",
        )


def _invalid(name: str, value: str, message: str) -> S3Error:
    return S3Error("InvalidArgument", message, ArgumentName=name, ArgumentValue=value)


@dataclass(frozen=True, slots=True)
class Happened:
    """An event as its message tells it. `sequencer` rises with the changes of a key; `version_id`
    None: the bucket never had versions; `restored`: an archived object's class, and until when its
    copy can be read."""

    event: str
    time: str
    region: str
    bucket: str
    owner_id: str
    key: bytes
    size: int
    etag: str
    version_id: str | None
    sequencer: str
    user_id: str
    client: str
    request_id: str
    restored: tuple[str, str] | None = None


def message(one: Happened, configuration: str) -> bytes:
    """The JSON that a destination gets."""
    about: dict[str, Any] = {"key": quote_plus(one.key, safe="/")}
    if one.etag:
        about |= {"size": one.size, "eTag": one.etag}
    if one.version_id is not None:
        about["versionId"] = one.version_id
    about["sequencer"] = one.sequencer
    record: dict[str, Any] = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": one.region,
        "eventTime": one.time,
        "eventName": one.event,
        "userIdentity": {"principalId": one.user_id},
        "requestParameters": {"sourceIPAddress": one.client},
        "responseElements": {"x-amz-request-id": one.request_id, "x-amz-id-2": ""},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": configuration,
            "bucket": {
                "name": one.bucket,
                "ownerIdentity": {"principalId": one.owner_id},
                "arn": f"arn:aws:s3:::{one.bucket}",
            },
            "object": about,
        },
    }
    if one.restored is not None:
        kind, until = one.restored
        told = {"lifecycleRestorationExpiryTime": until, "lifecycleRestoreStorageClass": kind}
        record["glacierEventData"] = {"restoreEventData": told}
    return json.dumps({"Records": [record]}, separators=(",", ":")).encode()


def trial_message(bucket: str, time: str) -> bytes:
    """What every destination gets when a configuration is put."""
    told = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": time, "Bucket": bucket}
    return json.dumps({**told, "RequestId": "", "HostId": ""}, separators=(",", ":")).encode()
