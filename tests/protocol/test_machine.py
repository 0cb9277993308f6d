"""The service against a dictionary: any run of puts, copies, deletes, uploads and listings."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from coffre.s3.settings import Limits, Settings
from coffre.testing.server import MemoryServer
from tests.protocol.boto_client import boto, refused

KEYS = st.sampled_from(["a", "a/b", "a/c", "b", "é", "z//", "a b"])
BODIES = st.binary(max_size=40)
_names = itertools.count()


class Uploading:
    def __init__(self, key: str, upload_id: str) -> None:
        self.key = key
        self.id = upload_id
        self.parts: dict[int, tuple[str, bytes]] = {}


class Service(RuleBasedStateMachine):
    """One bucket; `objects` is what must be in it."""

    s3: Any
    uploads: Bundle[Uploading] = Bundle("uploads")

    @initialize()
    def make_bucket(self) -> None:
        self.bucket = f"machine-{next(_names)}"
        self.s3.create_bucket(Bucket=self.bucket)
        self.objects: dict[str, bytes] = {}
        self.etags: dict[str, str] = {}

    @rule(key=KEYS, body=BODIES)
    def put(self, key: str, body: bytes) -> None:
        done = self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        self.objects[key], self.etags[key] = body, done["ETag"]

    @rule(key=KEYS, body=BODIES)
    def put_if_absent(self, key: str, body: bytes) -> None:
        wanted = {"Bucket": self.bucket, "Key": key, "Body": body, "IfNoneMatch": "*"}
        if key in self.objects:
            assert refused(self.s3.put_object, **wanted) == "PreconditionFailed"
        else:
            self.etags[key] = self.s3.put_object(**wanted)["ETag"]
            self.objects[key] = body

    @rule(source=KEYS, key=KEYS)
    def copy(self, source: str, key: str) -> None:
        wanted = {
            "Bucket": self.bucket,
            "Key": key,
            "CopySource": {"Bucket": self.bucket, "Key": source},
            "MetadataDirective": "REPLACE",
        }
        if source not in self.objects:
            assert refused(self.s3.copy_object, **wanted) == "NoSuchKey"
        else:
            done = self.s3.copy_object(**wanted)
            self.objects[key] = self.objects[source]
            self.etags[key] = done["CopyObjectResult"]["ETag"]

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        self.s3.delete_object(Bucket=self.bucket, Key=key)
        self.objects.pop(key, None)

    @rule(keys=st.lists(KEYS, min_size=1, max_size=4, unique=True))
    def delete_many(self, keys: list[str]) -> None:
        wanted = {"Objects": [{"Key": key} for key in keys]}
        done = self.s3.delete_objects(Bucket=self.bucket, Delete=wanted)
        assert [one["Key"] for one in done["Deleted"]] == keys
        for key in keys:
            self.objects.pop(key, None)

    @rule(target=uploads, key=KEYS)
    def begin(self, key: str) -> Uploading:
        created = self.s3.create_multipart_upload(Bucket=self.bucket, Key=key)
        return Uploading(key, created["UploadId"])

    @rule(upload=uploads, number=st.integers(1, 4), body=BODIES)
    def put_part(self, upload: Uploading, number: int, body: bytes) -> None:
        done = self.s3.upload_part(**self._named(upload), PartNumber=number, Body=body)
        upload.parts[number] = (done["ETag"], body)

    @rule(upload=uploads, number=st.integers(1, 4), source=KEYS)
    def copy_part(self, upload: Uploading, number: int, source: str) -> None:
        wanted = {
            **self._named(upload),
            "PartNumber": number,
            "CopySource": {"Bucket": self.bucket, "Key": source},
        }
        if source not in self.objects:
            assert refused(self.s3.upload_part_copy, **wanted) == "NoSuchKey"
        else:
            done = self.s3.upload_part_copy(**wanted)["CopyPartResult"]
            upload.parts[number] = (done["ETag"], self.objects[source])

    @rule(target=uploads, upload=consumes(uploads), data=st.data())
    def complete(self, upload: Uploading, data: st.DataObject) -> Any:
        numbers = sorted(data.draw(st.sets(st.sampled_from([1, 2, 3, 4]), min_size=1)))
        listed = [
            {"PartNumber": number, "ETag": upload.parts.get(number, ('"no"', b""))[0]}
            for number in numbers
        ]
        wanted = {**self._named(upload), "MultipartUpload": {"Parts": listed}}
        if not upload.parts.keys() >= set(numbers):
            assert refused(self.s3.complete_multipart_upload, **wanted) == "InvalidPart"
            return upload
        done = self.s3.complete_multipart_upload(**wanted)
        assert self.s3.complete_multipart_upload(**wanted)["ETag"] == done["ETag"]
        self.objects[upload.key] = b"".join(upload.parts[number][1] for number in numbers)
        self.etags[upload.key] = done["ETag"]
        return multiple()

    @rule(upload=consumes(uploads))
    def abort(self, upload: Uploading) -> None:
        self.s3.abort_multipart_upload(**self._named(upload))
        assert refused(self.s3.list_parts, **self._named(upload)) == "NoSuchUpload"

    @rule(upload=uploads)
    def list_parts(self, upload: Uploading) -> None:
        found = self.s3.list_parts(**self._named(upload)).get("Parts", [])
        assert {one["PartNumber"]: (one["ETag"], one["Size"]) for one in found} == {
            number: (etag, len(body)) for number, (etag, body) in upload.parts.items()
        }

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        if key not in self.objects:
            assert refused(self.s3.get_object, Bucket=self.bucket, Key=key) == "NoSuchKey"
            return
        found = self.s3.get_object(Bucket=self.bucket, Key=key)
        assert (found["Body"].read(), found["ETag"]) == (self.objects[key], self.etags[key])

    @invariant()
    def the_listing_is_the_dictionary(self) -> None:
        found = self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        assert [(one["Key"], one["Size"], one["ETag"]) for one in found] == [
            (key, len(self.objects[key]), self.etags[key])
            for key in sorted(self.objects, key=str.encode)
        ]

    def _named(self, upload: Uploading) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": upload.key, "UploadId": upload.id}


def test_the_service_is_a_dictionary() -> None:
    with MemoryServer(Settings(limits=Limits(least_part_bytes=0))) as server:
        Service.s3 = boto(server, server.user)
        run_state_machine_as_test(
            Service,
            settings=settings(
                max_examples=15,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
