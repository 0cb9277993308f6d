"""Server access logging: its configuration, and the lines of its logs.

Sources: AWS API reference of PutBucketLogging; AWS user guide "Amazon S3 server access log format".
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import quote_from_bytes
from xml.etree.ElementTree import Element

from msgspec import Struct

from coffre.wire.acl import Acl, Permission, grants_markup, parse_grants
from coffre.wire.errors import S3Error
from coffre.wire.xml import document, element, malformed, parse, tag

ROOT: Final = "BucketLoggingStatus"
DOCUMENT_LIMIT: Final = 64 * 1024
_PREFIX_LIMIT: Final = 512
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_GRANTABLE: Final = (Permission.FULL_CONTROL, Permission.READ, Permission.WRITE)
# What an operation is about, where the sub-resource in capitals is not what AWS says.
_RESOURCES: Final = {
    "requestPayment": "REQUEST_PAYMENT",
    "logging": "LOGGING_STATUS",
    "notification": "NOTIFICATION",
    "delete": "MULTI_OBJECT_DELETE",
    "versions": "BUCKETVERSIONS",
    "versioning": "VERSIONING",
    "uploads": "UPLOADS",
    "policy": "BUCKETPOLICY",
    "website": "WEBSITE",
    "publicAccessBlock": "PUBLIC_ACCESS_BLOCK",
    "ownershipControls": "OWNERSHIP_CONTROLS",
    "policyStatus": "POLICY_STATUS",
    "list-type": "BUCKET",
}


@dataclass(frozen=True, slots=True)
class Logging:
    """Where the log of a bucket goes. `by_day`: into folders of account, region, bucket and day,
    the day of the requests (`events`) or of the delivery. `grants` are on the log's objects."""

    target: str
    prefix: str
    grants: Acl = ()
    by_day: bool = False
    events: bool = False


def parse_logging(body: bytes) -> Logging | None:
    """BucketLoggingStatus; None: logging is off. Raises MalformedXML, InvalidArgument."""
    root = parse(body, ROOT, limit=DOCUMENT_LIMIT)
    if not len(root):
        return None
    if [child.tag for child in root] != ["LoggingEnabled"]:
        raise malformed()
    parts = {child.tag: child for child in root[0]}
    known = {"TargetBucket", "TargetPrefix", "TargetGrants", "TargetObjectKeyFormat"}
    if len(parts) < len(root[0]) or not parts.keys() <= known:
        raise malformed()
    if not {"TargetBucket", "TargetPrefix"} <= parts.keys():
        raise malformed()
    target, prefix = (parts[name].text or "" for name in ("TargetBucket", "TargetPrefix"))
    if not target or len(parts["TargetBucket"]) or len(parts["TargetPrefix"]):
        raise malformed()
    if len(prefix.encode()) > _PREFIX_LIMIT:
        raise S3Error(
            "InvalidArgument",
            f"The target prefix has at most {_PREFIX_LIMIT} bytes",
            ArgumentName="TargetPrefix",
        )
    grants = parts.get("TargetGrants")
    granted: Acl = () if grants is None else parse_grants(grants, _GRANTABLE)
    by_day, events = _key_format(parts.get("TargetObjectKeyFormat"))
    return Logging(target, prefix, granted, by_day, events)


def _key_format(found: Element | None) -> tuple[bool, bool]:
    if found is None:
        return False, False
    if len(found) != 1 or found[0].tag not in ("SimplePrefix", "PartitionedPrefix"):
        raise malformed()
    one = found[0]
    if one.tag == "SimplePrefix":
        if len(one):
            raise malformed()
        return False, False
    if [child.tag for child in one] != ["PartitionDateSource"]:
        raise malformed()
    source = one[0].text
    if source not in ("EventTime", "DeliveryTime"):
        raise malformed()
    return True, source == "EventTime"


@lru_cache(maxsize=256)
def read_logging(kept: bytes) -> Logging:
    """What a document that is kept says: the one that was put, held against the schema."""
    found = parse_logging(kept)
    assert found is not None, "what is kept is on"
    return found


class Entry(Struct, frozen=True):
    """One request as its line tells it. Times in ms; `size` None: the operation is about no
    object's content."""

    owner: str
    bucket: str
    at_ms: int
    client: str
    requester: str
    request_id: str
    operation: str
    key: bytes | None
    line: str
    status: int
    error: str
    sent: int
    size: int | None
    total_ms: int
    turn_ms: int
    referrer: str
    agent: str
    version: str
    host_id: str
    signature: str
    authentication: str
    host: str
    secure: bool


def operation_name(method: str, sub_resource: str, *, key: bool, copy: bool, site: bool) -> str:
    """An operation as logs call it: `REST.GET.OBJECT`."""
    if site:
        return f"WEBSITE.{method}.OBJECT"
    if copy:
        method = "COPY"
    if not sub_resource:
        what = "OBJECT" if key else "BUCKET"
    elif sub_resource == "uploadId":
        what = "PART" if method in ("PUT", "COPY") else "UPLOAD"
    else:
        name = sub_resource.partition("&")[0]
        what = _RESOURCES.get(name, name.upper().replace("-", "_"))
        if key and what in ("ACL", "TAGGING"):
            what = f"OBJECT_{what}" if what == "TAGGING" else what
    return f"REST.{method}.{what}"


def log_line(one: Entry) -> bytes:
    """The line of a request, its end included. No field of a stranger's can add a line or, quoted,
    a field."""
    fields = (
        one.owner,
        one.bucket,
        f"[{_time(one.at_ms)}]",
        one.client or "-",
        one.requester or "-",
        one.request_id,
        one.operation,
        "-" if one.key is None else quote_from_bytes(quote_from_bytes(one.key).encode()),
        _quoted(one.line),
        str(one.status),
        one.error or "-",
        str(one.sent) if one.sent else "-",
        "-" if one.size is None else str(one.size),
        str(one.total_ms),
        str(one.turn_ms),
        _quoted(one.referrer),
        _quoted(one.agent),
        _plain(one.version),
        one.host_id,
        one.signature or "-",
        "-",
        one.authentication or "-",
        _plain(one.host),
        "TLSv1.3" if one.secure else "-",
        "-",
        "-",
    )
    return (" ".join(fields) + "\n").encode()


def object_name(at_ms: int, unique: str, *, whole_day: bool) -> str:
    """The last part of a log object's key."""
    at = time.gmtime(at_ms // 1000)
    clock = "00-00-00" if whole_day else time.strftime("%H-%M-%S", at)
    return f"{time.strftime('%Y-%m-%d', at)}-{clock}-{unique}"


def object_folder(one: Logging, account: str, region: str, bucket: str, at_ms: int) -> str:
    """What stands before it."""
    if not one.by_day:
        return one.prefix
    day = time.strftime("%Y/%m/%d", time.gmtime(at_ms // 1000))
    return f"{one.prefix}{account}/{region}/{bucket}/{day}/"


def _time(at_ms: int) -> str:
    at = time.gmtime(at_ms // 1000)
    return (
        f"{at.tm_mday:02d}/{_MONTHS[at.tm_mon - 1]}/{at.tm_year:04d}"
        f":{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d} +0000"
    )


def _quoted(text: str) -> str:
    if not text:
        return '"-"'
    safe = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(sign if sign.isprintable() else "?" for sign in safe) + '"'


def _plain(text: str) -> str:
    return "".join(sign if sign.isprintable() and sign != " " else "?" for sign in text) or "-"


def render_logging(one: Logging) -> bytes:
    """The document that is kept and told."""
    form = "<TargetObjectKeyFormat><SimplePrefix/></TargetObjectKeyFormat>"
    if one.by_day:
        source = tag("PartitionDateSource", "EventTime" if one.events else "DeliveryTime")
        form = (
            "<TargetObjectKeyFormat><PartitionedPrefix>"
            f"{source}</PartitionedPrefix></TargetObjectKeyFormat>"
        )
    where = tag("TargetBucket", one.target) + tag("TargetPrefix", one.prefix)
    grants = element("TargetGrants", *grants_markup(one.grants, {})) if one.grants else ""
    return document(ROOT, element("LoggingEnabled", where, grants, form))
