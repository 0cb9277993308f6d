"""Every S3 error that Coffre can answer: code, status and AWS's words, in one catalogue.

A raised `S3Error` is the only way from a bad request to its answer; the exit funnel turns it into
XML. Source of codes and messages: AWS "Error responses" (API reference), `ecs-and-s3-facts` where
the dialects differ.
"""

from __future__ import annotations

from typing import Final

# code -> (HTTP status, default message)
CATALOGUE: Final[dict[str, tuple[int, str]]] = {
    "AccessDenied": (403, "Access Denied"),
    "InternalError": (500, "We encountered an internal error. Please try again."),
    "InvalidArgument": (400, "Invalid Argument"),
    "NotImplemented": (
        501,
        "A header you provided implies functionality that is not implemented",
    ),
}


class S3Error(Exception):
    """An answer that is an error. `fields` become extra elements of the XML body, in order.

    `headers` are added to the response (for example `x-amz-delete-marker`).
    """

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        **fields: str,
    ) -> None:
        self.status, default = CATALOGUE[code]
        self.code = code
        self.message = default if message is None else message
        self.fields = fields
        self.headers = headers
        super().__init__(f"{code}: {self.message}")
