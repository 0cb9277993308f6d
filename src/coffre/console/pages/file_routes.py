"""The paths of the Files tab."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from coffre.console.pages import file_changes, file_transfers
from coffre.console.pages.file_place import Chosen
from coffre.console.pages.file_tab import FILES, Tab, data_route, tab_page
from coffre.console.pages.files import show_folder, show_object
from coffre.console.pages.shell import page_route


async def _object(tab: Tab) -> Response:
    return await show_object(tab, Chosen(tab.asked.get("key", ""), tab.asked.get("version", "")))


ROUTES: Final = (
    page_route(FILES, get=tab_page(show_folder)),
    page_route(f"{FILES}/object", get=tab_page(_object)),
    page_route(f"{FILES}/share", post=tab_page(file_changes.share)),
    page_route(f"{FILES}/folders", post=tab_page(file_changes.make_folder)),
    page_route(f"{FILES}/restore", post=tab_page(file_changes.restore)),
    page_route(f"{FILES}/delete/ask", post=tab_page(file_changes.ask_to_delete)),
    page_route(
        f"{FILES}/delete",
        get=tab_page(file_changes.ask_to_delete),
        post=tab_page(file_changes.delete),
    ),
    page_route(
        f"{FILES}/delete-folder",
        get=tab_page(file_changes.ask_to_delete_folder),
        post=tab_page(file_changes.delete_folder),
    ),
    data_route(f"{FILES}/content", {"GET": file_transfers.download, "PUT": file_transfers.upload}),
    data_route(f"{FILES}/preview", {"GET": file_transfers.preview}),
    data_route(f"{FILES}/uploads", {"POST": file_transfers.begin, "DELETE": file_transfers.abort}),
    data_route(f"{FILES}/parts", {"PUT": file_transfers.part}),
    data_route(f"{FILES}/complete", {"POST": file_transfers.complete}),
)
