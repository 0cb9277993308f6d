from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.wire.errors import S3Error
from coffre.wire.xml import (
    NAMESPACE,
    boolean,
    document,
    element,
    flag,
    integer,
    leaves,
    optional,
    parse,
    tag,
)

LEGAL = st.text(
    st.characters(codec="utf-8", min_codepoint=32, exclude_characters="\ufffe\uffff")
    | st.sampled_from("\t\n\r")
)
LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE Delete [<!ENTITY a "ha">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><Delete>&b;</Delete>"""
EXTERNAL = b"""<!DOCTYPE Delete [<!ENTITY x SYSTEM "file:///etc/passwd">]><Delete>&x;</Delete>"""


def refusal(body: bytes, limit: int = 1 << 20) -> str:
    with pytest.raises(S3Error) as caught:
        parse(body, "Delete", limit=limit)
    return caught.value.code


@given(LEGAL, st.booleans())
def test_what_is_written_reads_back(text: str, xmlns: bool) -> None:
    root = parse(document("Delete", tag("Key", text), xmlns=xmlns), "Delete")
    assert leaves(root, {"Key"}) == {"Key": text}


@pytest.mark.parametrize(
    "body",
    [
        b"<Delete><Key>a</Key></Delete>",
        f'<Delete xmlns="{NAMESPACE}"><Key>a</Key></Delete>'.encode(),
        f'<s:Delete xmlns:s="{NAMESPACE}"><s:Key>a</s:Key></s:Delete>'.encode(),
        b'\xef\xbb\xbf<?xml version="1.0" encoding="UTF-8"?>\n<Delete><Key>a</Key></Delete>\n',
        b"<Delete><!-- c --><Key><![CDATA[a]]></Key><?p i?></Delete>",
        b"<Delete><Key>&#97;<!-- c --></Key></Delete>",
    ],
)
def test_every_spelling_of_a_document_is_one(body: bytes) -> None:
    assert leaves(parse(body, "Delete"), {"Key"}) == {"Key": "a"}


@pytest.mark.parametrize(
    "body",
    [
        LAUGHS,
        EXTERNAL,
        LAUGHS.decode().encode("utf-16"),
        LAUGHS.decode().encode("utf-16-le"),
        LAUGHS.decode().encode("utf-16-be"),
        LAUGHS.decode().encode("utf-32"),
        b'<?xml version="1.0" encoding="UTF-16"?>' + EXTERNAL.decode().encode("utf-16-le"),
        b'<!DOCTYPE Delete SYSTEM "http://localhost/x.dtd"><Delete/>',
        b"<Delete>&nbsp;</Delete>",
        b"<Delete>",
        b"<Delete/><Delete/>",
        b"Delete",
        b"<Remove/>",
        b'<Delete xmlns="urn:other"/>',
        b"<Delete>\xff</Delete>",
        b"<Delete>\xed\xa0\x80</Delete>",
        b"<Delete>\x01</Delete>",
        b"<Delete>&#x1;</Delete>",
        b"<Delete>\0</Delete>",
        b'<Delete a="1" a="2"/>',
        b"<Delete>" * 1000,
    ],
)
def test_hostile_and_broken_documents_are_malformed(body: bytes) -> None:
    assert refusal(body) == "MalformedXML"


def test_a_body_has_a_size() -> None:
    assert refusal(b"") == refusal(b" \n") == "MissingRequestBodyError"
    assert refusal(b"<Delete>" + b" " * 100 + b"</Delete>", 100) == "MaxMessageLengthExceeded"


@pytest.mark.parametrize(
    "body",
    [
        b"<Delete>" + b"<a/>" * 150_000 + b"</Delete>",
        b"<Delete>" + b"<a>" * 100_000 + b"</a>" * 100_000 + b"</Delete>",
        b"<Delete " + b" ".join(b"a%d='>'" % n for n in range(150_001)) + b"/>",
    ],
)
def test_a_body_has_fewer_tags_and_attributes_than_would_fill_the_memory(body: bytes) -> None:
    assert refusal(body, 1 << 24) == "MalformedXML"


def test_a_document_may_be_deep_without_harm() -> None:
    deep = b"<a>" * 70_000 + b"</a>" * 70_000
    assert len(parse(b"<Delete>" + deep + b"</Delete>", "Delete", limit=1 << 20)) == 1


@given(st.binary())
def test_no_bytes_raise_anything_but_s3_errors(body: bytes) -> None:
    for whole in (body, b"<Delete>" + body + b"</Delete>"):
        try:
            parse(whole, "Delete")
        except S3Error:
            continue


@pytest.mark.parametrize(
    "body",
    [
        b"<Delete><Key/><Key/></Delete>",
        b"<Delete><Other/></Delete>",
        b"<Delete><Key><Key/></Key></Delete>",
        b'<Delete><Key xmlns="urn:other"/></Delete>',
    ],
)
def test_children_are_known_single_and_flat(body: bytes) -> None:
    with pytest.raises(S3Error, match="MalformedXML"):
        leaves(parse(body, "Delete"), {"Key"})


def test_numbers_and_truth_are_read_strictly() -> None:
    assert (integer(" 12\n"), integer("-3")) == (12, -3)
    assert [boolean(text) for text in ("true", " 1", "False", "0")] == [True, True, False, False]
    for text in ("", "1.0", "1e3", "\u0663", "9" * 5000):
        with pytest.raises(S3Error, match="MalformedXML"):
            integer(text)
    with pytest.raises(S3Error, match="MalformedXML"):
        boolean("yes")


def test_answers_are_built_in_the_namespace() -> None:
    body = document("A", element("B", tag("C", "<&>"), tag("N", 3)), optional("D", None))
    assert (
        body
        == (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<A xmlns="{NAMESPACE}">'
            "<B><C>&lt;&amp;&gt;</C><N>3</N></B></A>"
        ).encode()
    )
    assert flag("T", True) + flag("T", False) == "<T>true</T><T>false</T>"
