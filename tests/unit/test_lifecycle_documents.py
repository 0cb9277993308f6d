"""Lifecycle documents: what was rendered is parsed to the same, and anything else is refused."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from coffre.wire.errors import S3Error
from coffre.wire.lifecycle import Rule, Transition, parse_lifecycle, render_lifecycle

DAY_MS = 24 * 3600 * 1000
WORDS = st.text(st.characters(categories=["L", "N"]), max_size=9)
TAGS = st.dictionaries(WORDS.filter(bool), WORDS, max_size=4)
EXPIRATIONS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.builds(dict, days=st.integers(50, 1 << 20)),
    st.builds(dict, date_ms=st.integers(0, 1 << 14).map(lambda day: day * DAY_MS)),
)
MOVES = st.builds(Transition, st.sampled_from(["GLACIER", "STANDARD_IA"]), st.integers(30, 49))


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    about: dict[str, Any] = {"prefix": draw(WORDS), "bare": True}
    if draw(st.booleans()):
        sizes = sorted(draw(st.sets(st.integers(0, 99), min_size=2, max_size=2)))
        about = {
            "prefix": draw(st.none() | WORDS),
            "tags": tuple(draw(TAGS).items()),
            "larger": draw(st.none() | st.just(sizes[0])),
            "smaller": draw(st.none() | st.just(sizes[1])),
        }
    expiration = draw(EXPIRATIONS)
    noncurrent = draw(st.none() | st.integers(1, 99))
    return Rule(
        id=draw(st.uuids()).hex,
        enabled=draw(st.booleans()),
        **about,
        **expiration,
        noncurrent_days=noncurrent,
        newer_noncurrent=draw(st.none() | st.integers(1, 100)) if noncurrent else None,
        transitions=tuple(draw(st.lists(MOVES, max_size=1))) if "days" in expiration else (),
    )


@given(st.lists(rules(), min_size=1, max_size=5).map(tuple))
def test_what_is_told_is_what_was_put(kept: tuple[Rule, ...]) -> None:
    assert parse_lifecycle(render_lifecycle(kept)) == kept


NAMES = (
    *("Rule", "ID", "Status", "Filter", "Prefix", "And", "Tag", "Key", "Value", "Expiration"),
    *("Days", "Date", "ExpiredObjectDeleteMarker", "NoncurrentVersionExpiration", "Transition"),
    *("NoncurrentDays", "NewerNoncurrentVersions", "ObjectSizeLessThan", "StorageClass"),
)
TEXTS = st.sampled_from(["", "1", "-1", "Enabled", "true", "2031-01-01", "9" * 30, "GLACIER"])
TREES = st.recursive(
    st.builds("<{0}>{1}</{0}>".format, st.sampled_from(NAMES), TEXTS),
    lambda inner: st.builds(
        lambda name, children: f"<{name}>{''.join(children)}</{name}>",
        st.sampled_from(NAMES),
        st.lists(inner, max_size=4),
    ),
    max_leaves=15,
)


@given(st.lists(TREES, max_size=3))
def test_any_document_is_parsed_or_refused(inner: list[str]) -> None:
    rule = f"<Status>Enabled</Status><Prefix/>{''.join(inner)}"
    for children in ("".join(inner), f"<Rule>{rule}</Rule>"):
        body = f"<LifecycleConfiguration>{children}</LifecycleConfiguration>".encode()
        try:
            found = parse_lifecycle(body)
        except S3Error:
            continue
        assert parse_lifecycle(render_lifecycle(found)) == found
