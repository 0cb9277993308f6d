"""The service against a list of versions: writes, deletes, tags and ACLs of any version, copies,
uploads, and versioning switched on and off, with every listing compared."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from msgspec import Struct

from coffre.s3.settings import Limits, Settings
from coffre.testing.server import MemoryServer
from tests.protocol.boto_client import boto, refused

KEYS = st.sampled_from(["a", "a/b", "é"])
BODIES = st.binary(max_size=9)
TAGS = st.dictionaries(st.sampled_from(["x", "y z", "é"]), st.sampled_from(["", "1"]), max_size=2)
PLACES = st.integers(0, 9)
_names = itertools.count()


class Version(Struct):
    """`body` None: a delete marker. `public`: everybody may read it."""

    id: str
    body: bytes | None
    tags: dict[str, str] = {}
    public: bool = False


class Versions(RuleBasedStateMachine):
    """One bucket; `keys` has the versions of each key, the newest first."""

    s3: Any

    @initialize()
    def make_bucket(self) -> None:
        self.bucket = f"versions-{next(_names)}"
        self.s3.create_bucket(Bucket=self.bucket)
        self.state = ""
        self.keys: dict[str, list[Version]] = {}

    @rule(state=st.sampled_from(["Enabled", "Suspended"]))
    def switch(self, state: str) -> None:
        self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": state})
        self.state = state

    @rule(key=KEYS, body=BODIES, tags=TAGS, public=st.booleans())
    def put(self, key: str, body: bytes, tags: dict[str, str], public: bool) -> None:
        said = {"Tagging": form(tags), "ACL": "public-read" if public else "private"}
        done = self.s3.put_object(**self.named(key), Body=body, **said)
        self.write(key, done, Version("", body, tags, public))

    @rule(key=KEYS, body=BODIES, tags=TAGS, public=st.booleans())
    def upload(self, key: str, body: bytes, tags: dict[str, str], public: bool) -> None:
        said = {"Tagging": form(tags), "ACL": "public-read" if public else "private"}
        begun = self.s3.create_multipart_upload(**self.named(key), **said)["UploadId"]
        where = {**self.named(key), "UploadId": begun}
        part = self.s3.upload_part(**where, PartNumber=1, Body=body)
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        done = self.s3.complete_multipart_upload(**where, MultipartUpload=parts)
        self.write(key, done, Version("", body, tags, public))

    @rule(source=KEYS, place=PLACES, key=KEYS, tags=st.none() | TAGS)
    def copy(self, source: str, place: int, key: str, tags: dict[str, str] | None) -> None:
        version = self.pick(source, place)
        if version is None or version.body is None:
            return
        directive = {} if tags is None else {"TaggingDirective": "REPLACE", "Tagging": form(tags)}
        done = self.s3.copy_object(
            **self.named(key),
            CopySource={"Bucket": self.bucket, "Key": source, "VersionId": version.id},
            MetadataDirective="REPLACE",
            **directive,
        )
        self.write(key, done, Version("", version.body, version.tags if tags is None else tags))

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        done = self.s3.delete_object(**self.named(key))
        if self.state:
            assert done["DeleteMarker"]
            self.write(key, done, Version("", None))
        else:
            self.keys.pop(key, None)

    @rule(key=KEYS, place=PLACES)
    def delete_version(self, key: str, place: int) -> None:
        version = self.pick(key, place)
        if version is not None:
            done = self.s3.delete_object(**self.named(key), VersionId=version.id)
            assert done.get("DeleteMarker", False) == (version.body is None)
            self.keys[key].remove(version)

    @rule(key=KEYS, place=PLACES, tags=TAGS)
    def tag(self, key: str, place: int, tags: dict[str, str]) -> None:
        version = self.pick(key, place)
        if version is None:
            return
        listed = [{"Key": name, "Value": value} for name, value in tags.items()]
        asked = {**self.named(key), "VersionId": version.id, "Tagging": {"TagSet": listed}}
        if version.body is None:
            assert refused(self.s3.put_object_tagging, **asked) == "MethodNotAllowed"
        else:
            self.s3.put_object_tagging(**asked)
            version.tags = tags

    @rule(key=KEYS, place=PLACES, public=st.booleans())
    def open_up(self, key: str, place: int, public: bool) -> None:
        version = self.pick(key, place)
        if version is not None and version.body is not None:
            acl = "public-read" if public else "private"
            self.s3.put_object_acl(**self.named(key), VersionId=version.id, ACL=acl)
            version.public = public

    @rule(key=KEYS)
    def look(self, key: str) -> None:
        """Every version of a key is as it was written."""
        for version in self.keys.get(key, []):
            named = {**self.named(key), "VersionId": version.id}
            if version.body is None:
                assert refused(self.s3.get_object_tagging, **named) == "MethodNotAllowed"
                continue
            assert self.s3.get_object(**named)["Body"].read() == version.body
            tags = self.s3.get_object_tagging(**named)["TagSet"]
            assert {one["Key"]: one["Value"] for one in tags} == version.tags
            grants = self.s3.get_object_acl(**named)["Grants"]
            assert len(grants) == (2 if version.public else 1)

    @rule(size=st.integers(1, 3))
    def page(self, size: int) -> None:
        pages = self.s3.get_paginator("list_object_versions").paginate(
            Bucket=self.bucket, PaginationConfig={"PageSize": size}
        )
        self.compare(list(pages))

    @invariant()
    def the_listing_is_the_list(self) -> None:
        self.compare([self.s3.list_object_versions(Bucket=self.bucket)])

    def compare(self, pages: list[dict[str, Any]]) -> None:
        for name, markers in (("Versions", False), ("DeleteMarkers", True)):
            found = [
                (one["Key"], one["VersionId"], one["IsLatest"])
                for page in pages
                for one in page.get(name, ())
            ]
            assert found == [
                (key, version.id, version is self.keys[key][0])
                for key in sorted(self.keys, key=str.encode)
                for version in self.keys[key]
                if (version.body is None) == markers
            ]

    def named(self, key: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": key}

    def pick(self, key: str, place: int) -> Version | None:
        versions = self.keys.get(key)
        return versions[place % len(versions)] if versions else None

    def write(self, key: str, done: dict[str, Any], version: Version) -> None:
        """The new version is the latest; without versioning it takes the null version's place."""
        version.id = done.get("VersionId", "null")
        assert ("VersionId" in done) == (self.state != "")
        assert (version.id != "null") == (self.state == "Enabled")
        versions = self.keys.setdefault(key, [])
        versions[:] = [version, *(one for one in versions if one.id != version.id)]


def form(tags: dict[str, str]) -> str:
    return "&".join(f"{name}={value}" for name, value in tags.items())


def test_the_service_is_a_list_of_versions() -> None:
    with MemoryServer(Settings(limits=Limits(least_part_bytes=0))) as server:
        Versions.s3 = boto(server, server.user)
        run_state_machine_as_test(
            Versions,
            settings=settings(
                max_examples=15,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
