"""AWS's query protocol, which IAM and STS speak: forms in, XML out. Pure.

A request is `Action`, `Version` and parameters, in a form or in the query; items of lists are
called `Name.member.1`, fields of structures in them `Name.member.1.Field`. Source: AWS "Making
query requests" of IAM, and the common errors of both services.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl

from msgspec import Struct

from coffre.wire.errors import S3Error
from coffre.wire.escape import escape
from coffre.wire.request import RequestHead

BODY_LIMIT: Final = 256 * 1024
_MOST_PARAMETERS: Final = 2000
SERVICES: Final = {"2010-05-08": "iam", "2011-06-15": "sts"}
_NAMESPACES: Final = {
    "iam": "https://iam.amazonaws.com/doc/2010-05-08/",
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
}
_FORM: Final = "application/x-www-form-urlencoded"
_MARKS: Final = frozenset({"Action", "Version"})
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")


class Table(Struct, frozen=True):
    """A map whose keys are data: entries of key and value."""

    entries: Mapping[str, str | int]


# What a value may be in an answer; a list's items are called `member`.
Value = str | int | bool | datetime | Table | Mapping[str, "Value"] | Sequence["Value"] | None

# code -> (HTTP status, message); AWS's codes of IAM and STS, and those that both have.
ERRORS: Final[dict[str, tuple[int, str]]] = {
    "AccessDenied": (403, "Access denied."),
    "ConcurrentModification": (409, "The entity was changed meanwhile; try again."),
    "DeleteConflict": (409, "Cannot delete entity, must delete what depends on it first."),
    "EntityAlreadyExists": (409, "The entity already exists."),
    "ExpiredToken": (403, "The security token included in the request is expired"),
    "ExpiredTokenException": (400, "The web identity token is expired."),
    "IDPCommunicationError": (400, "The issuer of the token could not be asked for its keys."),
    "IncompleteSignature": (400, "The request signature does not conform to AWS standards."),
    "InvalidAction": (400, "The action or operation requested is invalid."),
    "InvalidClientTokenId": (403, "The security token included in the request is invalid."),
    "InvalidIdentityToken": (400, "The web identity token could not be validated."),
    "InvalidInput": (400, "A parameter is invalid."),
    "LimitExceeded": (409, "A quota would be exceeded."),
    "MalformedPolicyDocument": (400, "The policy document is malformed."),
    "MalformedQueryString": (400, "The request cannot be read."),
    "MissingAction": (400, "The request is missing an action parameter."),
    "MissingAuthenticationToken": (403, "Request is missing Authentication Token"),
    "NoSuchEntity": (404, "The entity cannot be found."),
    "PackedPolicyTooLarge": (400, "The session's policies and tags are too large together."),
    "RequestExpired": (400, "The request is too old, or from the future."),
    "ServiceFailure": (500, "The request failed for an unknown reason; try again."),
    "ServiceUnavailable": (503, "The service cannot answer now; try again."),
    "SignatureDoesNotMatch": (
        403,
        "The request signature we calculated does not match the signature you provided.",
    ),
    "Throttling": (400, "Rate exceeded"),
    "ValidationError": (400, "The input fails to satisfy the constraints."),
}
# S3's code -> what it is called here. Others are a request that cannot be read, or a failure.
_OF_S3: Final = {
    "AccessDenied": "AccessDenied",
    "AuthorizationHeaderMalformed": "IncompleteSignature",
    "AuthorizationQueryParametersError": "IncompleteSignature",
    "ExpiredToken": "ExpiredToken",
    "InvalidAccessKeyId": "InvalidClientTokenId",
    "InvalidArgument": "IncompleteSignature",
    "InvalidRequest": "IncompleteSignature",
    "InvalidToken": "InvalidClientTokenId",
    "NotImplemented": "IncompleteSignature",
    "RequestTimeTooSkewed": "RequestExpired",
    "RequestTimeout": "RequestExpired",
    "ServiceUnavailable": "ServiceUnavailable",
    "SignatureDoesNotMatch": "SignatureDoesNotMatch",
    "SlowDown": "Throttling",
    "XAmzContentSHA256Mismatch": "SignatureDoesNotMatch",
}


class QueryError(Exception):
    """An answer that is an error, by its code in `ERRORS`."""

    def __init__(self, code: str, message: str | None = None) -> None:
        self.status, default = ERRORS[code]
        self.code = code
        self.message = default if message is None else message
        super().__init__(f"{code}: {self.message}")


def of_s3(error: S3Error) -> QueryError:
    """The same error in the words of these services."""
    fault = "MalformedQueryString" if error.status < 500 else "ServiceFailure"
    code = _OF_S3.get(error.code, fault)
    return QueryError(code, None if code == "ServiceFailure" else error.message)


def is_query(head: RequestHead) -> bool:
    """Whether a request speaks this protocol. S3 has nothing that looks like it: its POSTs to "/"
    name a sub-resource (`?delete`), whatever type a client gives their bodies."""
    if head.raw_path not in (b"/", b"") or head.method not in ("GET", "POST"):
        return False
    names = head.query.keys() if head.raw_query else frozenset[str]()
    if names >= _MARKS:
        return True
    is_form = (head.header(b"content-type") or "").startswith(_FORM)
    return is_form and head.method == "POST" and all(map(_may_be_beside_a_form, names))


def _may_be_beside_a_form(name: str) -> bool:
    """A parameter in the query of a form: one that every call has, or a part of a signature."""
    return name in _MARKS or name.lower().startswith("x-amz-")


def read_parameters(head: RequestHead, body: bytes) -> dict[str, str]:
    """Parameters by name, of query and form. Raises MalformedQueryString, also for a name that is
    given twice: two readers could see two requests."""
    found: dict[str, str] = {}
    for raw in (head.raw_query, body):
        try:
            pairs = parse_qsl(
                raw.decode(),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=_MOST_PARAMETERS,
            )
        except ValueError as error:
            raise QueryError("MalformedQueryString", "The parameters cannot be read.") from error
        for name, value in pairs:
            if name in found:
                raise QueryError("MalformedQueryString", f"{_shown(name)} is given twice.")
            found[name] = value
    return found


def members(parameters: Mapping[str, str], name: str) -> list[dict[str, str]]:
    """A list's items, each by its fields ("" of a plain one). Raises MalformedQueryString for
    numbers that are none or leave one out."""
    items: dict[int, dict[str, str]] = {}
    start = f"{name}.member."
    for key, value in parameters.items():
        if not key.startswith(start):
            continue
        number, _, field = key.removeprefix(start).partition(".")
        if not number.isascii() or not number.isdigit() or len(number) > 4:
            raise QueryError("MalformedQueryString", f"{_shown(key)} is no member of a list.")
        items.setdefault(int(number), {})[field] = value
    if sorted(items) != list(range(1, len(items) + 1)):
        raise QueryError("MalformedQueryString", f"The members of {name} are not 1, 2, …")
    return [items[number] for number in sorted(items)]


def iso(ms: int) -> datetime:
    """A time in an answer."""
    return datetime.fromtimestamp(ms // 1000, UTC)


def render(service: str, action: str, result: Mapping[str, Value] | None, request_id: str) -> bytes:
    """A whole answer; `result` None where the action has nothing to say."""
    inner = "" if result is None else _element(f"{action}Result", result)
    about = _element("ResponseMetadata", {"RequestId": request_id})
    return _document(f"{action}Response", service, inner + about)


def render_error(service: str, error: QueryError, request_id: str) -> bytes:
    told = {
        "Type": "Sender" if error.status < 500 else "Receiver",
        "Code": error.code,
        "Message": error.message,
    }
    inner = _element("Error", told) + _element("RequestId", request_id)
    return _document("ErrorResponse", service, inner)


def _document(root: str, service: str, inner: str) -> bytes:
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return f'{head}<{root} xmlns="{_NAMESPACES[service]}">{inner}</{root}>'.encode()


def _element(name: str, value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, datetime):
        text = value.strftime("%Y-%m-%dT%H:%M:%SZ")
    elif isinstance(value, str | int):
        text = escape(_shown(str(value)))
    elif isinstance(value, Table):
        pairs = ({"key": key, "value": one} for key, one in value.entries.items())
        text = "".join(_element("entry", pair) for pair in pairs)
    elif isinstance(value, Mapping):
        text = "".join(_element(field, one) for field, one in value.items())
    else:
        text = "".join(_element("member", one) for one in value)
    return f"<{name}>{text}</{name}>"


def _shown(text: str) -> str:
    """What a stranger may have chosen, as XML can carry it."""
    return _CONTROL.sub("?", text)
