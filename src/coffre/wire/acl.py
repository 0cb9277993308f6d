"""Access control lists: who is granted what, as headers, documents and stored bytes say it.

Source: AWS "Access control list (ACL) overview" and the API reference of PutBucketAcl and
PutObjectAcl. In stored form no bytes at all stand for a private ACL: FULL_CONTROL for the owner,
nothing for anybody else.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Final
from xml.etree.ElementTree import Element

import msgspec
from msgspec import Struct

from coffre.wire.documents import Owner, owner_element
from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead
from coffre.wire.xml import document, element, leaves, malformed, parse, tag

DOCUMENT_LIMIT: Final = 128 * 1024  # bytes: 100 grants
MAX_GRANTS: Final = 100
ALL_USERS: Final = "http://acs.amazonaws.com/groups/global/AllUsers"
AUTHENTICATED_USERS: Final = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
LOG_DELIVERY: Final = "http://acs.amazonaws.com/groups/s3/LogDelivery"
GROUPS: Final = frozenset({ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY})
PUBLIC: Final = frozenset({ALL_USERS, AUTHENTICATED_USERS})


class Permission(StrEnum):
    """What a grant gives; FULL_CONTROL is all the others."""

    FULL_CONTROL = "FULL_CONTROL"
    WRITE = "WRITE"
    WRITE_ACP = "WRITE_ACP"
    READ = "READ"
    READ_ACP = "READ_ACP"


class Grant(Struct, frozen=True, array_like=True):
    """`grantee` is a user's Owner ID or the URI of a group."""

    grantee: str
    permission: Permission


Acl = tuple[Grant, ...]

_CANNED: Final = "x-amz-acl"
_HEADERS: Final = {
    f"x-amz-grant-{permission.lower().replace('_', '-')}".encode(): permission
    for permission in Permission
}
_ASKED: Final = frozenset({_CANNED.encode(), *_HEADERS})
_GRANTEE: Final = re.compile(r"\s*(id|uri|emailAddress)\s*=\s*(?:\"([^\"]*)\"|([^\s,\"]+))\s*")
_XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
_TYPE: Final = "{" + _XSI + "}type"
_OF_TYPE: Final = {
    "CanonicalUser": "ID",
    "Group": "URI",
    "AmazonCustomerByEmail": "EmailAddress",
}
_encode: Final = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(Acl)


def private(owner_id: str) -> Acl:
    """All for the owner, nothing for anybody else."""
    return (Grant(owner_id, Permission.FULL_CONTROL),)


def pack(acl: Acl, owner_id: str) -> bytes:
    """The stored form; empty for the owner's private ACL."""
    return b"" if acl == private(owner_id) else _encode(acl)


@lru_cache(maxsize=1024)
def unpack(stored: bytes, owner_id: str) -> Acl:
    """The ACL of what `owner_id` owns, from its stored form."""
    return _decoder.decode(stored) if stored else private(owner_id)


def is_public(acl: Acl) -> bool:
    """Does it grant anything to everybody, or to everybody who signs?"""
    return any(grant.grantee in PUBLIC for grant in acl)


def names_acl(head: RequestHead) -> bool:
    """Does the request ask for an ACL in its headers?"""
    return not _ASKED.isdisjoint(head.by_name)


def header_acl(head: RequestHead, owner_id: str, bucket_owner_id: str) -> Acl | None:
    """The ACL that the headers ask for: canned, or by grants; None where they ask for none.

    Raises InvalidRequest (both), InvalidArgument, NotImplemented, UnresolvableGrantByEmailAddress.
    """
    if _ASKED.isdisjoint(head.by_name):
        return None
    name = head.header(_CANNED.encode())
    grants = [
        Grant(grantee, permission)
        for header, permission in _HEADERS.items()
        for value in head.by_name.get(header, ())
        for grantee in _grantees(header.decode(), value.decode("latin-1"))
    ]
    if name is None:
        return _bounded(grants)
    if grants:
        raise S3Error(
            "InvalidRequest", "Specifying both Canned ACLs and Header Grants is not allowed"
        )
    return canned(name, owner_id, bucket_owner_id)


def canned(name: str, owner_id: str, bucket_owner_id: str) -> Acl:
    """A canned ACL; those about a bucket's owner say nothing more where that is the owner.

    Raises InvalidArgument, and NotImplemented for `aws-exec-read`, which means a service of AWS's.
    """
    own = private(owner_id)
    match name:
        case "private":
            return own
        case "public-read":
            return (*own, Grant(ALL_USERS, Permission.READ))
        case "public-read-write":
            return (
                *own,
                Grant(ALL_USERS, Permission.READ),
                Grant(ALL_USERS, Permission.WRITE),
            )
        case "authenticated-read":
            return (*own, Grant(AUTHENTICATED_USERS, Permission.READ))
        case "log-delivery-write":
            return (
                *own,
                Grant(LOG_DELIVERY, Permission.WRITE),
                Grant(LOG_DELIVERY, Permission.READ_ACP),
            )
        case "bucket-owner-read" | "bucket-owner-full-control":
            if owner_id == bucket_owner_id:
                return own
            read = name == "bucket-owner-read"
            granted = Permission.READ if read else Permission.FULL_CONTROL
            return (*own, Grant(bucket_owner_id, granted))
        case "aws-exec-read":
            raise S3Error("NotImplemented", Header=_CANNED)
    raise S3Error("InvalidArgument", ArgumentName=_CANNED, ArgumentValue=name)


def asks_full_control_for_bucket_owner(head: RequestHead) -> bool:
    """`x-amz-acl: bucket-owner-full-control`: the one ACL that gives an object away."""
    return head.header(_CANNED.encode()) == "bucket-owner-full-control"


def parse_acl(body: bytes) -> tuple[str, Acl]:
    """Owner ID and grants of an AccessControlPolicy; whether the users exist is not looked at.

    Raises MalformedACLError, InvalidArgument (a group that is none),
    UnresolvableGrantByEmailAddress.
    """
    try:
        root = parse(body, "AccessControlPolicy", limit=DOCUMENT_LIMIT)
        parts = {child.tag: child for child in root}
        if len(root) != 2 or parts.keys() != {"Owner", "AccessControlList"}:
            raise _malformed()
        owner = leaves(parts["Owner"], ("ID", "DisplayName")).get("ID", "")
        grants = [_grant(one) for one in parts["AccessControlList"]]
    except S3Error as error:
        raise (_malformed() if error.code == "MalformedXML" else error) from None
    if not owner:
        raise _malformed()
    return owner, _bounded(grants)


def parse_grants(parent: Element, permissions: Collection[Permission]) -> Acl:
    """The grants in an element of another document, of certain permissions only. Raises as
    `parse_acl`, and MalformedXML."""
    granted = _bounded([_grant(one) for one in parent])
    if any(one.permission not in permissions for one in granted):
        raise malformed()
    return granted


def grants_markup(acl: Acl, labels: Mapping[str, str]) -> list[str]:
    """A `Grant` element for each grant; `labels` has the display names of the users in it."""
    return [
        element("Grant", _grantee(grant.grantee, labels), tag("Permission", grant.permission))
        for grant in acl
    ]


def render_acl(owner: Owner, acl: Acl, labels: Mapping[str, str]) -> bytes:
    """AccessControlPolicy; `labels` has the display names of the users in it."""
    grants = grants_markup(acl, labels)
    return document(
        "AccessControlPolicy", owner_element(owner), element("AccessControlList", *grants)
    )


def _grantee(grantee: str, labels: Mapping[str, str]) -> str:
    if grantee in GROUPS:
        kind, inner = "Group", tag("URI", grantee)
    else:
        kind = "CanonicalUser"
        inner = tag("ID", grantee) + tag("DisplayName", labels.get(grantee, ""))
    return f'<Grantee xmlns:xsi="{_XSI}" xsi:type="{kind}">{inner}</Grantee>'


def _grant(one: Element) -> Grant:
    parts = {child.tag: child for child in one}
    if one.tag != "Grant" or len(one) != 2 or parts.keys() != {"Grantee", "Permission"}:
        raise _malformed()
    grantee = parts["Grantee"]
    found = leaves(grantee, ("ID", "DisplayName", "URI", "EmailAddress"))
    name = _OF_TYPE.get(grantee.get(_TYPE, ""))
    if name is None or not found.get(name):
        raise _malformed()
    try:
        permission = Permission((parts["Permission"].text or "").strip())
    except ValueError:
        raise _malformed() from None
    return Grant(_resolved(name, found[name].strip(), f"{grantee.get(_TYPE)}/{name}"), permission)


def _grantees(header: str, value: str) -> Iterable[str]:
    """The grantees of `id="…", uri="…"`."""
    at = 0
    while True:
        found = _GRANTEE.match(value, at)
        if found is None:
            raise S3Error(
                "InvalidArgument",
                "Argument format not recognized",
                ArgumentName=header,
                ArgumentValue=value,
            )
        name = {"id": "ID", "uri": "URI"}.get(found[1], "EmailAddress")
        yield _resolved(name, found[2] if found[2] is not None else found[3], header)
        at = found.end()
        if at == len(value):
            return
        if value[at] != ",":
            at = len(value)  # what stands here is no grantee
        at += 1


def _resolved(name: str, text: str, argument: str) -> str:
    """The grantee that is named. Users have no addresses here; groups are AWS's three."""
    if name == "EmailAddress":
        raise S3Error("UnresolvableGrantByEmailAddress")
    if (name == "URI") != (text in GROUPS):
        raise invalid_grantee(argument, text, group=name == "URI")
    return text


def invalid_grantee(argument: str, text: str, *, group: bool = False) -> S3Error:
    """The answer to a user or group that is none."""
    message = "Invalid group uri" if group else "Invalid id"
    return S3Error("InvalidArgument", message, ArgumentName=argument, ArgumentValue=text)


def _bounded(grants: list[Grant]) -> Acl:
    if len(grants) > MAX_GRANTS:
        raise _malformed()
    return tuple(grants)


def _malformed() -> S3Error:
    return S3Error("MalformedACLError")
