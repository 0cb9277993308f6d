"""POST Object: what a browser form uploads under a policy that somebody else has signed.

Sources: AWS "POST Object" and "Browser-Based Uploads Using POST". The file goes the way of every
PutObject; what is special is before (fields, policy) and behind (redirect, status).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

from coffre.s3.context import Context
from coffre.s3.form_body import FormBody
from coffre.s3.object_write import write_object
from coffre.s3.response import XML, Response
from coffre.wire.documents import render_post
from coffre.wire.errors import S3Error
from coffre.wire.names import check_key
from coffre.wire.request import RequestHead
from coffre.wire.tags import OBJECT_TAGS, parse_tagging

# Fields that mean the header of the same name, beside the x-amz- ones.
_HEADERS: Final = frozenset(
    {
        *("cache-control", "content-disposition", "content-encoding", "content-language"),
        *("content-type", "expires"),
    }
)
_NO_HEADERS: Final = frozenset(
    {
        *("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"),
        "x-amz-security-token",
    }
)
_URL: Final = re.compile(r"https?://[^/?#\s]+[^\s\x00-\x1f\x7f]*", re.IGNORECASE)


def read_form(sent: RequestHead, fields: Mapping[str, str]) -> tuple[bytes, RequestHead]:
    """The key, and the head that a PutObject would have which says the same as the form.

    Raises UserKeyMustBeSpecified, and as `names.check_key`.
    """
    if not fields.get("key"):
        raise S3Error("UserKeyMustBeSpecified", ArgumentName="key", ArgumentValue="")
    key = fields["key"].encode()
    check_key(key)
    headers = [
        (name.encode(), text.encode())
        for name, text in fields.items()
        if name in _HEADERS or (name.startswith("x-amz-") and name not in _NO_HEADERS)
    ]
    if "acl" in fields:
        headers.append((b"x-amz-acl", fields["acl"].encode()))
    if fields.get("tagging", "").strip():
        headers.append((b"x-amz-tagging", _tags(fields["tagging"]).encode()))
    kept = [header for header in sent.headers if header[0] in (b"host", b"origin")]
    head = RequestHead(
        sent.method,
        sent.raw_path,
        sent.raw_query,
        (*kept, *headers),
        scheme=sent.scheme,
        client=sent.client,
    )
    return key, head


async def post_object(context: Context) -> Response:
    """PostObject."""
    form = context.body
    assert isinstance(form, FormBody), "the table says which operation comes as a form"
    policy, limit = form.policy, context.limits.put_bytes
    most = limit if policy.most is None else min(policy.most, limit)
    done, told = await write_object(context, most, least=policy.least)
    location = f"{context.bucket_url}/{quote(context.key, safe='/-_.~')}"
    redirect = _redirect(form.fields, context.bucket.name, context.key, done.etag)
    if redirect is not None:
        return Response(303, [*told, (b"location", redirect)])
    told.append((b"location", location.encode()))
    status = form.fields.get("success_action_status")
    if status == "201":
        body = render_post(location, context.bucket.name, context.key, done.etag)
        return Response(201, [*told, XML], body)
    return Response(200 if status == "200" else 204, told)


def _redirect(fields: Mapping[str, str], bucket: str, key: bytes, etag: str) -> bytes | None:
    """Where the form sends its browser next; None where it does not, or to what is no URL."""
    url = fields.get("success_action_redirect", fields.get("redirect", ""))
    if not _URL.fullmatch(url):
        return None
    told = urlencode({"bucket": bucket, "key": key, "etag": f'"{etag}"'}, quote_via=quote, safe="")
    base, mark, fragment = url.partition("#")
    joint = "&" if "?" in base else "?"
    return quote(f"{base}{joint}{told}{mark}{fragment}", safe="!#$%&'()*+,/:;=?@[]~").encode()


def _tags(text: str) -> str:
    """The `tagging` field (a Tagging document) as `x-amz-tagging` has it."""
    return urlencode(parse_tagging(text.encode(), OBJECT_TAGS))
