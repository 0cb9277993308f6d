"""Every sentence of the console has French, and no sentence hides from the translator."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import Environment

from tools.messages import PAGE, current, untranslated, written

TEMPLATES = sorted(Path("src/coffre/console/templates").rglob("*.html"))
SCRIPTS = sorted(Path("src/coffre/console/static").glob("*.js"))
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%%")
TAG = re.compile(r"</?[a-z][^>]*>")
# Attributes whose values people read or hear.
SPOKEN = {"alt", "aria-label", "aria-description", "placeholder", "title"}
UNSPOKEN = {"script", "style"}
VOID = {"br", "hr", "img", "input", "link", "meta", "wbr", "source"}
# Names, which no language changes; others stand in an element with translate="no".
NAMES = {"Coffre", "English", "Français"}
# What a macro writes into the tag of its caller.
ATTRIBUTE = re.compile(r'[a-z-]+="[^"]*"')


class Words(HTMLParser):
    """What a person reads of a page whose expressions are taken out."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("translate") != "no" and not self.silent:
            self.found += [str(given[name]) for name in SPOKEN & given.keys() if given[name]]
        if tag not in VOID and (self.silent or given.get("translate") == "no" or tag in UNSPOKEN):
            self.silent.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.silent and self.silent[-1] == tag:
            self.silent.pop()

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.found.append(data)


def literal(text: str) -> Iterator[str]:
    """Words of a template that stand outside of `_()`."""
    environment = Environment(extensions=["jinja2.ext.i18n"])
    plain, inside, said = [], False, False
    for _, kind, value in environment.lex(text):
        if kind in ("variable_begin", "block_begin"):
            inside = True
        elif kind in ("variable_end", "block_end"):
            inside = False
            plain.append("\N{MIDDLE DOT}" if kind == "variable_end" else "")
        elif inside and kind == "name" and value in ("trans", "endtrans"):
            said = value == "trans"
        elif kind == "data" and not said:
            plain.append(value)
    words = Words()
    words.feed("".join(plain))
    for found in words.found:
        for word in re.findall(r"[^\W\d_]{2,}", ATTRIBUTE.sub("", found)):
            if word not in NAMES:
                yield word


def forms(text: object) -> tuple[str, ...]:
    """A sentence's one form, or its two where it counts something."""
    return tuple(map(str, text)) if isinstance(text, list | tuple) else (str(text),)


def test_the_french_page_is_current() -> None:
    assert written(current()) == PAGE.read_text(), "run: python -m tools.messages update"


def test_every_sentence_has_french() -> None:
    assert [message.id for message in untranslated(current())] == []


def test_a_translation_has_the_placeholders_and_the_markup_of_its_sentence() -> None:
    for message in current():
        if not message.id:
            continue
        ids, strings = forms(message.id), forms(message.string)
        for kind in (PLACEHOLDER, TAG):
            wanted = sorted(kind.findall(ids[-1]))
            assert sorted(kind.findall(strings[-1])) == wanted, message.id
            # The form for one may say the number in words.
            assert set(kind.findall(strings[0])) <= set(wanted), message.id


@pytest.mark.parametrize("page", TEMPLATES, ids=str)
def test_a_template_says_nothing_of_its_own(page: Path) -> None:
    assert list(literal(page.read_text())) == []


@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_a_script_says_only_what_its_page_gave_it(script: Path) -> None:
    if script.name.startswith("htmx"):
        return
    text = re.sub(r"//.*|/\*.*?\*/", "", script.read_text())
    assert [
        said
        for said in re.findall(r'"([^"\n]*)"|`([^`]*)`', text)
        if re.search(r"[A-Z][a-z]+ [a-z]+ [a-z]+", "".join(said))
    ] == []


def test_what_is_not_marked_is_found() -> None:
    text = '<p title="Close">{{ _("said") }} now <b translate="no">mc</b></p>'
    text += "{% trans %}x{% endtrans %}"
    assert list(literal(text)) == ["Close", "now"]
