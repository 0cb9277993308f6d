"""The catalog's side of the audit: records go into the group of their change, batches are chained,
and the log makes all of it again."""

from __future__ import annotations

from pathlib import Path

from coffre.catalog import mutations as m
from coffre.catalog.audit_mutations import RecordAudit
from coffre.catalog.audit_records import (
    GENESIS,
    AuditRecord,
    ChainHead,
    decode_records,
    encode_record,
    hash_of,
    make_batch,
    with_version,
)
from coffre.testing.committing import BUCKET, Node, RecordedZone, put


def record(at_ms: int = 1_700_000_000_000, **facts: object) -> bytes:
    return encode_record(AuditRecord(at_ms, **facts))  # type: ignore[arg-type]


def kept(node: Node) -> list[AuditRecord]:
    batches = node.reader.audit_batches(after=0, limit=1000)
    return [one for batch in batches for one in decode_records(batch)]


def test_a_batch_names_its_times_and_gives_its_records_back() -> None:
    told = [record(5, operation="PutObject", key=b"\xff"), record(3, operation="GetObject")]
    batch, head = make_batch(ChainHead(), told)
    assert (batch.sequence, batch.first_ms, batch.last_ms, batch.count) == (1, 3, 5, 2)
    assert batch.previous == GENESIS
    assert head == ChainHead(1, hash_of(batch), 2)
    assert [(one.operation, one.key) for one in decode_records(batch)] == [
        ("PutObject", b"\xff"),
        ("GetObject", b""),
    ]


def test_a_version_is_told_once() -> None:
    told = with_version(record(operation="PutObject"), "0a0b")
    batch, _ = make_batch(ChainHead(), [with_version(told, "ffff")])
    assert [one.version for one in decode_records(batch)] == ["0a0b"]


async def test_a_change_and_its_record_are_one_group(tmp_path: Path) -> None:
    zone = RecordedZone(tmp_path)
    node = await zone.founded()
    before = node.reader.audit_head()
    mutation, body = put(b"key", b"bytes")
    await node.committer.commit(mutation, body, record(operation="PutObject"))
    assert [one.operation for one in kept(node)] == ["PutObject"]
    assert node.reader.audit_head().sequence == before.sequence + 1
    await node.stop()


async def test_the_record_of_what_is_refused_is_not_kept(tmp_path: Path) -> None:
    zone = RecordedZone(tmp_path)
    node = await zone.founded()
    mutation, body = put(b"key", b"bytes")
    await node.committer.commit(mutation, body)
    again = m.DeleteVersion(BUCKET, b"key", None, "another etag")
    plain = m.DeleteVersion(BUCKET, b"nothing")
    results = await node.committer.commit_all(
        [again, plain], [record(operation="first"), record(operation="second")]
    )
    assert isinstance(results[0], m.Refused)
    assert [one.operation for one in kept(node)] == ["second"]
    await node.stop()


async def test_a_version_that_a_change_makes_is_in_its_record(tmp_path: Path) -> None:
    zone = RecordedZone(tmp_path)
    node = await zone.founded()
    await node.committer.commit(m.SetVersioning(BUCKET, "enabled"))
    mutation, body = put(b"key", b"bytes")
    done = await node.committer.commit(mutation, body, record())
    assert isinstance(done, m.Written)
    gone = await node.committer.commit(m.DeleteVersion(BUCKET, b"key"), (), record())
    assert isinstance(gone, m.Deleted)
    assert gone.marker_version_id
    versions = [one.version for one in kept(node)]
    assert versions == [done.version_id.hex(), gone.marker_version_id.hex()]
    await node.stop()


async def test_a_rebuilt_catalog_has_the_same_chain(tmp_path: Path) -> None:
    zone = RecordedZone(tmp_path)
    node = await zone.founded()
    for number in range(5):
        await node.committer.commit(RecordAudit((record(number), record(number + 1))))
    batches, head = node.reader.audit_batches(after=0, limit=99), node.reader.audit_head()
    await node.stop()
    zone.lose_catalog()
    again = await zone.node()
    assert again.reader.audit_batches(after=0, limit=99) == batches
    assert again.reader.audit_head() == head
    assert head.records == 10
    await again.committer.commit(RecordAudit((record(9),)))
    (newest,) = again.reader.audit_batches(after=head.sequence, limit=99)
    assert newest.previous == head.hash
    await again.stop()


def test_texts_that_are_none_are_made_readable() -> None:
    batch, _ = make_batch(
        ChainHead(), [record(user_agent="a\udcffb", bucket="\ud800", key=b"\xff")]
    )
    (one,) = decode_records(batch)
    assert (one.user_agent, one.key) == ("a\\udcffb", b"\xff")
