"""The access decision, and the keys that a worker keeps opened."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from coffre.access.decision import SERVICE, Decision, Resource, decide
from coffre.access.principals import ANONYMOUS, Principal
from coffre.s3.keyring import Keyring
from coffre.s3.operation import Entry, On
from coffre.s3.operations import TABLE
from coffre.vault.keys import RootKey

OWNER, OTHER = Principal("owner"), Principal("other")
BUCKET = Resource("bucket", "owner")
OBJECT = Resource("bucket", "owner", b"key")
PERMISSIONS = sorted({need.permission for row in TABLE for need in row.needs})


@given(st.sampled_from(PERMISSIONS), st.sampled_from([BUCKET, OBJECT]))
def test_the_owner_may_everything(permission: str, resource: Resource) -> None:
    assert decide(OWNER, permission, resource) is Decision.ALLOW


@given(st.sampled_from(PERMISSIONS), st.sampled_from([BUCKET, OBJECT, SERVICE]))
def test_strangers_may_nothing(permission: str, resource: Resource) -> None:
    assert decide(ANONYMOUS, permission, resource) is Decision.NOBODY_ALLOWS


@given(st.sampled_from(PERMISSIONS), st.sampled_from([BUCKET, OBJECT, SERVICE]))
def test_a_locked_user_may_nothing(permission: str, resource: Resource) -> None:
    assert decide(Principal("owner", locked=True), permission, resource) is Decision.DENY


def test_another_user_may_only_what_every_user_may() -> None:
    allowed = {
        (need.permission, need.on)
        for row in TABLE
        for need in row.needs
        if decide(OTHER, need.permission, SERVICE if need.on is On.SERVICE else OBJECT).allowed
    }
    assert allowed == {("s3:ListAllMyBuckets", On.SERVICE), ("s3:CreateBucket", On.SERVICE)}


def test_every_operation_but_preflights_and_the_ping_needs_a_permission() -> None:
    without = {row.name for row in TABLE if not row.needs}
    assert without == {"OptionsBucket", "OptionsObject", "Ping"}
    assert without == {row.name for row in TABLE if row.entry in (Entry.NOBODY, Entry.OPEN)}


def test_secrets_end_with_their_grace() -> None:
    keyring = Keyring(RootKey(bytes(32)))
    kept = (keyring.wrap_secret("new"), keyring.wrap_secret("old", 1000))
    assert keyring.secrets(kept, 999) == ["new", "old"]
    assert keyring.secrets(kept, 1000) == ["new"]


def test_keys_that_fell_out_are_opened_again() -> None:
    keyring = Keyring(RootKey(bytes(32)), limit=2)
    kept = [keyring.wrap_secret(f"secret-{number}") for number in range(5)]
    for _ in range(2):
        found = [keyring.secrets((one,), 0) for one in kept]
        assert found == [[f"secret-{number}"] for number in range(5)]
