"""A tenant with a store, a bucket, and people of every role: what pages differ by."""

from __future__ import annotations

from typing import Any

from .served import Person, Served

TENANT, STORE, BUCKET = "acme", "acme-files", "shared"


def seeded_people(node: Served) -> dict[str, Person]:
    """People of one tenant by role: `owner`, `reader`, and `scoped`, a writer of one bucket; and
    `operator`, who is there from the first start on."""
    node.operate("tenant.create", name=TENANT)
    node.operate("store.create", name=STORE, tenant=TENANT)
    node.operate("bucket.create", name=BUCKET, store=STORE, versioning=True)
    scope = {"store": STORE, "bucket": BUCKET, "role": "writer"}
    return {
        "operator": node.operator,
        "owner": named_person(node, "odile", tenant=TENANT, role="owner"),
        "reader": named_person(node, "remi", tenant=TENANT, role="reader"),
        "scoped": named_person(node, "sasha", tenant=TENANT, role="scoped", scopes=[scope]),
    }


def named_person(node: Served, name: str, **what: Any) -> Person:
    """Somebody new; the operation's other arguments as they are."""
    made = node.operate("person.create", name=name, first_password=True, **what)
    return Person(name, made["password"])
