"""What the API answers is what its description says: requests made from it, right and wrong, meet
no fault of ours and no answer that is not described. Whole runs under COFFRE_LONG=1."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.browser.served import Served
from tests.protocol.api.api_client import Api
from tools.openapi import page

STORE: Final = "described"
BUCKET: Final = "described-bucket"
EXAMPLES: Final = 100 if os.environ.get("COFFRE_LONG") else 4
# What would end the session that asks, or take from the node what other tests need.
LEFT_OUT: Final = (
    *("session_begin", "session_end", "session_prove", "me_password", "tls_renew", "verify_run"),
    *("me_codes_enrol", "me_codes_confirm", "me_codes_off", "me_recovery_renew"),
    *("follower_compare", "key_prune", "drive_drain", "drive_remove", "drive_replace"),
)
CHECKS: Final = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)


@pytest.fixture(scope="module")
def described(node: Served) -> Iterator[tuple[Any, Api]]:
    """The description that the node serves, and its operator."""
    node.operate("store.create", name=STORE)
    node.operate("bucket.create", name=BUCKET, store=STORE, versioning=True)
    operator = Api(node, node.operator)
    document = operator("GET", "/openapi.json")
    for name in ("one", "two"):
        place = f"/stores/{STORE}/buckets/{BUCKET}/object/content"
        operator.send("PUT", place, b"bytes", {"key": name})
    yield schemathesis.openapi.from_dict(document), operator
    operator.close()


def operations(schema: Any) -> list[Any]:
    found = [one.ok() for one in schema.get_all_operations()]
    return [one for one in found if one.definition.raw["operationId"] not in LEFT_OUT]


def test_every_call_of_the_description_is_answered_as_described(
    node: Served, described: tuple[Any, Api]
) -> None:
    schema, operator = described
    seen: dict[str, int] = {}
    faults: list[str] = []
    with requests.Session() as session:
        for operation in operations(schema):
            try:
                check(operation, node, operator, session, seen)
            except FailureGroup as group:
                faults += [f"{operation.label}: {one!r} {one.message}" for one in group.exceptions]
    assert not faults, "\n\n".join(faults)
    # Not all are refused: a check that met nothing but 4xx would tell little.
    assert seen.get("2", 0) >= sum(seen.values()) // 10, seen


def check(
    operation: Any, node: Served, operator: Api, session: requests.Session, seen: dict[str, int]
) -> None:
    """Ask as the description says, now and then about what there is."""
    long = "202" in operation.definition.raw["responses"]

    @given(case=operation.as_strategy(), named=st.booleans())
    @settings(
        max_examples=1 if long else EXAMPLES,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def asked(case: Any, named: bool) -> None:
        if named:
            about = {"store": STORE, "bucket": BUCKET, "key": "one"}
            for place in (case.path_parameters, case.query):
                if isinstance(place, dict):
                    place.update({name: one for name, one in about.items() if name in place})
        response = case.call(
            base_url=f"{node.origin}/api/v1",
            session=session,
            verify=str(node.facts["ca"]),
            headers=operator.headers,
        )
        status = str(response.status_code)[0]
        seen[status] = seen.get(status, 0) + 1
        case.validate_response(response, checks=CHECKS)

    asked()


def test_the_description_that_is_kept_is_the_one_that_is_served(
    described: tuple[Any, Api],
) -> None:
    _, operator = described
    assert json.loads(page()) == operator("GET", "/openapi.json")
