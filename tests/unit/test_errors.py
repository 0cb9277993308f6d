from __future__ import annotations

from xml.etree import ElementTree

import pytest
from botocore.parsers import create_parser
from hypothesis import given
from hypothesis import strategies as st

from coffre.wire.errors import CATALOGUE, S3Error, error_xml


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_every_error_has_a_status_of_its_kind_and_words(code: str) -> None:
    error = S3Error(code)
    assert error.status in {301, 304, 307} or 400 <= error.status <= 599
    assert error.message.strip() == error.message != ""


def test_the_statuses_that_clients_act_on_are_those_of_aws() -> None:
    expected = {
        "NoSuchKey": 404,
        "NotModified": 304,
        "PreconditionFailed": 412,
        "InvalidRange": 416,
        "MissingContentLength": 411,
        "BucketNotEmpty": 409,
        "SlowDown": 503,
        "InsufficientStorage": 507,
        "SignatureDoesNotMatch": 403,
        "RequestTimeout": 400,
        "NotImplemented": 501,
    }
    assert {code: CATALOGUE[code][0] for code in expected} == expected


def test_an_unknown_code_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        S3Error("NoSuchCode")


def test_an_error_body_says_what_and_where_in_order() -> None:
    error = S3Error("NoSuchBucket", BucketName="photos")
    assert error_xml(error, "/photos/a", "R1", "H1") == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchBucket</Code>'
        b"<Message>The specified bucket does not exist</Message><BucketName>photos</BucketName>"
        b"<Resource>/photos/a</Resource><RequestId>R1</RequestId><HostId>H1</HostId></Error>"
    )


def test_botocore_reads_code_message_and_fields() -> None:
    body = error_xml(S3Error("AuthorizationHeaderMalformed", Region="fr1"), "/b", "R1", "H1")
    response = {"status_code": 400, "headers": {}, "body": body}
    parsed = create_parser("rest-xml").parse(response, None)
    assert parsed["Error"]["Code"] == "AuthorizationHeaderMalformed"
    assert parsed["Error"]["Region"] == "fr1"


@given(st.text())
def test_no_resource_breaks_out_of_the_document(resource: str) -> None:
    body = error_xml(S3Error("AccessDenied"), resource, "R", "H").decode()
    inner = body.split("<Resource>")[1].split("</Resource>")[0] if resource else ""
    assert not set(inner) & set("<>\"'")
    assert all(character >= " " for character in inner)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])).filter(bool))
def test_legal_text_survives_the_trip(resource: str) -> None:
    if "\ufffe" in resource or "\uffff" in resource:
        return
    root = ElementTree.fromstring(error_xml(S3Error("AccessDenied"), resource, "R", "H"))
    assert root.findtext("Resource") == resource


def test_a_control_character_goes_out_as_a_reference_as_on_aws() -> None:
    body = error_xml(S3Error("NoSuchKey", Key="a\x01b\r\x1f"), "", "R", "H")
    assert b"<Key>a&#x1;b&#xD;&#x1F;</Key>" in body
