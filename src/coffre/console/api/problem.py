"""Errors of the management API: `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from msgspec import Struct

from coffre.wire.errors import CATALOGUE

MEDIA_TYPE: Final = "application/problem+json"
# What this API says of itself: code, status, words. Operations' own codes are beside it.
OWN: Final[Mapping[str, tuple[int, str]]] = {
    "InvalidRequest": (400, "The request cannot be read."),
    "NotSignedIn": (401, "Sign in, or send a token that is valid."),
    "WrongPassword": (401, "Name, password or code is not right."),
    "CodeRequired": (401, "A one-time code is required, too."),
    "AccessDenied": (403, "This person, or this token, may not do that."),
    "PasswordRequired": (403, "Give the password again: this is done by whoever gave it lately."),
    "BadCsrfToken": (403, "The request carries no CSRF token of the session."),
    "NotFound": (404, "There is nothing at this path."),
    "MethodNotAllowed": (405, "This path has other methods: see Allow."),
    "Conflict": (409, "It is not in the state that this needs."),
    "IdempotencyKeyInUse": (409, "A request with this Idempotency-Key is under way."),
    "PreconditionFailed": (412, "It was changed meanwhile: read it again."),
    "BodyTooLarge": (413, "The body is larger than is taken here."),
    "UnsupportedMediaType": (415, "The body must be application/json."),
    "InvalidArgument": (422, "An argument is not as it must be."),
    "UnknownField": (422, "There is no such field."),
    "MissingField": (422, "A field is missing."),
    "IdempotencyKeyReused": (422, "This Idempotency-Key belongs to another request."),
    "PreconditionRequired": (428, "Send If-Match with the ETag of what was read."),
    "TooManyRequests": (429, "Too many requests: wait as long as Retry-After says."),
    "TooManyAttempts": (429, "Too many failures to sign in: wait as long as Retry-After says."),
    "InternalError": (500, "It failed: the node's log says why."),
    "Unavailable": (503, "The node does not answer now: try again."),
}
_CONFLICTS: Final = ("AlreadyExists", "NotEmpty", "InUse", "Conflict", "TooMany")
_OTHERS: Final = {
    "LastOperator": 409,
    "ConcurrentModification": 409,
    "NoStewards": 503,
    "NotUnlocked": 409,
    "StewardPaused": 409,
    "UnknownOperation": 404,
}


class Problem(Exception):
    """An answer that is an error."""

    def __init__(
        self,
        code: str,
        detail: str = "",
        field: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.code = code
        self.status = status_of(code)
        self.detail = detail or (OWN[code][1] if code in OWN else code)
        self.field = field
        self.headers = dict(headers or {})
        super().__init__(f"{code}: {self.detail}")

    def document(self, request_id: str) -> ProblemDocument:
        """The body."""
        return ProblemDocument(
            f"urn:coffre:problem:{self.code}",
            HTTPStatus(self.status).phrase,
            self.status,
            self.detail,
            self.code,
            request_id,
            self.field,
        )


class ProblemDocument(Struct, frozen=True, omit_defaults=True):
    """`code` is stable, `detail` is for people; `field` names the argument that it is about."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    field: str | None = None


def status_of(code: str) -> int:
    """Of an operation's refusal: what cannot be found, what stands in the way, and what is wrong
    with what was asked."""
    if code in OWN:
        return OWN[code][0]
    if code in _OTHERS:
        return _OTHERS[code]
    if code.startswith("NoSuch"):
        return 404
    if any(word in code for word in _CONFLICTS):
        return 409
    if code in CATALOGUE and CATALOGUE[code][0] in (403, 404, 409, 412, 503):
        return CATALOGUE[code][0]
    return 422
