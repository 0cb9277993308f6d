"""The machine of versions with uploads that stay open: parts that are put again or copied from any
version, tags, completions and aborts, while versioning goes on and off around them; beside them
conditional writes, and deletes of many keys and versions in one request."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, consumes, multiple, rule, run_state_machine_as_test

from coffre.s3.settings import Limits, Settings
from coffre.testing.server import MemoryServer
from tests.protocol.boto_client import boto, refused
from tests.protocol.test_machine_of_versions import (
    BODIES,
    KEYS,
    PLACES,
    TAGS,
    Version,
    Versions,
    form,
)

NUMBERS = st.integers(1, 3)


class Open:
    """An upload under way: its parts by number, as (ETag, bytes)."""

    def __init__(self, where: dict[str, str], tags: dict[str, str]) -> None:
        self.where = where
        self.tags = tags
        self.parts: dict[int, tuple[str, bytes]] = {}

    def __repr__(self) -> str:
        return f"upload of {self.where['Key']}"


class Uploads(Versions):
    """Beside what `Versions` does, uploads of several steps."""

    opened: Bundle[Open] = Bundle("opened")

    @rule(target=opened, key=KEYS, tags=TAGS)
    def begin(self, key: str, tags: dict[str, str]) -> Open:
        named = self.named(key)
        begun = self.s3.create_multipart_upload(**named, Tagging=form(tags))
        return Open({**named, "UploadId": begun["UploadId"]}, tags)

    @rule(upload=opened, number=NUMBERS, body=BODIES)
    def put_part(self, upload: Open, number: int, body: bytes) -> None:
        done = self.s3.upload_part(**upload.where, PartNumber=number, Body=body)
        upload.parts[number] = (done["ETag"], body)

    @rule(upload=opened, number=NUMBERS, source=KEYS, place=PLACES, ends=st.tuples(PLACES, PLACES))
    def copy_part(
        self, upload: Open, number: int, source: str, place: int, ends: tuple[int, int]
    ) -> None:
        version = self.pick(source, place)
        if version is None or version.body is None:
            return
        first, last = sorted(ends)
        asked = {
            **upload.where,
            "PartNumber": number,
            "CopySource": {"Bucket": self.bucket, "Key": source, "VersionId": version.id},
            "CopySourceRange": f"bytes={first}-{last}",
        }
        if last >= len(version.body):
            assert refused(self.s3.upload_part_copy, **asked) in {"InvalidArgument", "InvalidRange"}
            return
        done = self.s3.upload_part_copy(**asked)["CopyPartResult"]
        upload.parts[number] = (done["ETag"], version.body[first : last + 1])

    @rule(target=opened, upload=consumes(opened))
    def complete(self, upload: Open) -> Any:
        listed = [
            {"PartNumber": number, "ETag": etag}
            for number, (etag, _) in sorted(upload.parts.items())
        ]
        asked = {**upload.where, "MultipartUpload": {"Parts": listed}}
        if not listed:
            assert refused(self.s3.complete_multipart_upload, **asked) == "MalformedXML"
            return upload
        done = self.s3.complete_multipart_upload(**asked)
        body = b"".join(body for _, (_, body) in sorted(upload.parts.items()))
        self.write(upload.where["Key"], done, Version("", body, upload.tags))
        return multiple()

    @rule(upload=consumes(opened))
    def abort(self, upload: Open) -> None:
        self.s3.abort_multipart_upload(**upload.where)
        assert refused(self.s3.list_parts, **upload.where) == "NoSuchUpload"
        late = {**upload.where, "PartNumber": 1, "Body": b"late"}
        assert refused(self.s3.upload_part, **late) == "NoSuchUpload"

    @rule(upload=opened)
    def look_at_parts(self, upload: Open) -> None:
        found = self.s3.list_parts(**upload.where).get("Parts", [])
        assert {one["PartNumber"]: (one["ETag"], one["Size"]) for one in found} == {
            number: (etag, len(body)) for number, (etag, body) in upload.parts.items()
        }

    @rule(key=KEYS, body=BODIES)
    def put_over_what_is_current(self, key: str, body: bytes) -> None:
        """If-None-Match where nothing is; elsewhere If-Match, wrong and right."""
        wanted = {**self.named(key), "Body": body}
        newest = self.pick(key, 0)
        if newest is None or newest.body is None:
            assert refused(self.s3.put_object, **wanted, IfMatch='"no"') == "NoSuchKey"
            done = self.s3.put_object(**wanted, IfNoneMatch="*")
        else:
            assert refused(self.s3.put_object, **wanted, IfNoneMatch="*") == "PreconditionFailed"
            assert refused(self.s3.put_object, **wanted, IfMatch='"no"') == "PreconditionFailed"
            etag = self.s3.head_object(**self.named(key))["ETag"]
            done = self.s3.put_object(**wanted, IfMatch=etag)
        self.write(key, done, Version("", body))

    @rule(keys=st.lists(KEYS, min_size=1, max_size=3, unique=True), place=st.none() | PLACES)
    def delete_many(self, keys: list[str], place: int | None) -> None:
        """In one request: the keys themselves, or a version of each."""
        chosen = [(key, None if place is None else self.pick(key, place)) for key in keys]
        asked = [
            {"Key": key} | ({} if version is None else {"VersionId": version.id})
            for key, version in chosen
        ]
        deleted = self.s3.delete_objects(Bucket=self.bucket, Delete={"Objects": asked})["Deleted"]
        assert [one["Key"] for one in deleted] == keys
        for (key, version), told in zip(chosen, deleted, strict=True):
            if version is not None:
                assert told.get("DeleteMarker", False) == (version.body is None)
                self.keys[key].remove(version)
            elif self.state:
                marker = {"VersionId": told["DeleteMarkerVersionId"]}
                self.write(key, marker, Version("", None))
            else:
                self.keys.pop(key, None)


def test_uploads_end_as_versions() -> None:
    with MemoryServer(Settings(limits=Limits(least_part_bytes=0))) as server:
        Uploads.s3 = boto(server, server.user)
        run_state_machine_as_test(
            Uploads,
            settings=settings(
                max_examples=15,
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
