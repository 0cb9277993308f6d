"""Keeps the second half of `docs/iam.md`: every action of IAM and STS, from the table and AWS's own
model: `python -m tools.iam_reference`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session

from coffre.iam.built_in import ALL
from coffre.iam.table import TABLE
from coffre.wire.query_protocol import ERRORS

PAGE = Path("docs/iam.md")
_ACTIONS = "## Actions\n"
TITLES = {"iam": "IAM (2010-05-08)", "sts": "STS (2011-06-15)"}
_REFUSED = "refused: `InvalidAction`"


def model(service: str) -> Any:
    """AWS's model of a service, as botocore ships it."""
    return botocore.session.get_session().get_service_model(service)


def taken(service: str, name: str) -> tuple[list[str], list[str]]:
    """Parameters of an action that are taken here, and those of AWS's that are not."""
    shape = model(service).operation_model(name).input_shape
    of_aws = [] if shape is None else list(shape.members)
    ours = TABLE[service][name].parameters
    return list(ours), [one for one in of_aws if one not in ours]


def rows(service: str) -> Iterator[str]:
    yield f"\n### {TITLES[service]}\n"
    yield "| action | state | parameters that are not taken |"
    yield "|--------|-------|-------------------------------|"
    names = model(service).operation_names
    for name in names:
        if name in TABLE[service]:
            _, without = taken(service, name)
            yield f"| {name} | built | {', '.join(f'`{one}`' for one in without)} |"
    others = [name for name in names if name not in TABLE[service]]
    yield f"\n{len(others)} others are {_REFUSED}: {', '.join(others)}.\n"


def page() -> str:
    """The whole page: what people wrote of it, and what follows from the table."""
    parts = [PAGE.read_text().partition(_ACTIONS)[0] + _ACTIONS.rstrip()]
    for service in TABLE:
        parts.append("\n".join(rows(service)).rstrip())
    parts.append("\n## Managed policies that every account has\n")
    parts.append("\n".join(f"- `{one.arn}`: {one.description}" for one in ALL.values()))
    parts.append("\n## Errors\n\n| code | status | |\n|------|--------|---|")
    parts.append("\n".join(f"| {c} | {status} | {text} |" for c, (status, text) in ERRORS.items()))
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
