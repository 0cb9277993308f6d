"""Every operation of the table against everybody who may ask: who is refused, who is not.

A request names the operation and says no more, so whoever may do it is told what is wrong with it,
or is served; whoever may not is told that alone. What an owner does comes last: it may delete.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from msgspec.structs import replace

from coffre.access.roles import Role, allows
from coffre.s3.operation import Entry, On, Operation
from coffre.s3.operations import TABLE
from coffre.testing.server import Credentials, MemoryServer
from tests.protocol.boto_client import boto
from tests.protocol.operator_client import Operator
from tests.protocol.wire_client import Answer, WireClient

BUCKET, KEY = "matrix", "k"
ROWS = [
    row
    for row in TABLE
    if row.entry is Entry.SIGNED
    and not row.dialect
    and row.target is not On.SERVICE
    # Its permissions are asked for each key in its body.
    and row.name not in ("DeleteObjects", "CreateBucket")
]
_numbers = itertools.count()
DENIED = (403, "AccessDenied")
NO_BODY = {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}


class Cast:
    """A store with one bucket of the user `owner`, and everybody else."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server
        operator = Operator(server)
        store = f"matrix-{next(_numbers)}"
        self.host = f"{store}.localhost:{server.port}"
        self.owner = operator.new_store(store)
        s3 = boto(server, self.owner)
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"bytes")
        about = {"bucket": BUCKET, "store": store}
        self.roles: dict[Role, Credentials] = {}
        for role in Role:
            self.roles[role] = operator.new_user(store, role.value)
            operator.call("bucket.role.grant", **about, user=role.value, role=role.value)
        self.nobody = operator.new_user(store, "nobody")
        self.iam = operator.new_user(store, "iam", kind="iam")
        locked = operator.new_user(store, "locked")
        operator.call("bucket.role.grant", **about, user="locked", role="maintainer")
        operator.call("user.lock", user="locked", store=store)
        ended = operator.new_user(store, "ended")
        operator.call("bucket.role.grant", **about, user="ended", role="maintainer")
        operator.call("user.rotate", access_key=ended.access_key)
        gone = operator.new_user(store, "gone")
        operator.call("user.key.delete", access_key=gone.access_key)
        elsewhere = operator.new_store(f"{store}-other")
        self.refused = {
            "another store's": (elsewhere, DENIED),
            "locked": (locked, DENIED),
            "without a right": (self.nobody, DENIED),
            "of IAM without a policy": (self.iam, DENIED),
            "with a secret that ended": (ended, (403, "SignatureDoesNotMatch")),
            "with a key that is gone": (gone, (403, "InvalidAccessKeyId")),
        }
        graced = operator.call(
            "user.rotate", access_key=self.roles[Role.MAINTAINER].access_key, grace_seconds=3600
        )
        self.in_grace = self.roles[Role.MAINTAINER]
        self.roles[Role.MAINTAINER] = replace(self.in_grace, secret_key=graced["secret_key"])

    def ask(self, row: Operation, user: Credentials | None) -> tuple[int, str]:
        target = f"/{BUCKET}" if row.target is On.BUCKET else f"/{BUCKET}/{KEY}"
        if row.selector.sub_resource:
            target += f"?{row.selector.sub_resource}"
        headers = {"x-amz-copy-source": f"{BUCKET}/{KEY}"} if row.selector.copy else NO_BODY
        wire = WireClient(self._server.port, user or self.owner)
        if user is None:
            length = {"Content-Length": "0"} if row.method in ("PUT", "POST") else {}
            answer = wire.raw(row.method, target, b"", {"Host": self.host, **headers, **length})
        else:
            answer = wire.send(row.method, target, b"", headers, host=self.host)
        return answer.status, _code(row, answer)


def _code(row: Operation, answer: Answer) -> str:
    """An answer to HEAD has no body to say it in."""
    if row.method == "HEAD":
        return "AccessDenied" if answer.status == 403 else ""
    return answer.code


@pytest.fixture(scope="module")
def cast(server: MemoryServer) -> Cast:
    return Cast(server)


def permissions(row: Operation) -> list[str]:
    """What it asks for before all else. That UploadPartCopy lacks its upload is told before its
    source is looked for."""
    without = {On.EACH_KEY, On.SOURCE} if row.name == "UploadPartCopy" else {On.EACH_KEY}
    return [need.permission for need in row.needs if need.header is None and need.on not in without]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_who_has_no_right_is_refused_and_told_no_more(cast: Cast, row: Operation) -> None:
    found = {who: cast.ask(row, user) for who, (user, _) in cast.refused.items()}
    expected: dict[str, Any] = {who: answer for who, (_, answer) in cast.refused.items()}
    if row.method == "HEAD":
        found = {who: (status, "") for who, (status, _) in found.items()}
        expected = dict.fromkeys(expected, (403, ""))
    assert found == expected
    assert cast.ask(row, None) == DENIED


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_role_opens_what_it_says_and_nothing_else(cast: Cast, row: Operation) -> None:
    served = {role: cast.ask(row, user) != DENIED for role, user in cast.roles.items()}
    assert served == {
        role: all(allows(role, permission) for permission in permissions(row)) for role in Role
    }
    assert (cast.ask(row, cast.in_grace) != DENIED) == served[Role.MAINTAINER]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_owner_may_all_of_it(cast: Cast, row: Operation) -> None:
    status, code = cast.ask(row, cast.owner)
    assert (status, code) != DENIED
    assert status != 500
