"""Writes `docs/errors.md` from the catalogue of errors: `python -m tools.error_reference`."""

from __future__ import annotations

from http import HTTPStatus

from coffre.wire.errors import CATALOGUE

HEAD = """\
# Errors

Every S3 error that Coffre has words for, from the one catalogue that the server answers from
(`coffre.wire.errors`). The body is XML with `Code`, `Message`, the error's own elements,
`Resource`, `RequestId` and `HostId`; a HEAD answer has the status alone. This page is generated.
"""


def page() -> str:
    """The page, a table for each status."""
    parts = [HEAD]
    shown = 0
    for code, (status, message) in CATALOGUE.items():
        if status != shown:
            parts.append(
                f"\n## {status} {HTTPStatus(status).phrase}\n\n| Code | Message |\n|---|---|\n"
            )
            shown = status
        parts.append(f"| `{code}` | {message.replace('|', chr(92) + '|')} |\n")
    return "".join(parts)


if __name__ == "__main__":
    print(page(), end="")
