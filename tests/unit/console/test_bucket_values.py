"""What the API says of a bucket's documents in JSON is what S3's documents say, there and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.console.api import bucket_documents as documents
from coffre.console.api.lifecycle_document import (
    Lifecycle,
    LifecycleRule,
    Transition,
    read_lifecycle,
    write_lifecycle,
)
from coffre.console.api.xml_values import read_xml, write_xml
from coffre.wire.errors import S3Error

# What an XML document can say. A carriage return is read as a line feed (XML 1.0, 2.11).
TEXTS = st.text(
    st.characters(min_codepoint=32, exclude_categories=["Cs"], exclude_characters="\ufffe\uffff"),
    min_size=1,
    max_size=20,
)
TAGS = st.lists(st.builds(documents.Tag, TEXTS, TEXTS), max_size=3)
RULES = st.builds(
    documents.CorsRule,
    st.lists(TEXTS, min_size=1, max_size=3),
    st.lists(st.sampled_from(["GET", "PUT"]), min_size=1, max_size=2),
    max_age_seconds=st.none() | st.integers(0, 10**6),
    id=st.none() | TEXTS,
)


@given(st.builds(documents.Tags, TAGS))
def test_tags(value: documents.Tags) -> None:
    assert read_xml(documents.Tags, write_xml(value, "Tagging"), "Tagging") == value


@given(st.builds(documents.Cors, st.lists(RULES, max_size=3)))
def test_cors(value: documents.Cors) -> None:
    written = write_xml(value, "CORSConfiguration")
    assert read_xml(documents.Cors, written, "CORSConfiguration") == value


@pytest.mark.parametrize(
    ("value", "root"),
    [
        (documents.Versioning("Suspended"), "VersioningConfiguration"),
        (
            documents.Encryption("aws:kms", "alias/mine", True),
            "ServerSideEncryptionConfiguration",
        ),
        (documents.PublicAccess(True, False, True, False), "PublicAccessBlockConfiguration"),
        (documents.ObjectOwnership("BucketOwnerEnforced"), "OwnershipControls"),
        (documents.LockDefault("Enabled", "COMPLIANCE", None, 2), "ObjectLockConfiguration"),
        (documents.Logging("logs", "l/"), "BucketLoggingStatus"),
        (
            documents.Website(
                "index.html",
                None,
                None,
                [
                    documents.RoutingRule(
                        documents.Redirect(replace_key_with="x"),
                        documents.RoutingCondition(key_prefix_equals="y/"),
                    )
                ],
            ),
            "WebsiteConfiguration",
        ),
        (
            documents.Notifications(
                [
                    documents.Notification(
                        "arn:x", ["s3:ObjectCreated:*"], "n", [documents.FilterRule("prefix", "a")]
                    )
                ],
                [documents.TopicNotification("arn:y", ["s3:ObjectRemoved:*"])],
            ),
            "NotificationConfiguration",
        ),
    ],
)
def test_each_document(value: Any, root: str) -> None:
    assert read_xml(type(value), write_xml(value, root), root) == value


def test_what_xml_cannot_say_is_refused() -> None:
    for text in ("\x00", "bell\x07", "\ud800"):
        with pytest.raises(S3Error):
            write_xml(documents.Tags([documents.Tag(text)]), "Tagging")


def test_a_lifecycle_without_rules_is_no_document() -> None:
    assert write_lifecycle(Lifecycle()) is None


def test_a_lifecycle() -> None:
    day = 24 * 3600 * 1000
    rules = [
        LifecycleRule("days", prefix="", expire_days=30, newer_versions_kept=3, noncurrent_days=2),
        LifecycleRule("date", enabled=False, prefix="p/", expire_date_ms=20_000 * day),
        LifecycleRule(
            "moves",
            tags=[documents.Tag("a", "b"), documents.Tag("c", "")],
            larger_than=5,
            smaller_than=50,
            transitions=[Transition("GLACIER", 10)],
            noncurrent_transitions=[Transition("DEEP_ARCHIVE", 90, None, 2)],
        ),
        LifecycleRule("uploads", prefix="", abort_uploads_days=7, remove_lone_markers=True),
    ]
    written = write_lifecycle(Lifecycle(rules))
    assert written is not None
    assert read_lifecycle(written).rules == rules
