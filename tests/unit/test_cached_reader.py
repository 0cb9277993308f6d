"""What a worker remembers, and when it forgets."""

from __future__ import annotations

from pathlib import Path

import apsw

from coffre.catalog.apply import apply
from coffre.catalog.cached import CachedReader
from coffre.catalog.generation import Generation, changes_rights
from coffre.catalog.mutations import (
    CreateStore,
    CreateTenant,
    CreateUser,
    DeleteBucketDocument,
    DeleteVersion,
    PutBucketDocument,
    RotateKey,
    SetAcl,
    SetTags,
)
from coffre.catalog.records import Secret
from coffre.catalog.schema import open_reader, open_writer
from coffre.catalog.stamp import HybridClock
from coffre.catalog.tally import Tally
from coffre.system.clock import ManualClock
from coffre.system.entropy import SeededEntropy

OLD, NEW = Secret(b"old", b"root"), Secret(b"new", b"root")


def _written(path: Path) -> apsw.Connection:
    db = open_writer(str(path))
    stamps = HybridClock(ManualClock(), SeededEntropy(1), 1)
    for mutation in (
        CreateTenant(b"t" * 16, "tenant"),
        CreateStore(b"s" * 16, "store", b"t" * 16, b"k" * 16, b"root", b"wrapped"),
        CreateUser("user", b"s" * 16, "label", "object", "AK", OLD),
    ):
        apply(db, mutation, stamps.stamp(0), Tally())
    return db


def test_an_identity_is_read_again_after_the_generation_rose_and_not_before(tmp_path: Path) -> None:
    db = _written(tmp_path / "catalog.sqlite")
    committer = Generation(str(tmp_path / "generation"))
    worker = Generation(str(tmp_path / "generation"))
    reader = CachedReader(open_reader(str(tmp_path / "catalog.sqlite")), worker)
    first = reader.identity("AK")
    assert first is not None
    assert first.key.secrets == (OLD,)

    stamps = HybridClock(ManualClock(1), SeededEntropy(2), 1)
    apply(db, RotateKey("AK", NEW, None), stamps.stamp(0), Tally())
    assert reader.identity("AK") is first

    committer.rise()
    second = reader.identity("AK")
    assert second is not None
    assert second.key.secrets == (NEW,)


def test_what_does_not_exist_is_looked_for_every_time(tmp_path: Path) -> None:
    db = _written(tmp_path / "catalog.sqlite")
    path = str(tmp_path / "generation")
    reader = CachedReader(open_reader(str(tmp_path / "catalog.sqlite")), Generation(path))
    assert reader.store_named("other") is None
    stamps = HybridClock(ManualClock(1), SeededEntropy(2), 1)
    other = CreateStore(b"o" * 16, "other", b"t" * 16, b"p" * 16, b"root", b"wrapped")
    apply(db, other, stamps.stamp(0), Tally())
    assert reader.store_named("other") is not None


def test_the_generation_outlives_the_process_that_raised_it_and_starts_at_nothing(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "generation")
    assert Generation(path)() == 0
    Generation(path).rise()
    assert Generation(path)() == 1


def test_a_new_secret_changes_rights_and_a_deleted_object_does_not() -> None:
    assert changes_rights(RotateKey("AK", NEW, None))
    assert not changes_rights(DeleteVersion(b"b" * 16, b"key"))


def test_a_document_of_a_bucket_changes_rights_and_an_objects_acl_does_not() -> None:
    assert changes_rights(PutBucketDocument(b"b" * 16, "acl", b""))
    assert changes_rights(DeleteBucketDocument(b"b" * 16, "acl"))
    assert not changes_rights(SetAcl(b"b" * 16, b"key", b"", 1, b""))
    assert not changes_rights(SetTags(b"b" * 16, b"key", b"", 1, {}))
