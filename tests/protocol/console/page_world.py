"""A node with a console, people of every role, and who visits it as whom."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.browser.people import BUCKET, STORE, TENANT, seeded_people
from tests.browser.served import Person, Served, served, trusting
from tests.protocol.console.page_client import Visitor

_names = itertools.count()

__all__ = ["BUCKET", "STORE", "World", "new_name", "open_world"]


def new_name(what: str) -> str:
    """A name that no other test uses."""
    return f"{what}-{next(_names)}"


class World:
    """A running node. Visitors are signed in once for each person and language."""

    def __init__(self, node: Served, people: dict[str, Person]) -> None:
        self.node = node
        self.people = people
        self._visitors: dict[tuple[str, str], Visitor] = {}

    def stranger(self, language: str = "en") -> Visitor:
        """Somebody who is not signed in."""
        return Visitor(self.node.origin, trusting(self.node.facts), language)

    def fresh(self, role: str, language: str = "en") -> Visitor:
        """A session of its own."""
        visitor, person = self.stranger(language), self.people[role]
        answer = visitor.sign_in(person.name, person.password)
        assert answer.path == "/", f"{role} does not get in: {answer.title}"
        return visitor

    def visitor(self, role: str, language: str = "en") -> Visitor:
        """A session that tests share."""
        if (role, language) not in self._visitors:
            self._visitors[role, language] = self.fresh(role, language)
        return self._visitors[role, language]

    def person(self, name: str, role: str = "reader") -> Person:
        """Somebody new of the seeded tenant, whose sessions no other test shares."""
        made = self.node.operate(
            "person.create", name=name, role=role, tenant=TENANT, first_password=True
        )
        self.people[name] = Person(name, made["password"])
        return self.people[name]

    def bucket(self, **settings: object) -> str:
        """A new bucket of the seeded store: its address."""
        name = new_name("bucket")
        self.node.operate("bucket.create", name=name, store=STORE, **settings)
        return f"/stores/{STORE}/buckets/{name}"


@contextmanager
def open_world(folder: Path) -> Iterator[World]:
    """One node for all the tests of this folder."""
    with served(folder) as node:
        yield World(node, seeded_people(node))
