"""What a lifecycle does leaves one record each, made in the step that does it."""

from __future__ import annotations

import json

from coffre.catalog import mutations as m
from coffre.catalog.audit_records import AuditRecord, decode_records
from coffre.catalog.lifecycle_mutations import Expiration
from coffre.catalog.lifecycle_rules import Move, Rule
from tests.unit.lifecycle_model import BUCKET, DAY_S, TENANT, World


def expire(world: World, *rules: Rule, days: int = 3) -> list[Expiration]:
    """What the rules do within some days."""
    world.rule(rules)
    world.judge()
    world.clock.advance(days * DAY_S)
    return world.expire_all()


def told(world: World) -> list[AuditRecord]:
    batches = world.catalog.audit_batches(after=0, limit=1000)
    return [one for batch in batches for one in decode_records(batch)]


def test_an_expired_object_names_its_rule_and_whose_it_was() -> None:
    world = World()
    world.put(b"key", 3, {}, 0)
    (done,) = expire(world, Rule(id="old", enabled=True, days=1))
    (one,) = told(world)
    assert done.rule_id == "old"
    assert (one.operation, one.source, one.principal) == (
        "S3.EXPIRE.OBJECT",
        "steward",
        "steward:lifecycle",
    )
    assert (one.store, one.bucket, one.key, one.status) == ("s", "bucket", b"key", 204)
    assert one.tenant == TENANT.hex()
    assert json.loads(one.detail) == {"rule": "old"}


def test_a_marker_of_a_lifecycle_is_told_with_its_version() -> None:
    world = World()
    world.version("enabled")
    world.put(b"key", 3, {}, 0)
    expire(world, Rule(id="mark", enabled=True, days=1))
    (one,) = told(world)
    marker = world.catalog.current(world.bucket, b"key")
    assert marker is not None
    assert (one.operation, one.version) == ("S3.CREATE.DELETEMARKER", marker.version_id.hex())


def test_moves_and_aborted_uploads_are_told() -> None:
    world = World()
    world.put(b"key", 3, {}, 0)
    world.do(m.CreateUpload(b"u" * 16, BUCKET, b"upload", b"m" * 16, "u"))
    rule = Rule(id="r", enabled=True, abort_days=1, moves=(Move("GLACIER", 1, None, 0, 0),))
    expire(world, rule)
    found = {one.operation: one for one in told(world)}
    assert set(found) == {"S3.TRANSITION.OBJECT", "S3.DELETE.UPLOAD"}
    moved = json.loads(found["S3.TRANSITION.OBJECT"].detail)
    assert moved == {"rule": "r", "class": "GLACIER"}
    assert found["S3.DELETE.UPLOAD"].version == (b"u" * 16).hex()


def test_what_a_lock_kept_is_told_as_refused() -> None:
    world = World()
    world.put(b"key", 3, {}, 30)
    assert not expire(world, Rule(id="old", enabled=True, days=1))
    (one,) = told(world)
    assert (one.status, one.error) == (403, "ObjectUnderRetention")


def test_a_thousand_expired_objects_are_few_rows_and_all_there() -> None:
    world = World()
    for number in range(1000):
        world.put(b"key-%d" % number, 1, {}, 0)
    done = expire(world, Rule(id="all", enabled=True, days=1))
    assert len(done) == 1000
    assert {one.key for one in told(world)} == {b"key-%d" % number for number in range(1000)}
    assert len(world.catalog.audit_batches(after=0, limit=1000)) < 400
