"""What the Files tab changes: folders made, files deleted, versions brought back, links given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from starlette.responses import Response

from coffre.console.api.problem import Problem
from coffre.console.bucket_objects import Failure, S3Refused
from coffre.console.i18n import N_
from coffre.console.links import TIMES_S, Purpose, drawing
from coffre.console.names import file_name, in_query, seen
from coffre.console.pages.file_place import Chosen, chosen, folder_of, unquoted
from coffre.console.pages.file_tab import Tab
from coffre.console.pages.files import show_object

MANY: Final = 1000  # names that one DeleteObjects takes
# What one request deletes of a folder: more is asked for again, so that none takes minutes.
MOST_AT_ONCE: Final = 20_000
_FOLDER_TYPE: Final = "application/x-directory"


async def make_folder(tab: Tab) -> Response:
    """An empty object whose name ends with a slash, as S3's own console makes them."""
    name = tab.form.text("name").strip("/")
    folder = unquoted(tab.form.typed("folder"))
    if not name:
        return tab.go_to(tab.addresses.folder(folder))
    key = f"{folder}{name}/"
    headers = {"content-type": _FOLDER_TYPE, "if-none-match": "*"}
    try:
        await tab.objects.request("PUT", key, headers=headers, body=b"")
    except S3Refused as refused:
        if refused.status != 412:
            raise tab.problem(refused) from None
    return tab.go_to(tab.addresses.folder(key))


async def ask_to_delete(tab: Tab) -> Response:
    """The question, with the names of what would go."""
    named = [chosen(one) for one in tab.values("object")][:MANY]
    if not named:
        return tab.go_to(tab.addresses.folder(unquoted(tab.form.typed("folder"))))
    return await _question(tab, named)


async def _question(tab: Tab, named: list[Chosen]) -> Response:
    folder = folder_of(named[0].key)
    return await tab.render(
        "files/delete.html",
        action=f"{tab.addresses.files_at}/delete",
        folder=in_query(folder),
        chosen=named,
        whole_folder="",
        lasting=not tab.keeps_versions or any(one.version for one in named),
        back=tab.addresses.folder(folder),
        form=tab.form,
    )


async def delete(tab: Tab) -> Response:
    """Delete what is named."""
    named = [chosen(one) for one in tab.values("object")][:MANY]
    if not named:
        return tab.go_to(tab.addresses.files_at)
    try:
        failures = await tab.objects.delete(named)
    except S3Refused as refused:
        failures = [Failure(named[0].key, refused.code, tab.refusal(refused))]
    back = tab.addresses.folder(folder_of(named[0].key))
    if failures:
        raise Problem("Conflict", _told(tab, failures))
    said = tab.said.plural("%(num)s file deleted.", "%(num)s files deleted.", len(named))
    return tab.go_to(back, said)


def _told(tab: Tab, failures: list[Failure]) -> str:
    first = failures[0]
    return tab.said(
        N_("%(num)s could not be deleted. The first: %(name)s: %(why)s"),
        num=tab.said.number(len(failures)),
        name=seen(first.key),
        why=first.message or first.code,
    )


async def ask_to_delete_folder(tab: Tab) -> Response:
    """The question, answered by typing the folder's name."""
    folder = tab.asked.get("folder", "")
    if not folder.endswith("/"):
        return tab.go_to(tab.addresses.folder(folder_of(folder)))
    return await _folder_question(tab, folder)


def _typed_name(folder: str) -> str:
    """What is typed: the last part of its name, as it is shown."""
    return seen(folder.removesuffix("/").rpartition("/")[2]) or "/"


async def _folder_question(tab: Tab, folder: str) -> Response:
    return await tab.render(
        "files/delete.html",
        action=f"{tab.addresses.files_at}/delete-folder",
        folder=in_query(folder),
        whole_folder=folder,
        typed_name=_typed_name(folder),
        chosen=[],
        lasting=not tab.keeps_versions,
        back=tab.addresses.folder(folder_of(folder)),
        form=tab.form,
    )


async def delete_folder(tab: Tab) -> Response:
    """Delete everything below a prefix; where versions are kept, that marks it deleted."""
    folder = unquoted(tab.form.typed("folder"))
    if not folder.endswith("/") or tab.form.text("confirm") != _typed_name(folder):
        tab.form.refuse("confirm", N_("This is not the name."))
        return await _folder_question(tab, folder)
    deleted, more = 0, False
    try:
        async for names in _below(tab, folder):
            if deleted + len(names) > MOST_AT_ONCE:
                more = True
                break
            failures = await tab.objects.delete((key, "") for key in names)
            if failures:
                raise Problem("Conflict", _told(tab, failures))
            deleted += len(names)
    except S3Refused as refused:
        raise tab.problem(refused) from None
    said = tab.said.plural("%(num)s file deleted.", "%(num)s files deleted.", deleted)
    if more:
        said += " " + tab.said(N_("The folder holds more: delete it again."))
    at = folder if more else folder_of(folder)
    return tab.go_to(tab.addresses.folder(at), said)


async def _below(tab: Tab, prefix: str) -> AsyncIterator[list[str]]:
    """The names below a prefix, a thousand at a time, from the start each time: they go."""
    while True:
        page = await tab.objects.page(prefix, {}, MANY, delimiter="")
        names = [one.key for one in page.entries]
        if names:
            yield names
        if not page.following:
            return


async def restore(tab: Tab) -> Response:
    """An earlier version becomes the current one; a delete marker goes."""
    named = chosen(tab.form.typed("restored"))
    back = tab.addresses.folder(folder_of(named.key), versions="yes")
    try:
        versions = await tab.objects.versions_of(named.key, MANY)
        marker = any(one.marker and one.version == named.version for one in versions)
        if marker:
            failures = await tab.objects.delete([named])
            if failures:
                raise Problem("Conflict", _told(tab, failures))
        else:
            await tab.objects.restore(tab.bucket["name"], named.key, named.version)
    except S3Refused as refused:
        raise tab.problem(refused) from None
    said = N_("The marker is gone.") if marker else N_("The version is the current one again.")
    return tab.go_to(back, tab.said(said))


async def share(tab: Tab) -> Response:
    """The object's page, with a link made for it."""
    named, form = chosen(tab.form.typed("object")), tab.form
    purpose: Purpose = "PUT" if form.typed("method") == "PUT" else "GET"
    expires = form.whole("expires", least=TIMES_S[0], most=TIMES_S[-1])
    if purpose == "PUT" and (not tab.may_write or named.version):
        form.refuse("method", N_("You may not upload here, so no link of yours may."))
    if form.problems:
        return await show_object(tab, named, form)
    try:
        address = tab.share(named, purpose, expires)
    except ValueError:
        form.refuse("method", N_("A name that is not UTF-8 cannot be shared."))
        return await show_object(tab, named, form)
    name = file_name(named.key)
    link: dict[str, Any] = {
        "address": address,
        "expires_ms": tab.now_ms + expires * 1000,
        "uploads": purpose == "PUT",
        "command": f"curl -T '{name.replace(chr(39), '')}' '{address}'",
        "drawing": drawing(address),
    }
    return await show_object(tab, named, form, link)
