"""A browser of few words: it keeps cookies, follows redirects, and reads the HTML it is given."""

from __future__ import annotations

import re
import ssl
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.client import HTTPResponse
from http.cookiejar import CookieJar
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit

Fields = Mapping[str, str | Sequence[str]]
Attributes = dict[str, str | None]


@dataclass
class Element:
    """A start tag, and the text up to the next tag."""

    tag: str
    attributes: Attributes
    text: str = ""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs)))
        self._open = True

    def handle_endtag(self, tag: str) -> None:
        self._open = False

    def handle_data(self, data: str) -> None:
        if self._open:
            self.elements[-1].text += data


@dataclass
class Answer:
    """What a browser shows: where it is after redirects, and the page there."""

    status: int
    path: str
    headers: Mapping[str, str]
    html: str
    elements: list[Element] = field(default_factory=list)

    def all(self, tag: str) -> list[Element]:
        return [one for one in self.elements if one.tag == tag]

    def value(self, name: str) -> str | None:
        """What stands in a field."""
        for one in self.elements:
            if one.attributes.get("name") != name:
                continue
            if one.tag == "textarea":
                return one.text.removeprefix("\n")
            if one.attributes.get("type") not in ("radio", "checkbox") or (
                "checked" in one.attributes
            ):
                return one.attributes.get("value")
        return None

    def problem(self, name: str) -> str:
        """What is said to be wrong with a field."""
        match = re.search(rf'id="{name}-problem">.*?<span>(.*?)</span>', self.html, re.DOTALL)
        return match[1] if match else ""

    def code(self, place: str) -> str:
        """What is to be copied, at an element with this id."""
        match = re.search(rf'id="{place}">.*?<code>(.*?)</code>', self.html, re.DOTALL)
        assert match is not None, f"nothing to copy at {place}"
        return match[1]

    @property
    def title(self) -> str:
        return next(one.text.strip() for one in self.all("title"))


class Visitor:
    """Somebody with a browser, signed in or not."""

    def __init__(self, origin: str, trust: ssl.SSLContext, language: str = "en") -> None:
        self.origin = origin
        self.language = language
        self.jar = CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=trust),
            urllib.request.HTTPCookieProcessor(self.jar),
        )

    def get(self, path: str, **headers: str) -> Answer:
        return self._ask(path, None, headers)

    def send(self, path: str, fields: Fields, **headers: str) -> Answer:
        """Send a form as it is, without a token of its own."""
        return self._ask(path, urlencode(fields, doseq=True).encode(), headers)

    def post(self, path: str, fields: Fields | None = None, page: str | None = None) -> Answer:
        """Fill in the form of a page (`page`, else of the same path) and send it."""
        token = self.get(page or path).value("csrf_token") or ""
        return self.send(path, {"csrf_token": token, **(fields or {})})

    def sign_in(self, name: str, password: str) -> Answer:
        return self.post("/signin", {"name": name, "password": password, "back": "/"})

    def cookie(self, name: str) -> str | None:
        return next((one.value for one in self.jar if one.name == name), None)

    def _ask(self, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(
            self.origin + path, data=body, headers={"Accept-Language": self.language, **named}
        )
        try:
            answer: HTTPResponse | HTTPError = self._opener.open(request, timeout=60)
        except HTTPError as refused:
            answer = refused
        with answer:
            text = answer.read().decode(errors="replace")
        reader = _Reader()
        reader.feed(text)
        place = urlsplit(answer.url or "")
        query = f"?{place.query}" if place.query else ""
        told = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status or 0, place.path + query, told, text, reader.elements)
