"""The Files tab: folders, files, their versions, and one file with all that is known of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from coffre.console.bucket_objects import Entry, Facts, Page, S3Refused
from coffre.console.i18n import N_
from coffre.console.links import TIMES_S
from coffre.console.names import in_query
from coffre.console.pages.file_place import Chosen, folder_of, last_part, unquoted
from coffre.console.pages.file_tab import Tab, is_text
from coffre.console.pages.form import Form

PAGE: Final = 100
VERSIONS: Final = 100
TEXT_BYTES: Final = 64 * 1024
IMAGES: Final = {
    *("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"),
    *("image/svg+xml", "image/x-icon", "image/vnd.microsoft.icon"),
}
PDF: Final = "application/pdf"
_ARCHIVED: Final = ("GLACIER", "DEEP_ARCHIVE")
# What text has of control characters: tab, line feed, form feed, carriage return, escape.
_NO_TEXT: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
_NOTHING: Final = Page([], [], {})


async def show_folder(tab: Tab) -> Response:
    """A page of a folder's names."""
    asked = tab.asked
    folder = unquoted(asked["in"]) if "in" in asked else asked.get("folder", "")
    start, versions = asked.get("q", ""), "versions" in asked
    where = {name: asked[name] for name in ("after", "version") if asked.get(name)}
    refusal, page = "", _NOTHING
    try:
        read = tab.objects.versions if versions else tab.objects.page
        page = await read(folder + start, where, PAGE)
    except S3Refused as refused:
        refusal = tab.refusal(refused)
    if not versions and not start:
        # The empty object that stands for the folder itself.
        page = Page(
            page.folders, [one for one in page.entries if one.key != folder], page.following
        )
    may_write = tab.may_write and is_text(folder)
    kept = {"q": start, "versions": "yes" if versions else ""}
    return await tab.render(
        "files/list.html",
        **tab.addresses.values(),
        page=page,
        refusal=refusal,
        folder=folder,
        folder_value=in_query(folder),
        folder_name=last_part(folder) if folder else "",
        path=tab.addresses.path(tab.bucket["name"], folder, versions=kept["versions"]),
        query=start,
        versions=versions,
        has_versions=tab.has_versions,
        toggled=tab.addresses.folder(folder, q=start, versions="" if versions else "yes"),
        first_page=tab.addresses.folder(folder, **kept),
        following=tab.addresses.folder(folder, **kept, **page.following) if page.following else "",
        later=bool(where),
        chosen_value=lambda one: Chosen(one.key, one.version if versions else "").value,
        may_write=may_write,
        upload=_upload(tab, folder) if may_write else {},
    )


def _upload(tab: Tab, folder: str) -> dict[str, Any]:
    """What the page's script needs to know, in the reader's language."""
    said = tab.said
    return {
        "token": tab.csrf,
        "at": tab.addresses.files_at,
        "prefix": folder,
        "limit": tab.upload_limit,
        "endpoint": tab.endpoint,
        "bucket": tab.bucket["name"],
        "words": {
            "units": said.units,
            "waiting": said(N_("Waiting")),
            "done": said(N_("Uploaded")),
            "cancelled": said(N_("Cancelled")),
            "failed": said(N_("Failed")),
            "broke": said(N_("The connection broke.")),
            "there": said(N_("A file of this name is there. To upload is to replace it.")),
            "sent": said(N_("{sent} of {size}")),
            "large": said(N_("{size} is more than the {limit} a file that this page takes.")),
            "totals": said(N_("{done} of {all} files, {sent} of {bytes}")),
            "totals_wrong": said(
                N_("{done} of {all} files, {sent} of {bytes}; {wrong} need your attention")
            ),
        },
    }


async def show_object(
    tab: Tab, named: Chosen, form: Form | None = None, link: Mapping[str, Any] | None = None
) -> Response:
    """One object, or one version of it: what is known of it, its beginning, what may be done."""
    try:
        facts = await tab.objects.head(*named)
        tags = await tab.objects.tags(*named) if facts.tags else {}
        versions = []
        if tab.has_versions:
            versions = await tab.objects.versions_of(named.key, VERSIONS)
    except S3Refused as refused:
        raise tab.problem(refused) from None
    preview, beginning = await _preview(tab, named, facts)
    folder = folder_of(named.key)
    return await tab.render(
        "files/object.html",
        **tab.addresses.values(),
        name=named.key[len(folder) :],
        path=tab.addresses.path(tab.bucket["name"], folder),
        facts=facts,
        tags=tags,
        versions=versions,
        current=_is_current(named, versions),
        this_query=tab.addresses.object_query(Entry(named.key, 0, version=named.version), True),
        this_value=named.value,
        preview=preview,
        beginning=beginning,
        cut=facts.size > TEXT_BYTES,
        form=form,
        link=link,
        share_methods=_purposes(tab, named),
        share_times=[(one, tab.said.duration(one)) for one in TIMES_S],
    )


def _purposes(tab: Tab, named: Chosen) -> list[tuple[str, str]]:
    purposes = [("GET", tab.said(N_("Downloads this file")))]
    if tab.may_write and not named.version:
        purposes.append(("PUT", tab.said(N_("Uploads a file in its place"))))
    return purposes


def _is_current(named: Chosen, versions: list[Entry]) -> bool:
    return not named.version or any(one.latest and one.version == named.version for one in versions)


async def _preview(tab: Tab, named: Chosen, facts: Facts) -> tuple[str, str]:
    """How an object is previewed, and its text where it is one."""
    if not facts.size:
        return "empty", ""
    if facts.storage_class in _ARCHIVED and "expiry-date" not in facts.restore:
        return "archived", ""
    kind = facts.type.partition(";")[0].strip().lower()
    if "content-encoding" in facts.kept:
        return "none", ""
    if kind in IMAGES:
        return "image", ""
    if kind == PDF:
        return "pdf", ""
    try:
        beginning = await tab.objects.beginning(*named, TEXT_BYTES)
    except S3Refused:
        return "none", ""
    text = readable(beginning)
    return ("none", "") if text is None else ("text", text)


def readable(beginning: bytes) -> str | None:
    """The bytes as text, if they are that; a character cut off at the end does not count."""
    try:
        text = beginning.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data":
            return None
        text = beginning[: error.start].decode("utf-8-sig")
    return None if _NO_TEXT.search(text) else text
