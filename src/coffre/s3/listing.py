"""ListObjects and ListObjectsV2: pages of current objects, in the bucket's order."""

from __future__ import annotations

from coffre.catalog.records import Listed, Listing
from coffre.s3 import archive, ecs_rules, parameters
from coffre.s3.context import Context
from coffre.s3.response import Response, xml
from coffre.s3.unbuilt import check_expected_owner
from coffre.wire import tokens
from coffre.wire.documents import Owner
from coffre.wire.listings import ListedObject, ObjectPage, render_list_v1, render_list_v2
from coffre.wire.restore import wants_restore_status

_KIND = "list-objects"
_NOTHING = Listing((), (), False)


async def list_objects(context: Context) -> Response:
    """ListObjects (version 1)."""
    marker = parameters.raw(context.head, "marker") or b""
    page, found = _page(context, marker, with_owner=True)
    resumes = found.next_after if found.truncated and page.delimiter is not None else None
    return xml(render_list_v1(page, marker, resumes), _region(context))


async def list_objects_v2(context: Context) -> Response:
    """ListObjectsV2. A token, which says where the page before ended, beats `start-after`."""
    head = context.head
    token = head.query.get("continuation-token")
    start_after = parameters.raw(head, "start-after")
    after = tokens.decode(_KIND, token) if token else start_after or b""
    with_owner = head.query.get("fetch-owner", "").lower() == "true"
    page, found = _page(context, after, with_owner=with_owner)
    body = render_list_v2(
        page,
        start_after=start_after,
        continuation_token=token,
        next_continuation_token=(
            tokens.encode(_KIND, found.next_after) if found.truncated else None
        ),
    )
    return xml(body, _region(context))


def _page(context: Context, after: bytes, *, with_owner: bool) -> tuple[ObjectPage, Listing]:
    head, bucket = context.head, context.bucket
    check_expected_owner(head, bucket)
    most = parameters.count(head, "max-keys", context.limits.page)
    prefix = parameters.raw(head, "prefix") or b""
    delimiter = parameters.raw(head, "delimiter") or b""
    encoding = parameters.encoding_type(head)
    ecs_rules.check_listing(bucket, prefix, delimiter, after)
    found = _NOTHING
    if most:
        found = context.reader.list_current(
            bucket, prefix=prefix, delimiter=delimiter, after=after, limit=most
        )
    owners = _Owners(with_owner, with_status=wants_restore_status(head))
    page = ObjectPage(
        bucket=bucket.name,
        objects=[owners.listed(one) for one in found.objects],
        common_prefixes=found.common_prefixes,
        max_keys=most,
        truncated=found.truncated,
        prefix=prefix,
        delimiter=delimiter or None,
        encoding_type=encoding,
    )
    return page, found


class _Owners:
    """Entries of a page; the few owners in it are made once."""

    def __init__(self, shown: bool, *, with_status: bool) -> None:
        self._shown = shown
        self._with_status = with_status
        self._owners: dict[str, Owner] = {}

    def listed(self, one: Listed) -> ListedObject:
        owner = None
        if self._shown:
            owner = self._owners.get(one.owner_id)
            if owner is None:
                owner = self._owners[one.owner_id] = Owner(one.owner_id, one.owner_label)
        checksum = one.checksum
        return ListedObject(
            one.key,
            one.modified_ms,
            one.etag,
            one.size,
            one.storage_class,
            owner,
            None if checksum is None else checksum.algorithm,
            None if checksum is None else checksum.type,
            archive.status_of(one) if self._with_status else "",
        )


def _region(context: Context) -> tuple[bytes, bytes]:
    return (b"x-amz-bucket-region", context.bucket.region.encode())
