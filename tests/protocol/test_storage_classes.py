"""Storage classes: every name in botocore's model is kept, or refused as AWS refuses it."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from coffre.wire.storage_classes import ARCHIVED, KEPT
from tests.protocol.boto_client import refused
from tests.protocol.wire_client import WireClient

_MODEL = botocore.session.get_session().get_service_model("s3")
NAMES: list[str] = _MODEL.shape_for("StorageClass").enum


def test_the_model_knows_every_class_that_we_name() -> None:
    assert set(NAMES) >= KEPT


@pytest.mark.parametrize("name", sorted(KEPT))
def test_a_class_is_kept_and_told(s3: Any, bucket: str, name: str) -> None:
    about = {"Bucket": bucket, "Key": "key"}
    s3.put_object(**about, Body=b"x", StorageClass=name)
    told = None if name == "STANDARD" else name  # AWS leaves STANDARD out
    assert s3.head_object(**about).get("StorageClass") == told
    if name in ARCHIVED:
        assert refused(s3.get_object, **about) == "InvalidObjectState"
    else:
        assert s3.get_object(**about).get("StorageClass") == told
    asked = s3.get_object_attributes(**about, ObjectAttributes=["StorageClass"])
    assert asked["StorageClass"] == name
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["StorageClass"] == name
    assert s3.list_object_versions(Bucket=bucket)["Versions"][0]["StorageClass"] == name


@pytest.mark.parametrize("name", sorted(KEPT))
def test_an_upload_in_parts_has_the_class_that_it_began_with(
    s3: Any, bucket: str, name: str
) -> None:
    about = {"Bucket": bucket, "Key": "key"}
    upload = s3.create_multipart_upload(**about, StorageClass=name)["UploadId"]
    assert s3.list_multipart_uploads(Bucket=bucket)["Uploads"][0]["StorageClass"] == name
    assert s3.list_parts(**about, UploadId=upload)["StorageClass"] == name
    part = s3.upload_part(**about, UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(**about, UploadId=upload, MultipartUpload=parts)
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["StorageClass"] == name


def test_a_copy_is_standard_unless_it_says_otherwise(s3: Any, bucket: str) -> None:
    about = {"Bucket": bucket, "Key": "copy", "CopySource": f"{bucket}/key"}
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", StorageClass="STANDARD_IA")
    s3.copy_object(**about)
    assert "StorageClass" not in s3.head_object(Bucket=bucket, Key="copy")
    s3.copy_object(**about, StorageClass="ONEZONE_IA")
    assert s3.head_object(Bucket=bucket, Key="copy")["StorageClass"] == "ONEZONE_IA"


def test_a_copy_onto_itself_may_change_the_class(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    about = {"Bucket": bucket, "Key": "key", "CopySource": f"{bucket}/key"}
    s3.copy_object(**about, StorageClass="STANDARD_IA")
    assert s3.head_object(Bucket=bucket, Key="key")["StorageClass"] == "STANDARD_IA"


@pytest.mark.parametrize("name", [*sorted(set(NAMES) - KEPT), "standard", "ICE"])
@pytest.mark.parametrize("call", ["put", "uploads", "copy"])
def test_another_class_is_refused_and_nothing_is_made(
    wire: WireClient, bucket: str, call: str, name: str
) -> None:
    headers = {"x-amz-storage-class": name}
    wire.send("PUT", f"/{bucket}/source", b"x")
    if call == "copy":
        headers["x-amz-copy-source"] = f"{bucket}/source"
    method, query = ("POST", "?uploads") if call == "uploads" else ("PUT", "")
    answer = wire.send(method, f"/{bucket}/key{query}", b"", headers)
    assert (answer.status, answer.code) == (400, "InvalidStorageClass")
    assert wire.send("GET", f"/{bucket}/key").code == "NoSuchKey"


def test_a_class_that_is_no_word_is_named_in_the_refusal(wire: WireClient, bucket: str) -> None:
    answer = wire.send("PUT", f"/{bucket}/key", b"x", {"x-amz-storage-class": "<&>"})
    assert answer.field("StorageClassRequested") == "<&>"


def test_boto_learns_the_same(s3: Any, bucket: str) -> None:
    call = s3.put_object
    code = refused(call, Bucket=bucket, Key="key", Body=b"", StorageClass="EXPRESS_ONEZONE")
    assert code == "InvalidStorageClass"
