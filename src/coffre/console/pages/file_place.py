"""Where in a bucket a request is: what its address says, and the addresses of what is near."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote

from starlette.requests import Request

from coffre.console.bucket_objects import Entry
from coffre.console.names import in_query

# A name takes three characters a byte at worst.
_QUERY_BYTES = 16_384


class Chosen(NamedTuple):
    """An object that a form names: a version of it, or the current one."""

    key: str
    version: str = ""

    @property
    def value(self) -> str:
        """What a form's field says of it: ASCII, as a form has no bytes that are no text."""
        return f"{in_query(self.key)}:{quote(self.version, safe='')}"


def chosen(value: str) -> Chosen:
    """What `Chosen.value` said."""
    key, _, version = value.rpartition(":")
    return Chosen(unquoted(key), unquoted(version))


def asked(request: Request) -> dict[str, str]:
    """The query's fields; bytes that are no UTF-8 stay what they are."""
    text = request.scope["query_string"][:_QUERY_BYTES].decode("ascii", "replace")
    return dict(
        parse_qsl(text, keep_blank_values=True, errors="surrogateescape", max_num_fields=50)
    )


def unquoted(text: str) -> str:
    """A name as `in_query` wrote it."""
    return dict(parse_qsl(f"v={text.replace('+', '%2B')}", errors="surrogateescape")).get("v", "")


def query(fields: Mapping[str, str]) -> str:
    """Fields as a query, those that say nothing left out."""
    return "&".join(f"{name}={in_query(value)}" for name, value in fields.items() if value)


def folder_of(key: str) -> str:
    """The folder that a name is in: `a/b/` of `a/b/c` and of `a/b/c/`."""
    parent, slash, _ = key.removesuffix("/").rpartition("/")
    return parent + slash


def last_part(key: str) -> str:
    return key.removesuffix("/").rpartition("/")[2] or key


class Addresses:
    """Addresses inside the Files tab at `files_at`."""

    def __init__(self, files_at: str) -> None:
        self.files_at = files_at

    def folder(self, prefix: str, **more: str) -> str:
        told = query({"folder": prefix, **more})
        return f"{self.files_at}?{told}" if told else self.files_at

    def object_query(self, entry: Entry, exact: bool = False) -> str:
        named = exact or not entry.latest
        return query({"key": entry.key, "version": entry.version if named else ""})

    def object(self, entry: Entry, exact: bool = False) -> str:
        return f"{self.files_at}/object?{self.object_query(entry, exact)}"

    def path(self, bucket: str, prefix: str, **more: str) -> list[tuple[str, str]]:
        """The bucket and each folder down to `prefix`: words and address."""
        steps, at = [(bucket, self.folder("", **more))], ""
        for part in prefix.split("/")[:-1]:
            at += f"{part}/"
            steps.append((part or "/", self.folder(at, **more)))
        return steps

    def values(self) -> dict[str, Any]:
        """For templates."""
        return {
            "files_at": self.files_at,
            "folder_address": self.folder,
            "object_address": self.object,
            "object_query": self.object_query,
            "last_part": last_part,
        }
