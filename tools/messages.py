"""The console's sentences: `python -m tools.messages [update | missing | fill]`.

`update` reads the templates and Python files and brings the French page up to date: new sentences
come in empty, gone ones go. `missing` prints those without French, as JSON. `fill` takes JSON
`{"English": "French"}` from standard input (a plural: `{"one": ["une", "plusieurs"]}`). A lock
keeps two of them from writing over each other. Without a word: says whether the page is current.
"""

from __future__ import annotations

import fcntl
import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po, write_po

SOURCE = Path("src/coffre")
PAGE = SOURCE / "console/locale/fr/LC_MESSAGES/coffre.po"
METHODS = [("console/**.py", "python"), ("ledger/**.py", "python"), ("console/**.html", "jinja2")]
OPTIONS = {"console/**.html": {"newstyle_gettext": "true", "trimmed": "true", "silent": "false"}}
# `language.plural` is ours, the others are gettext's.
KEYWORDS = {**DEFAULT_KEYWORDS, "plural": (1, 2), "language": None, "said": None}


def extracted() -> Catalog:
    """Every sentence of the source, with the files that have it."""
    catalog = Catalog(project="coffre", charset="utf-8")
    found = extract_from_dir(
        str(SOURCE), METHODS, OPTIONS, keywords=KEYWORDS, comment_tags=("Translators:",)
    )
    for file, _, message, comments, context in found:
        # Lines would change the page with every edit.
        catalog.add(message, None, [(f"src/coffre/{file}", 0)], [], comments, context=context)
    return catalog


def read() -> Catalog:
    return read_po(io.BytesIO(PAGE.read_bytes()), "fr", "coffre")


def written(catalog: Catalog) -> str:
    text = io.BytesIO()
    # Sorted by sentence: what two people add seldom meets.
    write_po(text, catalog, width=100, sort_output=True, include_lineno=False, omit_header=True)
    head = 'msgid ""\nmsgstr ""\n"Language: fr\\n"\n"Content-Type: text/plain; charset=utf-8\\n"\n'
    return (
        head
        + f'"Plural-Forms: {catalog.plural_forms}\\n"\n\n'
        + text.getvalue().decode().rstrip()
        + "\n"
    )


def current() -> Catalog:
    """The French page with the source's sentences of now: no guesses, nothing kept that is gone."""
    catalog = read() if PAGE.exists() else Catalog("fr", "coffre", charset="utf-8")
    catalog.update(extracted(), no_fuzzy_matching=True)
    catalog.obsolete.clear()
    return catalog


def untranslated(catalog: Catalog) -> list[Message]:
    return [message for message in catalog if message.id and not _whole(message)]


def _whole(message: Message) -> bool:
    parts = message.string if isinstance(message.string, list | tuple) else [message.string]
    return all(parts) and not message.fuzzy


@contextmanager
def alone() -> Iterator[None]:
    with Path(__file__).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fill(words: dict[str, str | list[str]]) -> list[str]:
    """Put translations into the page; those that belong to no sentence."""
    catalog, strange = current(), []
    by_text = {
        message.id if isinstance(message.id, str) else message.id[0]: message
        for message in catalog
        if message.id
    }
    for english, french in words.items():
        message = by_text.get(english)
        if message is None:
            strange.append(english)
        else:
            message.string = french if isinstance(french, str) else tuple(french)
    save(catalog)
    return strange


def save(catalog: Catalog) -> None:
    beside = PAGE.with_suffix(".new")
    beside.write_text(written(catalog))
    beside.replace(PAGE)


def main(arguments: list[str]) -> int:
    match arguments:
        case ["update"]:
            with alone():
                save(current())
            print(f"{len(untranslated(read()))} sentences have no French")
        case ["missing"]:
            ids = [message.id for message in untranslated(current())]
            texts = {text if isinstance(text, str) else text[0]: "" for text in ids}
            print(json.dumps(texts, ensure_ascii=False, indent=1))
        case ["fill"]:
            words = json.load(sys.stdin)
            with alone():
                strange = fill(words)
            print("\n".join(f"no such sentence: {text!r}" for text in strange))
            return 1 if strange else 0
        case []:
            stale = written(current()) != PAGE.read_text()
            print("not current: python -m tools.messages update" if stale else "current")
            return 1 if stale else 0
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
