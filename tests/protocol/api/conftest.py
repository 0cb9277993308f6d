"""One real node for all tests of the management API's resources, and people of every role."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.browser.people import BUCKET, STORE, seeded_people
from tests.browser.served import Person, Served, served
from tests.protocol.api.api_client import Api

_names = itertools.count()
SETTINGS = "console_rate = 100000\nweb_upload_limit = 0\nrestore_expedited = 0\n"


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("api"), SETTINGS) as node:
        yield node


@pytest.fixture(scope="session")
def people(node: Served) -> dict[str, Person]:
    return seeded_people(node)


@pytest.fixture(scope="session")
def apis(node: Served, people: dict[str, Person]) -> Iterator[dict[str, Api]]:
    """By role; `nobody` is not signed in, `stranger` owns another tenant."""
    node.operate("tenant.create", name="umbrella")
    node.operate("store.create", name="umbrella-files", tenant="umbrella")
    node.operate("bucket.create", name="theirs", store="umbrella-files")
    made = node.operate(
        "person.create", name="vera", tenant="umbrella", first_password=True, role="owner"
    )
    stranger = Person("vera", made["password"])
    found = {role: Api(node, person) for role, person in people.items()}
    found |= {"stranger": Api(node, stranger), "nobody": Api(node, None)}
    yield found
    for api in found.values():
        api.close()


@pytest.fixture
def owner(apis: dict[str, Api]) -> Api:
    return apis["owner"]


@pytest.fixture
def operator(apis: dict[str, Api]) -> Api:
    return apis["operator"]


@pytest.fixture
def new_bucket(owner: Api) -> Callable[..., str]:
    """Make a bucket of the tenant's store; the path to it."""

    def make(**how: object) -> str:
        name = f"bucket-{next(_names)}"
        owner("POST", f"/stores/{STORE}/buckets", {"name": name, **how})
        return f"/stores/{STORE}/buckets/{name}"

    return make


@pytest.fixture(scope="session")
def shared() -> str:
    """The path to the bucket that the scoped person writes to."""
    return f"/stores/{STORE}/buckets/{BUCKET}"
