"""ACLs: put, told, refused, and what they let others do."""

from __future__ import annotations

from typing import Any

import pytest

from coffre.testing.server import Credentials, MemoryServer
from coffre.wire.acl import ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY
from tests.protocol.boto_client import boto, refused
from tests.protocol.wire_client import Answer, WireClient

Told = list[tuple[str, str]]


@pytest.fixture(scope="session")
def other(server: MemoryServer, stranger: Credentials) -> Any:
    """A client of another user of the same store."""
    return boto(server, stranger)


@pytest.fixture
def shared(s3: Any, bucket: str) -> str:
    """A bucket with the object `k`."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"body", Tagging="a=b")
    return bucket


def told(answer: dict[str, Any]) -> Told:
    """(grantee, permission) of an answered ACL."""
    grants = []
    for grant in answer["Grants"]:
        grantee = grant["Grantee"]
        name = "URI" if grantee["Type"] == "Group" else "ID"
        grants.append((grantee[name], grant["Permission"]))
    return grants


def anonymous(wire: WireClient, method: str, target: str, body: bytes = b"", **more: str) -> Answer:
    headers = {"Host": "main.localhost", "Content-Length": str(len(body)), **more}
    return wire.raw(method, target, body, headers)


def policy(owner: str, *grants: tuple[str, str, str]) -> bytes:
    """An AccessControlPolicy; a grant is (xsi:type, inner XML of the grantee, permission)."""
    listed = "".join(
        '<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:type="{kind}">{inner}</Grantee><Permission>{permission}</Permission></Grant>'
        for kind, inner, permission in grants
    )
    return (
        f"<AccessControlPolicy><Owner><ID>{owner}</ID></Owner>"
        f"<AccessControlList>{listed}</AccessControlList></AccessControlPolicy>"
    ).encode()


def test_all_is_the_owners_where_nobody_said(s3: Any, server: MemoryServer, shared: str) -> None:
    me = {"ID": server.user.id, "DisplayName": server.user.label}
    for acl in (s3.get_bucket_acl(Bucket=shared), s3.get_object_acl(Bucket=shared, Key="k")):
        assert acl["Owner"] == me
        (grant,) = acl["Grants"]
        assert grant == {"Grantee": {**me, "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}


CANNED: list[tuple[str, Told]] = [
    ("private", []),
    ("public-read", [(ALL_USERS, "READ")]),
    ("public-read-write", [(ALL_USERS, "READ"), (ALL_USERS, "WRITE")]),
    ("authenticated-read", [(AUTHENTICATED_USERS, "READ")]),
    ("log-delivery-write", [(LOG_DELIVERY, "WRITE"), (LOG_DELIVERY, "READ_ACP")]),
    ("bucket-owner-read", []),
    ("bucket-owner-full-control", []),
]


@pytest.mark.parametrize(("name", "grants"), CANNED)
def test_a_canned_acl_is_told_as_grants(
    wire: WireClient, s3: Any, server: MemoryServer, shared: str, name: str, grants: Told
) -> None:
    wanted = [(server.user.id, "FULL_CONTROL"), *grants]
    headers = {"x-amz-acl": name}
    assert wire.send("PUT", f"/{shared}?acl", b"", headers).status == 200
    assert told(s3.get_bucket_acl(Bucket=shared)) == wanted
    assert wire.send("PUT", f"/{shared}/k?acl", b"", headers).status == 200
    assert told(s3.get_object_acl(Bucket=shared, Key="k")) == wanted
    assert wire.send("PUT", f"/{shared}/new", b"", headers).status == 200
    assert told(s3.get_object_acl(Bucket=shared, Key="new")) == wanted
    source = {"Bucket": shared, "Key": "k"}
    s3.copy_object(Bucket=shared, Key="copy", CopySource=source)
    assert told(s3.get_object_acl(Bucket=shared, Key="copy")) == wanted[:1]
    copied = wire.send(
        "PUT", f"/{shared}/copy", b"", {**headers, "x-amz-copy-source": f"/{shared}/k"}
    )
    assert copied.status == 200
    assert told(s3.get_object_acl(Bucket=shared, Key="copy")) == wanted
    created = wire.send("POST", f"/{shared}/up?uploads", b"", headers)
    upload = created.body.split(b"<UploadId>")[1].split(b"<")[0].decode()
    where = {"Bucket": shared, "Key": "up", "UploadId": upload}
    part = s3.upload_part(**where, PartNumber=1, Body=b"part")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(**where, MultipartUpload=parts)
    assert told(s3.get_object_acl(Bucket=shared, Key="up")) == wanted


def test_grants_come_in_headers_and_in_a_document(
    s3: Any, server: MemoryServer, stranger: Credentials, shared: str
) -> None:
    mine, theirs = f'id="{server.user.id}"', f'id="{stranger.id}"'
    s3.put_bucket_acl(
        Bucket=shared,
        GrantFullControl=mine,
        GrantRead=f'{theirs}, uri="{ALL_USERS}"',
        GrantWriteACP=f"id={stranger.id}",
    )
    acl = s3.get_bucket_acl(Bucket=shared)
    wanted = [
        (server.user.id, "FULL_CONTROL"),
        (stranger.id, "WRITE_ACP"),
        (stranger.id, "READ"),
        (ALL_USERS, "READ"),
    ]
    assert told(acl) == wanted
    assert acl["Grants"][1]["Grantee"]["DisplayName"] == "stranger"
    again = {"Owner": acl["Owner"], "Grants": acl["Grants"]}
    s3.put_object_acl(Bucket=shared, Key="k", AccessControlPolicy=again)
    assert told(s3.get_object_acl(Bucket=shared, Key="k")) == wanted


def test_an_acl_without_grants_is_kept_and_its_owner_still_reads_it(s3: Any, shared: str) -> None:
    owner = s3.get_bucket_acl(Bucket=shared)["Owner"]
    nobody = {"Owner": owner, "Grants": []}
    s3.put_bucket_acl(Bucket=shared, AccessControlPolicy=nobody)
    s3.put_object_acl(Bucket=shared, Key="k", AccessControlPolicy=nobody)
    assert told({"Grants": [], **s3.get_bucket_acl(Bucket=shared)}) == []
    assert s3.get_object(Bucket=shared, Key="k")["Body"].read() == b"body"
    s3.put_bucket_acl(Bucket=shared, ACL="private")
    assert told(s3.get_bucket_acl(Bucket=shared)) == [(owner["ID"], "FULL_CONTROL")]


def test_each_version_has_an_acl_of_its_own(s3: Any, wire: WireClient, shared: str) -> None:
    s3.put_bucket_versioning(Bucket=shared, VersioningConfiguration={"Status": "Enabled"})
    newer = s3.put_object(Bucket=shared, Key="k", Body=b"newer")["VersionId"]
    s3.put_object_acl(Bucket=shared, Key="k", VersionId="null", ACL="public-read")
    assert len(told(s3.get_object_acl(Bucket=shared, Key="k", VersionId="null"))) == 2
    assert len(told(s3.get_object_acl(Bucket=shared, Key="k"))) == 1
    assert anonymous(wire, "GET", f"/{shared}/k?versionId=null").body == b"body"
    assert anonymous(wire, "GET", f"/{shared}/k?versionId={newer}").status == 403
    assert anonymous(wire, "GET", f"/{shared}/k").status == 403
    marker = s3.delete_object(Bucket=shared, Key="k")["VersionId"]
    named = {"Bucket": shared, "Key": "k", "ACL": "private"}
    assert refused(s3.put_object_acl, **named, VersionId=marker) == "MethodNotAllowed"
    assert refused(s3.put_object_acl, **named) == "NoSuchKey"
    assert refused(s3.put_object_acl, **named, VersionId="0" * 32) == "NoSuchVersion"


EMAIL = ("AmazonCustomerByEmail", "<EmailAddress>a@b</EmailAddress>", "READ")
BAD: list[tuple[dict[str, str], tuple[tuple[str, str, str], ...] | bytes, int, str]] = [
    ({}, b"", 400, "MissingSecurityHeader"),
    ({"x-amz-acl": "nonsense"}, b"", 400, "InvalidArgument"),
    ({"x-amz-acl": "aws-exec-read"}, b"", 501, "NotImplemented"),
    (
        {"x-amz-acl": "private", "x-amz-grant-read": f'uri="{ALL_USERS}"'},
        b"",
        400,
        "InvalidRequest",
    ),
    ({"x-amz-grant-read": "nobody"}, b"", 400, "InvalidArgument"),
    ({"x-amz-grant-read": 'id="1"; id="2"'}, b"", 400, "InvalidArgument"),
    ({"x-amz-grant-read": f'uri="{ALL_USERS}",'}, b"", 400, "InvalidArgument"),
    ({"x-amz-grant-read": f'id="{"0" * 64}"'}, b"", 400, "InvalidArgument"),
    ({"x-amz-grant-read": 'uri="http://example.com/x"'}, b"", 400, "InvalidArgument"),
    ({"x-amz-grant-write": 'emailAddress="a@b"'}, b"", 400, "UnresolvableGrantByEmailAddress"),
    ({"x-amz-acl": "private"}, (), 400, "UnexpectedContent"),
    ({}, b"<AccessControlPolicy/>", 400, "MalformedACLError"),
    ({}, b"<AccessControlPolicy", 400, "MalformedACLError"),
    ({}, (("CanonicalUser", "<ID>nobody</ID>", "READ"),), 400, "InvalidArgument"),
    ({}, (("Group", "<URI>nowhere</URI>", "READ"),), 400, "InvalidArgument"),
    ({}, (("Group", f"<URI>{ALL_USERS}</URI>", "ALL"),), 400, "MalformedACLError"),
    ({}, (("Club", f"<URI>{ALL_USERS}</URI>", "READ"),), 400, "MalformedACLError"),
    ({}, (("Group", "", "READ"),), 400, "MalformedACLError"),
    ({}, (EMAIL,), 400, "UnresolvableGrantByEmailAddress"),
    ({}, (("Group", f"<URI>{ALL_USERS}</URI>", "READ"),) * 101, 400, "MalformedACLError"),
]


@pytest.mark.parametrize(("headers", "sent", "status", "code"), BAD)
@pytest.mark.parametrize("key", ["", "/k"])
def test_a_bad_acl_changes_nothing(
    s3: Any,
    wire: WireClient,
    server: MemoryServer,
    shared: str,
    key: str,
    headers: dict[str, str],
    sent: tuple[tuple[str, str, str], ...] | bytes,
    status: int,
    code: str,
) -> None:
    body = sent if isinstance(sent, bytes) else policy(server.user.id, *sent)
    answer = wire.send("PUT", f"/{shared}{key}?acl", body, headers)
    assert (answer.status, answer.code) == (status, code)
    acl = s3.get_object_acl(Bucket=shared, Key="k") if key else s3.get_bucket_acl(Bucket=shared)
    assert told(acl) == [(server.user.id, "FULL_CONTROL")]


def test_an_acl_cannot_give_the_bucket_away(
    wire: WireClient, stranger: Credentials, shared: str
) -> None:
    for target in (f"/{shared}?acl", f"/{shared}/k?acl"):
        answer = wire.send("PUT", target, policy(stranger.id))
        assert (answer.status, answer.code) == (403, "AccessDenied")


def test_a_user_of_another_store_cannot_be_granted_anything(
    s3: Any, server: MemoryServer, shared: str
) -> None:
    outsider = server.create_store("outsiders")
    code = refused(s3.put_bucket_acl, Bucket=shared, GrantRead=f'id="{outsider.id}"')
    assert code == "InvalidArgument"


def test_read_on_a_bucket_lists_it_and_reads_no_object(
    s3: Any, other: Any, wire: WireClient, shared: str
) -> None:
    s3.put_bucket_acl(Bucket=shared, ACL="public-read")
    for call in ("list_objects", "list_objects_v2", "list_object_versions", "head_bucket"):
        getattr(other, call)(Bucket=shared)
    other.list_multipart_uploads(Bucket=shared)
    assert anonymous(wire, "GET", f"/{shared}?list-type=2").status == 200
    assert refused(other.get_object, Bucket=shared, Key="k") == "AccessDenied"
    assert refused(other.get_object, Bucket=shared, Key="missing") == "NoSuchKey"
    assert refused(other.put_object, Bucket=shared, Key="k", Body=b"") == "AccessDenied"
    assert refused(other.get_bucket_acl, Bucket=shared) == "AccessDenied"
    assert refused(other.delete_bucket, Bucket=shared) == "AccessDenied"


def test_read_on_an_object_reads_it_and_nothing_else(
    s3: Any, other: Any, wire: WireClient, shared: str
) -> None:
    assert anonymous(wire, "GET", f"/{shared}/k").code == "AccessDenied"
    s3.put_object_acl(Bucket=shared, Key="k", ACL="public-read")
    found = anonymous(wire, "GET", f"/{shared}/k")
    assert (found.status, found.body) == (200, b"body")
    assert "x-amz-tagging-count" not in found.headers
    assert "x-amz-tagging-count" in wire.send("HEAD", f"/{shared}/k").headers
    assert anonymous(wire, "HEAD", f"/{shared}/k").status == 200
    assert anonymous(wire, "GET", f"/{shared}/missing").code == "AccessDenied"
    assert anonymous(wire, "DELETE", f"/{shared}/k").code == "AccessDenied"
    assert anonymous(wire, "PUT", f"/{shared}/k", b"x").code == "AccessDenied"
    for call in ("get_object_acl", "get_object_tagging", "delete_object"):
        assert refused(getattr(other, call), Bucket=shared, Key="k") == "AccessDenied"
    override = anonymous(wire, "GET", f"/{shared}/k?response-content-type=text/html")
    assert override.code == "InvalidRequest"
    s3.put_object_acl(Bucket=shared, Key="k", ACL="private")
    assert anonymous(wire, "GET", f"/{shared}/k").code == "AccessDenied"


def test_a_new_version_is_private_again(s3: Any, wire: WireClient, shared: str) -> None:
    s3.put_object_acl(Bucket=shared, Key="k", ACL="public-read")
    s3.put_object(Bucket=shared, Key="k", Body=b"secret")
    assert anonymous(wire, "GET", f"/{shared}/k").code == "AccessDenied"


def test_those_who_sign_read_what_is_for_those_who_sign(
    s3: Any, other: Any, wire: WireClient, shared: str
) -> None:
    s3.put_object_acl(Bucket=shared, Key="k", ACL="authenticated-read")
    assert other.get_object(Bucket=shared, Key="k")["Body"].read() == b"body"
    assert anonymous(wire, "GET", f"/{shared}/k").code == "AccessDenied"


def test_write_on_a_bucket_puts_and_deletes(
    s3: Any, other: Any, stranger: Credentials, server: MemoryServer, shared: str
) -> None:
    s3.put_bucket_acl(Bucket=shared, GrantWrite=f'id="{stranger.id}"')
    other.put_object(Bucket=shared, Key="theirs", Body=b"theirs")
    acl = s3.get_object_acl(Bucket=shared, Key="theirs")
    assert acl["Owner"]["ID"] == stranger.id
    assert told(acl) == [(stranger.id, "FULL_CONTROL")]
    assert other.get_object(Bucket=shared, Key="theirs")["Body"].read() == b"theirs"
    other.put_object_acl(Bucket=shared, Key="theirs", ACL="public-read")
    other.put_object_tagging(Bucket=shared, Key="theirs", Tagging={"TagSet": []})
    assert refused(other.get_object, Bucket=shared, Key="k") == "AccessDenied"
    assert refused(other.list_objects_v2, Bucket=shared) == "AccessDenied"
    assert (
        refused(other.put_object, Bucket=shared, Key="x", Body=b"", Tagging="a=b") == "AccessDenied"
    )
    where = {"Bucket": shared, "Key": "parts"}
    upload = other.create_multipart_upload(**where)["UploadId"]
    other.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"x")
    assert len(other.list_parts(**where, UploadId=upload)["Parts"]) == 1
    other.abort_multipart_upload(**where, UploadId=upload)
    wanted = {"Objects": [{"Key": "theirs"}, {"Key": "k", "VersionId": "null"}]}
    done = other.delete_objects(Bucket=shared, Delete=wanted)
    assert [one["Key"] for one in done["Deleted"]] == ["theirs"]
    assert [one["Code"] for one in done["Errors"]] == ["AccessDenied"]


def test_what_a_stranger_puts_is_the_bucket_owners(
    s3: Any, wire: WireClient, server: MemoryServer, bucket: str
) -> None:
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    assert anonymous(wire, "PUT", f"/{bucket}/k", b"from nobody").status == 200
    assert s3.get_object_acl(Bucket=bucket, Key="k")["Owner"]["ID"] == server.user.id
    assert anonymous(wire, "GET", f"/{bucket}/k").code == "AccessDenied"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert anonymous(wire, "DELETE", f"/{bucket}/k").status == 204
    (marker,) = s3.list_object_versions(Bucket=bucket)["DeleteMarkers"]
    assert marker["Owner"]["ID"] == server.user.id


def test_rights_on_acls_are_rights_of_their_own(
    s3: Any, other: Any, stranger: Credentials, shared: str
) -> None:
    them = f'id="{stranger.id}"'
    for call, named in (("bucket", {"Bucket": shared}), ("object", {"Bucket": shared, "Key": "k"})):
        put, get = f"put_{call}_acl", f"get_{call}_acl"
        getattr(s3, put)(**named, GrantReadACP=them)
        getattr(other, get)(**named)
        assert refused(getattr(other, put), **named, ACL="private") == "AccessDenied"
        getattr(s3, put)(**named, GrantWriteACP=them)
        assert refused(getattr(other, get), **named) == "AccessDenied"
        getattr(other, put)(**named, GrantFullControl=them)
        getattr(other, get)(**named)
    other.get_object(Bucket=shared, Key="k")
    other.put_object(Bucket=shared, Key="new", Body=b"")


def test_a_copy_needs_the_right_to_read_its_source(
    s3: Any, other: Any, stranger: Credentials, shared: str
) -> None:
    other.create_bucket(Bucket=f"{shared}-copies")
    asked = {
        "Bucket": f"{shared}-copies",
        "Key": "copy",
        "CopySource": {"Bucket": shared, "Key": "k"},
    }
    assert refused(other.copy_object, **asked) == "AccessDenied"
    s3.put_object_acl(Bucket=shared, Key="k", GrantRead=f'id="{stranger.id}"')
    assert refused(other.copy_object, **asked) == "AccessDenied"  # its tags are not readable
    other.copy_object(**asked, TaggingDirective="REPLACE")


def enforce(s3: Any, bucket: str, owner: str) -> None:
    controls = {"Rules": [{"ObjectOwnership": owner}]}
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=controls)


def test_where_acls_are_off_none_is_taken_and_none_counts(
    s3: Any, wire: WireClient, server: MemoryServer, other: Any, stranger: Credentials, shared: str
) -> None:
    s3.put_object_acl(Bucket=shared, Key="k", ACL="public-read")
    s3.put_bucket_acl(Bucket=shared, GrantWrite=f'id="{stranger.id}"')
    other.put_object(Bucket=shared, Key="theirs", Body=b"theirs")
    owner = "BucketOwnerEnforced"
    controls = {"Rules": [{"ObjectOwnership": owner}]}
    code = refused(s3.put_bucket_ownership_controls, Bucket=shared, OwnershipControls=controls)
    assert code == "InvalidBucketAclWithObjectOwnership"
    s3.put_bucket_acl(Bucket=shared, ACL="private")
    enforce(s3, shared, owner)
    assert anonymous(wire, "GET", f"/{shared}/k").code == "AccessDenied"
    assert refused(other.get_object, Bucket=shared, Key="theirs") == "AccessDenied"
    for key in ("k", "theirs"):
        acl = s3.get_object_acl(Bucket=shared, Key=key)
        assert (acl["Owner"]["ID"], told(acl)) == (
            server.user.id,
            [(server.user.id, "FULL_CONTROL")],
        )
    not_supported = "AccessControlListNotSupported"
    named = {"Bucket": shared, "Key": "k"}
    assert refused(s3.put_bucket_acl, Bucket=shared, ACL="public-read") == not_supported
    assert refused(s3.put_object_acl, **named, ACL="public-read") == not_supported
    assert refused(s3.put_object, **named, Body=b"", ACL="public-read") == not_supported
    code = refused(s3.create_multipart_upload, **named, GrantRead=f'id="{stranger.id}"')
    assert code == not_supported
    s3.put_object(**named, Body=b"", ACL="bucket-owner-full-control")
    s3.put_object_acl(Bucket=shared, Key="theirs", ACL="bucket-owner-full-control")
    s3.delete_bucket_ownership_controls(Bucket=shared)
    s3.put_object(**named, Body=b"", ACL="public-read")


def test_a_bucket_owner_may_prefer_to_own_what_is_given(
    s3: Any, other: Any, stranger: Credentials, server: MemoryServer, bucket: str
) -> None:
    s3.put_bucket_acl(Bucket=bucket, GrantWrite=f'id="{stranger.id}"')
    given = {"Bucket": bucket, "Key": "given", "Body": b"", "ACL": "bucket-owner-full-control"}
    other.put_object(**given)
    acl = s3.get_object_acl(Bucket=bucket, Key="given")
    assert acl["Owner"]["ID"] == stranger.id
    assert told(acl) == [(stranger.id, "FULL_CONTROL"), (server.user.id, "FULL_CONTROL")]
    enforce(s3, bucket, "BucketOwnerPreferred")
    other.put_object(**given)
    other.put_object(Bucket=bucket, Key="kept", Body=b"")
    owners = [s3.get_object_acl(Bucket=bucket, Key=key)["Owner"]["ID"] for key in ("given", "kept")]
    assert owners == [server.user.id, stranger.id]


def test_a_public_access_block_refuses_and_ignores_public_acls(
    s3: Any, wire: WireClient, other: Any, stranger: Credentials, shared: str
) -> None:
    s3.put_object_acl(Bucket=shared, Key="k", ACL="public-read")
    block = {"BlockPublicAcls": True}
    s3.put_public_access_block(Bucket=shared, PublicAccessBlockConfiguration=block)
    assert anonymous(wire, "GET", f"/{shared}/k").status == 200
    named = {"Bucket": shared, "Key": "k"}
    for acl in ("public-read", "authenticated-read"):
        assert refused(s3.put_object_acl, **named, ACL=acl) == "AccessDenied"
        assert refused(s3.put_bucket_acl, Bucket=shared, ACL=acl) == "AccessDenied"
        assert refused(s3.put_object, **named, Body=b"", ACL=acl) == "AccessDenied"
    s3.put_object_acl(**named, GrantRead=f'id="{stranger.id}", uri="{LOG_DELIVERY}"')
    s3.delete_public_access_block(Bucket=shared)
    s3.put_object_acl(**named, ACL="public-read")
    block = {"IgnorePublicAcls": True}
    s3.put_public_access_block(Bucket=shared, PublicAccessBlockConfiguration=block)
    assert anonymous(wire, "GET", f"/{shared}/k").code == "AccessDenied"
    assert refused(other.get_object, **named) == "AccessDenied"
    assert len(told(s3.get_object_acl(**named))) == 2
    s3.put_object_acl(**named, GrantRead=f'id="{stranger.id}"')
    other.get_object(**named)


def test_a_bucket_is_made_with_an_acl_and_an_ownership(s3: Any, wire: WireClient) -> None:
    s3.create_bucket(Bucket="made-public", ACL="public-read", ObjectOwnership="ObjectWriter")
    assert anonymous(wire, "GET", "/made-public").status == 200
    controls = s3.get_bucket_ownership_controls(Bucket="made-public")["OwnershipControls"]
    assert controls["Rules"] == [{"ObjectOwnership": "ObjectWriter"}]
    named = {"Bucket": "made-private", "ObjectOwnership": "BucketOwnerEnforced"}
    code = refused(s3.create_bucket, **named, ACL="public-read")
    assert code == "InvalidBucketAclWithObjectOwnership"
    assert refused(s3.head_bucket, Bucket="made-private") == "404"
    s3.create_bucket(**named, ACL="private")
    answer = wire.send("PUT", "/made-worse", b"", {"x-amz-object-ownership": "Mine"})
    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_a_bucket_made_again_gets_the_acl_that_is_asked_for_now(
    s3: Any, other: Any, bucket: str
) -> None:
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    s3.create_bucket(Bucket=bucket, ACL="public-read")
    assert len(told(s3.get_bucket_acl(Bucket=bucket))) == 2
    s3.create_bucket(Bucket=bucket)
    assert len(told(s3.get_bucket_acl(Bucket=bucket))) == 1
    assert len(s3.get_bucket_tagging(Bucket=bucket)["TagSet"]) == 1
    assert refused(other.create_bucket, Bucket=bucket) == "BucketAlreadyExists"


def test_on_ecs_whoever_may_put_the_acl_may_make_the_bucket_again(server: MemoryServer) -> None:
    user = server.create_store("ecs-acls", "ecs")
    second = server.create_user("ecs-acls", "second")
    mine, theirs = boto(server, user), boto(server, second)
    mine.create_bucket(Bucket="shared")
    for right in ("GrantRead", "GrantWrite"):
        mine.put_bucket_acl(Bucket="shared", **{right: f'id="{second.id}"'})
        assert refused(theirs.create_bucket, Bucket="shared") == "BucketAlreadyExists"
    for right in ("GrantFullControl", "GrantWriteACP"):
        mine.put_bucket_acl(Bucket="shared", **{right: f'id="{second.id}"'})
        theirs.create_bucket(Bucket="shared", ACL="authenticated-read")
        acl = mine.get_bucket_acl(Bucket="shared")
        assert acl["Owner"]["ID"] == user.id
        assert told(acl) == [(user.id, "FULL_CONTROL"), (AUTHENTICATED_USERS, "READ")]
