"""Who signs in, and who tries in vain, stands in the audit before it is answered."""

from __future__ import annotations

import json
from collections.abc import Sequence

from coffre.catalog.audit_records import AuditRecord, decode_records
from coffre.catalog.interface import CommitterBusy
from coffre.ledger.management import SIGN_IN
from tests.unit.console.world import PASSWORD, Browser, World


def told(world: World) -> list[AuditRecord]:
    batches = world.engine.catalog.audit_batches(after=0, limit=10_000)
    records = [one for batch in batches for one in decode_records(batch)]
    return [one for one in records if one.operation == SIGN_IN]


async def test_a_sign_in_names_the_person_and_the_address(world: World) -> None:
    await Browser(world, "192.0.2.7").sign_in("operator", PASSWORD)
    (one,) = told(world)
    assert (one.principal, one.client, one.status) == ("person:operator", "192.0.2.7", 200)
    assert one.source == "management"


async def test_one_in_vain_names_what_was_tried_and_no_password(world: World) -> None:
    await Browser(world, "192.0.2.8").sign_in("no-such-person", "not this one at all")
    (one,) = told(world)
    assert (one.principal, one.client, one.error) == ("", "192.0.2.8", "WrongPassword")
    assert json.loads(one.detail) == {"name": "no-such-person"}
    assert "not this one" not in repr(one)


class _Shut:
    async def keep(self, records: Sequence[bytes]) -> None:
        raise CommitterBusy("nothing goes")


async def test_nobody_comes_in_unseen(world: World) -> None:
    world.parts.audit = _Shut()
    world.again()
    said = await Browser(world).sign_in("operator", PASSWORD)
    assert said.status == 503
