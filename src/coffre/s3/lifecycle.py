"""A bucket's lifecycle: the three operations on it, and what answers tell of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from coffre.catalog import lifecycle_rules
from coffre.catalog.interface import Reader
from coffre.catalog.lifecycle_mutations import DeleteLifecycle, PutLifecycle
from coffre.catalog.lifecycle_rules import (
    LIFECYCLE,
    Lifecycle,
    Subject,
    deletion,
    judge_upload,
    unpack_lifecycle,
)
from coffre.catalog.records import Bucket, Trait, Version
from coffre.s3 import parameters
from coffre.s3.context import Context
from coffre.s3.response import Header, Response, xml
from coffre.s3.unbuilt import check_expected_owner, refuse_unbuilt
from coffre.wire.dates import http_date
from coffre.wire.errors import S3Error
from coffre.wire.lifecycle import (
    DOCUMENT_LIMIT,
    Rule,
    Transition,
    parse_lifecycle,
    render_lifecycle,
)
from coffre.wire.storage_classes import ARCHIVED

_MINIMUM: Final = b"x-amz-transition-default-minimum-object-size"
_MINIMA: Final = ("all_storage_classes_128K", "varies_by_storage_class")
_LEAST_BYTES: Final = 128 * 1024


async def get_lifecycle(context: Context) -> Response:
    """GetBucketLifecycleConfiguration, and the earlier GetBucketLifecycle."""
    check_expected_owner(context.head, context.bucket)
    found = lifecycle_of(context.reader, context.bucket)
    if found is None:
        raise S3Error("NoSuchLifecycleConfiguration", BucketName=context.bucket.name)
    return xml(found.told, (_MINIMUM, found.minimum_size.encode()))


async def put_lifecycle(context: Context) -> Response:
    """PutBucketLifecycleConfiguration, and the earlier PutBucketLifecycle."""
    refuse_unbuilt(context.head)
    check_expected_owner(context.head, context.bucket)
    minimum = context.head.header(_MINIMUM) or _MINIMA[0]
    if minimum not in _MINIMA:
        raise parameters.invalid(
            _MINIMUM.decode(), minimum, "Unsupported transition default minimum object size"
        )
    body = await context.body.document(DOCUMENT_LIMIT, must_declare=True)
    rules = [
        rule if rule.id else replace(rule, id=context.new_id().hex())
        for rule in parse_lifecycle(body)
    ]
    _refuse_transitions(context, rules)
    await context.committer.commit(PutLifecycle(context.bucket.id, kept(rules, minimum)))
    return Response(200, [(_MINIMUM, minimum.encode())])


async def delete_lifecycle(context: Context) -> Response:
    """DeleteBucketLifecycle: none to delete is no error."""
    check_expected_owner(context.head, context.bucket)
    await context.committer.commit(DeleteLifecycle(context.bucket.id))
    return Response(204)


def _refuse_transitions(context: Context, rules: Iterable[Rule]) -> None:
    """The published service archives nothing (profile `spec`)."""
    moves = any(rule.transitions or rule.noncurrent_transitions for rule in rules)
    if moves and context.store.profile == "spec":
        raise S3Error("NotImplemented", "Transitions are not supported by the service")


def kept(rules: Iterable[Rule], minimum_size: str = _MINIMA[0]) -> Lifecycle:
    """Rules as the catalog keeps them, each with an id."""
    rules = tuple(rules)
    acting = tuple(_acting(rule, minimum_size) for rule in rules)
    return Lifecycle(acting, render_lifecycle(rules), minimum_size)


def _acting(rule: Rule, minimum_size: str) -> lifecycle_rules.Rule:
    return lifecycle_rules.Rule(
        id=rule.id,
        enabled=rule.enabled,
        prefix=(rule.prefix or "").encode(),
        tags=dict(rule.tags),
        larger=rule.larger,
        smaller=rule.smaller,
        days=rule.days,
        date_ms=rule.date_ms,
        expired_marker=bool(rule.expired_marker),
        noncurrent_days=rule.noncurrent_days,
        newer_noncurrent=rule.newer_noncurrent or 0,
        abort_days=rule.abort_days,
        moves=tuple(_move(rule, one, minimum_size) for one in rule.transitions),
        noncurrent_moves=tuple(
            _move(rule, one, minimum_size) for one in rule.noncurrent_transitions
        ),
    )


def _move(rule: Rule, said: Transition, minimum_size: str) -> lifecycle_rules.Move:
    """A transition with the size that it leaves alone: a rule that says sizes says all of them."""
    sized = (rule.larger, rule.smaller) != (None, None)
    any_size = sized or (minimum_size == _MINIMA[1] and said.storage_class in ARCHIVED)
    least = 0 if any_size else _LEAST_BYTES
    return lifecycle_rules.Move(said.storage_class, said.days, said.date_ms, said.newer or 0, least)


def lifecycle_of(reader: Reader, bucket: Bucket) -> Lifecycle | None:
    """The lifecycle that a bucket has."""
    if not bucket.traits & Trait.LIFECYCLE:
        return None
    packed = reader.bucket_document(bucket.id, LIFECYCLE)
    return None if packed is None else unpack_lifecycle(packed)


def expiration_of(context: Context, version: Version) -> tuple[Header, ...]:
    """`x-amz-expiration` of a version that is read: of the current one alone."""
    if not version.latest:
        return ()
    return expiration(context, version.tags, version.size, version.modified_ms)


def expiration(
    context: Context, tags: Mapping[str, str], size: int, modified_ms: int
) -> tuple[Header, ...]:
    """`x-amz-expiration` of the key's current object: when which rule lets it expire."""
    found = lifecycle_of(context.reader, context.bucket)
    if found is None:
        return ()
    subject = Subject(context.key, dict(tags), size, False, modified_ms, True, None, 0, False)
    verdict = deletion(found.rules, subject)
    if verdict is None:
        return ()
    date, rule_id = http_date(verdict.due_ms), quote(verdict.rule.id, safe="")
    return ((b"x-amz-expiration", f'expiry-date="{date}", rule-id="{rule_id}"'.encode()),)


def abortion(context: Context, initiated_ms: int) -> tuple[Header, ...]:
    """`x-amz-abort-date` and the id of its rule, of an upload of the key."""
    found = lifecycle_of(context.reader, context.bucket)
    verdict = found and judge_upload(found.rules, context.key, initiated_ms)
    if not verdict:
        return ()
    return (
        (b"x-amz-abort-date", http_date(verdict.due_ms).encode()),
        (b"x-amz-abort-rule-id", quote(verdict.rule.id, safe="").encode()),
    )
