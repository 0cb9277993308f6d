"""Every operation of the table against everybody who may ask: who is refused, who is not.

A request names the operation and says no more, so whoever may do it is told what is wrong with it,
or is served; whoever may not is told that alone. What an owner does comes last: it may delete.
"""

from __future__ import annotations

import itertools
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import md5
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from coffre.access.roles import Role, allows
from coffre.s3.operation import Entry, On, Operation
from coffre.s3.operations import TABLE
from coffre.testing.server import Credentials, MemoryServer
from tests.protocol.iam_client import Account, Keys, allow, policy
from tests.protocol.operator_client import Operator
from tests.protocol.test_post_object import form, post
from tests.protocol.wire_client import Answer, WireClient

BUCKET, KEY, OPEN = "matrix", "k", "matrix-open"
# Nobody asks for it: who may delete buckets finds none that is empty.
KEPT = "kept"
SIGNED = [row for row in TABLE if row.entry is Entry.SIGNED]
BY_NAME = {row.name: row for row in SIGNED}
# Its permissions are asked for each key in its body.
DELETE_MANY = BY_NAME["DeleteObjects"]
OF_THE_STORE = [row for row in SIGNED if row.target is On.SERVICE or row.creates_bucket]
ROWS = [row for row in SIGNED if row not in OF_THE_STORE and row is not DELETE_MANY]
DENIED = (403, "AccessDenied")
READS = ["s3:Get*", "s3:List*"]
Signer = Credentials | Keys
_numbers = itertools.count()


class Bounded(Struct, frozen=True):
    """Somebody who may some of it, and what."""

    signer: Signer
    may: Callable[[str], bool]


def reads(permission: str) -> bool:
    """Whether `READS` allow it."""
    return permission.startswith(("s3:Get", "s3:List"))


class Cast:
    """A store with one bucket of its root user, and everybody else."""

    def __init__(self, server: MemoryServer, dialect: Any) -> None:
        self._server = server
        self._operator = Operator(server)
        self._account = account = Account(server, dialect)
        self.host = f"{account.name}.localhost:{server.port}"
        self.owner = account.user
        for bucket in (BUCKET, OPEN):
            account.s3.create_bucket(Bucket=bucket)
            for key in (KEY, KEPT):
                account.s3.put_object(Bucket=bucket, Key=key, Body=b"bytes")
        everything = [f"arn:aws:s3:::{OPEN}", f"arn:aws:s3:::{OPEN}/*"]
        public = policy({**allow(READS, everything), "Principal": "*"})
        account.s3.put_bucket_policy(Bucket=OPEN, Policy=public)
        self.users = {role.value: self._new_user(role.value, role.value) for role in Role}
        self.users["nobody"] = self._new_user("nobody")
        self.bounded = self._bounded()
        self.makes_none = self._new_user("makes none", create_buckets=False)
        self.iam = self._new_user("iam", kind="iam")
        self.refused = self._refused()
        maintainer = self.users["maintainer"]
        graced = self._operator.call(
            "user.rotate", access_key=maintainer.access_key, grace_seconds=3600
        )
        self.in_grace = maintainer
        self.users["maintainer"] = replace(maintainer, secret_key=graced["secret_key"])

    def _new_user(self, label: str, role: str | None = None, **settings: Any) -> Credentials:
        made = self._operator.new_user(self._account.name, label, **settings)
        if role is not None:
            about = {"bucket": BUCKET, "store": self._account.name}
            self._operator.call("bucket.role.grant", **about, user=label, role=role)
        return made

    def _bounded(self) -> dict[str, Bounded]:
        """Roles on the bucket, and identities of IAM in all their forms."""
        account = self._account
        reader = account.create_user("reads", allow(READS))
        role = account.create_role("reads", {"AWS": "*"}, allow(READS))
        wide = account.create_role("all", {"AWS": "*"}, allow("s3:*"))
        token = account.client("sts", reader).get_session_token()["Credentials"]
        less = policy(allow(READS))
        return {
            **{
                f"a {role}": Bounded(self.users[role.value], partial(allows, role)) for role in Role
            },
            "of IAM": Bounded(reader, reads),
            "of IAM, for a while": Bounded(Keys.of_session(token), reads),
            "of IAM, all of S3": Bounded(
                account.create_user("all", allow("s3:*")), lambda permission: True
            ),
            "in a role": Bounded(account.assume(role, reader), reads),
            "in a role that may more": Bounded(account.assume(wide, reader, Policy=less), reads),
        }

    def _refused(self) -> dict[str, tuple[Signer, tuple[int, str]]]:
        call, store = self._operator.call, self._account.name
        locked = self._new_user("locked", "maintainer")
        call("user.lock", user="locked", store=store)
        ended = self._new_user("ended", "maintainer")
        call("user.rotate", access_key=ended.access_key)
        gone = self._new_user("gone")
        call("user.key.delete", access_key=gone.access_key)
        elsewhere = self._operator.new_store(f"matrix-other-{next(_numbers)}")
        return {
            "another store's": (elsewhere, DENIED),
            "locked": (locked, DENIED),
            "of IAM without a policy": (self.iam, DENIED),
            "with a secret that ended": (ended, (403, "SignatureDoesNotMatch")),
            "with a key that is gone": (gone, (403, "InvalidAccessKeyId")),
        }

    def ask(self, row: Operation, user: Signer | None, bucket: str = BUCKET) -> tuple[int, str]:
        answer = self.send(row, user, b"", bucket)
        self._check_record(row, answer)
        return answer.status, _code(row, answer)

    def _check_record(self, row: Operation, answer: Answer) -> None:
        """Each cell of the matrix leaves one record, which says the same."""
        (one,) = self._server.audited(answer.headers["x-amz-request-id"])
        # Which list is meant stands in the query, which is not sent here.
        assert one.operation == row.name.removesuffix("V2")
        if answer.status >= 400:
            assert one.status == answer.status
            assert one.error == (one.error if row.method == "HEAD" else answer.code)
            assert one.decision or one.error != "AccessDenied" or not one.principal
        else:
            assert (one.error, one.status // 100) == ("", answer.status // 100)
            assert one.decision

    def send(self, row: Operation, user: Signer | None, body: bytes, bucket: str) -> Answer:
        path = {On.SERVICE: "/", On.BUCKET: f"/{bucket}", On.OBJECT: f"/{bucket}/{KEY}"}
        target = path[row.target]
        if row.selector.sub_resource:
            target += f"?{row.selector.sub_resource}"
        digest = b64encode(md5(body, usedforsecurity=False).digest()).decode()
        headers = {} if row.target is On.SERVICE else {"Content-MD5": digest}
        if row.selector.copy:
            headers = {"x-amz-copy-source": f"{bucket}/{KEY}"}
        if user is None:
            length = {"Content-Length": str(len(body))} if row.method in ("PUT", "POST") else {}
            sent = {"Host": self.host, **headers, **length}
            return WireClient(self._server.port, self.owner).raw(row.method, target, body, sent)
        if isinstance(user, Keys):
            if user.token:
                headers = {**headers, "X-Amz-Security-Token": user.token}
            user = replace(self.owner, access_key=user.access_key, secret_key=user.secret_key)
        wire = WireClient(self._server.port, user)
        return wire.send(row.method, target, body, headers, host=self.host)

    def post_form(self, user: Signer | None) -> tuple[int, str]:
        """What becomes of a browser's form; without a user, of one that nobody signed."""
        fields = {"key": "formed"}
        if user is not None:
            token = user.token if isinstance(user, Keys) else None
            keys = Keys(user.access_key, user.secret_key, token)
            s3 = self._account.client("s3", keys, signature_version="s3v4")
            fields = s3.generate_presigned_post(BUCKET, "formed")["fields"]
        wire = WireClient(self._server.port, self.owner)
        answer = post(wire, BUCKET, form(fields), self.host)
        return answer.status, answer.code

    def delete_many(self, user: Signer | None) -> tuple[int, str]:
        """What becomes of one key of many: a code of its own, or the whole request's."""
        body = b"<Delete><Object><Key>not there</Key></Object></Delete>"
        answer = self.send(DELETE_MANY, user, body, BUCKET)
        if answer.status != 200:
            return answer.status, answer.code
        if b"<Deleted><Key>not there</Key></Deleted>" in answer.body:
            return 200, ""
        assert b"<Code>AccessDenied</Code>" in answer.body, answer.body
        return 200, "AccessDenied"


def _code(row: Operation, answer: Answer) -> str:
    """An answer to HEAD has no body to say it in."""
    if row.method == "HEAD":
        return "AccessDenied" if answer.status == 403 else ""
    return answer.code


@pytest.fixture(scope="module")
def casts(server: MemoryServer) -> Mapping[str, Cast]:
    """By the dialect of their store."""
    return {dialect: Cast(server, dialect) for dialect in ("aws", "ecs")}


@pytest.fixture
def cast(casts: Mapping[str, Cast], row: Operation) -> Cast:
    return casts[row.dialect or "aws"]


def permissions(row: Operation) -> list[str]:
    """What it asks for before all else. That UploadPartCopy lacks its upload is told before its
    source is looked for."""
    without = {On.EACH_KEY, On.SOURCE} if row.name == "UploadPartCopy" else {On.EACH_KEY}
    return [need.permission for need in row.needs if need.header is None and need.on not in without]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_who_has_no_right_is_refused_and_told_no_more(cast: Cast, row: Operation) -> None:
    everybody = {**cast.refused, "without a right": (cast.users["nobody"], DENIED)}
    found = {who: cast.ask(row, user) for who, (user, _) in everybody.items()}
    expected: dict[str, Any] = {who: answer for who, (_, answer) in everybody.items()}
    if row.method == "HEAD":
        found = {who: (status, "") for who, (status, _) in found.items()}
        expected = dict.fromkeys(expected, (403, ""))
    assert found == expected
    assert cast.ask(row, None) == DENIED


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_role_or_a_policy_opens_what_it_says_and_nothing_else(cast: Cast, row: Operation) -> None:
    served = {who: cast.ask(row, one.signer) != DENIED for who, one in cast.bounded.items()}
    assert served == {who: all(map(one.may, permissions(row))) for who, one in cast.bounded.items()}
    assert (cast.ask(row, cast.in_grace) != DENIED) == served["a maintainer"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_public_policy_opens_to_everybody_what_it_says_and_nothing_else(
    cast: Cast, row: Operation
) -> None:
    expected = all(map(reads, permissions(row)))
    for user in (None, cast.users["nobody"], cast.iam):
        assert (cast.ask(row, user, OPEN) != DENIED) == expected
    assert cast.ask(row, cast.refused["another store's"][0], OPEN) == DENIED
    assert cast.ask(row, cast.refused["locked"][0], OPEN) == DENIED


@pytest.mark.parametrize("row", OF_THE_STORE, ids=lambda row: row.name)
def test_buckets_are_listed_and_made_by_users_of_the_store_alone(
    cast: Cast, row: Operation
) -> None:
    for who, (user, answer) in cast.refused.items():
        assert cast.ask(row, user) == answer, who
    assert cast.ask(row, None) == DENIED
    for user in (*cast.users.values(), cast.in_grace, cast.owner):
        assert cast.ask(row, user) != DENIED
    for who, one in cast.bounded.items():
        if isinstance(one.signer, Keys):
            assert (cast.ask(row, one.signer) != DENIED) == all(map(one.may, permissions(row))), who
    assert (cast.ask(row, cast.makes_none) == DENIED) == row.creates_bucket


def test_of_many_keys_each_asks_for_its_own(casts: Mapping[str, Cast]) -> None:
    cast = casts["aws"]
    # The store knows them; what they may is another matter.
    known = {"locked", "of IAM without a policy"}
    for who, (user, answer) in cast.refused.items():
        assert cast.delete_many(user) == ((200, "AccessDenied") if who in known else answer), who
    for stranger in (None, cast.users["nobody"]):
        assert cast.delete_many(stranger) == (200, "AccessDenied")
    found = {who: cast.delete_many(one.signer) for who, one in cast.bounded.items()}
    assert found == {
        who: (200, "" if one.may("s3:DeleteObject") else "AccessDenied")
        for who, one in cast.bounded.items()
    }
    assert cast.delete_many(cast.in_grace) == cast.delete_many(cast.owner) == (200, "")


def test_a_form_is_taken_of_whom_an_object_is_taken_of(casts: Mapping[str, Cast]) -> None:
    cast = casts["aws"]
    for who, (user, answer) in cast.refused.items():
        assert cast.post_form(user) == answer, who
    for stranger in (None, cast.users["nobody"]):
        assert cast.post_form(stranger) == DENIED
    found = {who: cast.post_form(one.signer) for who, one in cast.bounded.items()}
    assert found == {
        who: (204, "") if one.may("s3:PutObject") else DENIED for who, one in cast.bounded.items()
    }
    assert cast.post_form(cast.in_grace) == cast.post_form(cast.owner) == (204, "")


@pytest.mark.parametrize("row", [*ROWS, *OF_THE_STORE], ids=lambda row: row.name)
def test_the_owner_may_all_of_it(cast: Cast, row: Operation) -> None:
    status, code = cast.ask(row, cast.owner)
    assert (status, code) != DENIED
    assert status != 500
