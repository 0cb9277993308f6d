from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

from botocore.parsers import create_parser
from botocore.session import get_session
from hypothesis import given
from hypothesis import strategies as st

from coffre.wire import listings
from coffre.wire.documents import Owner

OWNER = Owner("id-1", "Ann")
WHO = {"ID": "id-1", "DisplayName": "Ann"}
NOW = 1_255_369_830_123
SERVICE = get_session().get_service_model("s3")
LEGAL = st.text(
    st.characters(codec="utf-8", min_codepoint=32, exclude_characters="\ufffe\uffff"), min_size=1
)


def answer(operation: str, body: bytes) -> dict[str, Any]:
    shape = SERVICE.operation_model(operation).output_shape
    parsed = create_parser("rest-xml").parse(
        {"status_code": 200, "headers": {}, "body": body}, shape
    )
    parsed.pop("ResponseMetadata")
    return dict(parsed)


def stamp(value: Any) -> int:
    return int(value.timestamp() * 1000)


def page(**changes: Any) -> listings.ObjectPage:
    whole: dict[str, Any] = {
        "bucket": "b",
        "objects": [listings.ListedObject(b"foo+1/ \xc3\xa9", NOW, "abc", 5)],
        "common_prefixes": [b"p +/"],
        "max_keys": 1000,
        "truncated": True,
        "prefix": b"a b",
        "delimiter": b"/",
    }
    return listings.ObjectPage(**(whole | changes))


def test_buckets_are_listed_with_their_owner() -> None:
    body = listings.render_buckets(
        listings.BucketPage(OWNER, [listings.ListedBucket("b", NOW, "fr1")], "p", "next")
    )
    told = answer("ListBuckets", body)
    assert stamp(told["Buckets"][0].pop("CreationDate")) == NOW
    assert told == {
        "Owner": WHO,
        "Buckets": [{"Name": "b", "BucketRegion": "fr1"}],
        "Prefix": "p",
        "ContinuationToken": "next",
    }
    assert b"Marker" not in body


def test_no_buckets_are_an_empty_list() -> None:
    told = answer("ListBuckets", listings.render_buckets(listings.BucketPage(OWNER, [])))
    assert told == {"Owner": WHO, "Buckets": []}


def test_buckets_page_by_marker_where_the_client_asks_so() -> None:
    body = listings.render_buckets(
        listings.BucketPage(OWNER, [], marker="a", next_marker="c", max_keys=2, truncated=True)
    )
    assert (
        b"<Marker>a</Marker><NextMarker>c</NextMarker><MaxKeys>2</MaxKeys>"
        b"<IsTruncated>true</IsTruncated>"
    ) in body


def test_version_one_reads_back_whole() -> None:
    one = listings.ListedObject(b"k", NOW, "abc", 5, "STANDARD", OWNER, "CRC32", "FULL_OBJECT")
    told = answer(
        "ListObjects", listings.render_list_v1(page(objects=[one]), marker=b"m", next_marker=b"n")
    )
    assert stamp(told["Contents"][0].pop("LastModified")) == NOW // 1000 * 1000
    assert told == {
        "Name": "b",
        "Prefix": "a b",
        "Marker": "m",
        "NextMarker": "n",
        "MaxKeys": 1000,
        "Delimiter": "/",
        "IsTruncated": True,
        "Contents": [
            {
                "Key": "k",
                "ETag": '"abc"',
                "Size": 5,
                "StorageClass": "STANDARD",
                "Owner": WHO,
                "ChecksumAlgorithm": ["CRC32"],
                "ChecksumType": "FULL_OBJECT",
            }
        ],
        "CommonPrefixes": [{"Prefix": "p +/"}],
    }


def test_version_two_reads_back_whole() -> None:
    body = listings.render_list_v2(
        page(truncated=False),
        start_after=b"s",
        continuation_token="",
        next_continuation_token="t",
    )
    told = answer("ListObjectsV2", body)
    assert b"<ContinuationToken></ContinuationToken>" in body
    assert told.pop("Contents")[0]["Key"] == "foo+1/ é"
    assert told == {
        "Name": "b",
        "Prefix": "a b",
        "StartAfter": "s",
        "ContinuationToken": "",
        "NextContinuationToken": "t",
        "KeyCount": 2,
        "MaxKeys": 1000,
        "Delimiter": "/",
        "IsTruncated": False,
        "CommonPrefixes": [{"Prefix": "p +/"}],
    }


def test_url_encoding_covers_every_name_and_no_token() -> None:
    one = listings.render_list_v1(
        page(encoding_type="url", delimiter=b"+ "), marker=b"m +", next_marker=b"n/ "
    )
    for piece in (
        b"<Key>foo%2B1/%20%C3%A9</Key>",
        b"<Prefix>a%20b</Prefix>",
        b"<Delimiter>%2B%20</Delimiter>",
        b"<Marker>m%20%2B</Marker>",
        b"<NextMarker>n/%20</NextMarker>",
        b"<CommonPrefixes><Prefix>p%20%2B/</Prefix></CommonPrefixes>",
        b"<EncodingType>url</EncodingType>",
    ):
        assert piece in one
    two = listings.render_list_v2(page(encoding_type="url"), start_after=b"s ")
    assert b"<StartAfter>s%20</StartAfter>" in two


@given(st.lists(st.binary(min_size=1), max_size=5))
def test_any_bytes_come_through_url_encoding(keys: list[bytes]) -> None:
    objects = [listings.ListedObject(key, NOW, "abc", 5) for key in keys]
    told = answer(
        "ListObjectsV2", listings.render_list_v2(page(objects=objects, encoding_type="url"))
    )
    found = [unquote_to_bytes(one["Key"]) for one in told.get("Contents", [])]
    assert found == keys


@given(st.lists(LEGAL, max_size=5))
def test_any_legal_text_comes_through_plain(keys: list[str]) -> None:
    objects = [listings.ListedObject(key.encode(), NOW, "abc", 5) for key in keys]
    told = answer("ListObjects", listings.render_list_v1(page(objects=objects)))
    assert [one["Key"] for one in told.get("Contents", [])] == keys


def test_control_characters_go_out_as_references_in_a_plain_listing() -> None:
    objects = [listings.ListedObject(b"a\x01\n", NOW, "abc", 5)]
    assert b"<Key>a&#x1;&#xA;</Key>" in listings.render_list_v1(page(objects=objects))


def test_uploads_read_back_whole() -> None:
    upload = listings.ListedUpload(b"k +", "u1", NOW, OWNER, OWNER, "STANDARD", "SHA1", "COMPOSITE")
    body = listings.render_uploads(
        listings.UploadPage(
            bucket="b",
            uploads=[upload],
            common_prefixes=[b"p/"],
            max_uploads=10,
            truncated=True,
            key_marker=b"a +",
            upload_id_marker="u0",
            next_key_marker=b"k +",
            next_upload_id_marker="u1",
            prefix=b"k ",
            delimiter=b"/",
            encoding_type="url",
        )
    )
    told = answer("ListMultipartUploads", body)
    assert stamp(told["Uploads"][0].pop("Initiated")) == NOW
    assert told == {
        "Bucket": "b",
        "KeyMarker": "a%20%2B",
        "UploadIdMarker": "u0",
        "NextKeyMarker": "k%20%2B",
        "NextUploadIdMarker": "u1",
        "Prefix": "k%20",
        "Delimiter": "/",
        "EncodingType": "url",
        "MaxUploads": 10,
        "IsTruncated": True,
        "Uploads": [
            {
                "Key": "k%20%2B",
                "UploadId": "u1",
                "Initiator": WHO,
                "Owner": WHO,
                "StorageClass": "STANDARD",
                "ChecksumAlgorithm": "SHA1",
                "ChecksumType": "COMPOSITE",
            }
        ],
        "CommonPrefixes": [{"Prefix": "p/"}],
    }


def test_parts_read_back_whole() -> None:
    body = listings.render_parts(
        listings.PartPage(
            bucket="b",
            key=b"k",
            upload_id="u1",
            owner=OWNER,
            initiator=OWNER,
            parts=[listings.ListedPart(3, NOW, "abc", 5, {"CRC32": "AAAAAA=="})],
            max_parts=1,
            truncated=True,
            marker=2,
            next_marker=3,
            checksum_algorithm="CRC32",
            checksum_type="COMPOSITE",
        )
    )
    told = answer("ListParts", body)
    assert stamp(told["Parts"][0].pop("LastModified")) == NOW // 1000 * 1000
    assert told == {
        "Bucket": "b",
        "Key": "k",
        "UploadId": "u1",
        "Initiator": WHO,
        "Owner": WHO,
        "StorageClass": "STANDARD",
        "PartNumberMarker": 2,
        "NextPartNumberMarker": 3,
        "MaxParts": 1,
        "IsTruncated": True,
        "ChecksumAlgorithm": "CRC32",
        "ChecksumType": "COMPOSITE",
        "Parts": [
            {"PartNumber": 3, "ETag": '"abc"', "Size": 5, "ChecksumCRC32": "AAAAAA=="},
        ],
    }
