"""`docs/operations.md`, made from the table: `python -m coffre.s3.reference`."""

from __future__ import annotations

import sys

from coffre.s3.operation import Body, BodyKind, Need, On, Operation
from coffre.s3.operations import TABLE
from coffre.s3.sub_resources import KNOWN

_INTRODUCTION = """\
# Operations

Generated from the table of operations (`coffre.s3.operations`) by `python -m coffre.s3.reference`.
What S3 has and this page does not list answers `501 NotImplemented`; a method that S3 does not have
for a resource answers `405 MethodNotAllowed`; an unknown query parameter is ignored. Where a
dialect is named, stores of the other one answer `501 NotImplemented` ([dialects](dialects.md)).
"""


def render() -> str:
    """The page."""
    rows = ["| operation | request | permissions | body | counted as |", "|---|---|---|---|---|"]
    rows += [_row(operation) for operation in TABLE]
    return "\n".join([_INTRODUCTION, *rows, "", _unanswered(), ""])


def _row(operation: Operation) -> str:
    cells = (
        _name(operation),
        f"`{_request(operation)}`",
        "<br>".join(_need(need) for need in operation.needs),
        _body(operation.body),
        operation.metering.value,
    )
    return f"| {' | '.join(cells)} |"


def _name(operation: Operation) -> str:
    """The operation's name, and the dialect that has it, if it is one alone."""
    if operation.dialect is None:
        return operation.name
    return f"{operation.name} (`{operation.dialect}`)"


_PATHS = {On.SERVICE: "/", On.BUCKET: "/bucket", On.OBJECT: "/bucket/key"}


def _request(operation: Operation) -> str:
    selector = operation.selector
    path = _PATHS[operation.target]
    query = f"?{selector.sub_resource}" if selector.sub_resource else ""
    if query == "?list-type":
        query = "?list-type=2"
    header = " + x-amz-copy-source" if selector.copy else ""
    return f"{operation.method} {path}{query}{header}"


def _need(need: Need) -> str:
    words = f"`{need.permission}`"
    if need.versioned is not None:
        words += f" (`{need.versioned}` with a version id)"
    words += f" on the {need.on.value}" if need.on is not On.EACH_KEY else " on each key"
    if need.header is not None:
        words += f", when `{need.header.decode()}` is sent"
    return words


def _body(body: Body) -> str:
    if body.kind is BodyKind.DOCUMENT:
        return f"document, up to {body.limit // 1024} KiB"
    return "streamed" if body.kind is BodyKind.STREAM else ""


def _unanswered() -> str:
    """The sub-resources of S3 that no operation answers, by what they belong to."""
    answered = {(one.target, one.selector.sub_resource) for one in TABLE}
    lines = ["Sub-resources that answer `501 NotImplemented` whatever the method:", ""]
    for target, path in _PATHS.items():
        names = sorted(name for on, name in KNOWN.keys() - answered if on is target and name)
        lines.append(f"- `{path}`: {', '.join(f'`{name}`' for name in names)}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(render())
