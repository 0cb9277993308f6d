"""Object Lock on the wire: a bucket's configuration, retention and legal hold of a version, and the
headers that ask for both.

Sources: AWS API reference of PutObjectLockConfiguration, PutObjectRetention, PutObjectLegalHold,
PutObject; AWS user guide "Locking objects with Object Lock". Dates keep milliseconds.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple
from xml.etree.ElementTree import Element

from coffre.wire.dates import iso, parse_iso
from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead
from coffre.wire.xml import document, element, integer, leaves, malformed, optional, parse, tag

Mode = Literal["GOVERNANCE", "COMPLIANCE"]

DOCUMENT_LIMIT: Final = 64 * 1024
MODE: Final = b"x-amz-object-lock-mode"
UNTIL: Final = b"x-amz-object-lock-retain-until-date"
HOLD: Final = b"x-amz-object-lock-legal-hold"
BUCKET_LOCK: Final = b"x-amz-bucket-object-lock-enabled"
_BYPASS: Final = b"x-amz-bypass-governance-retention"
_MODES: Final[dict[str, Mode]] = {"GOVERNANCE": "GOVERNANCE", "COMPLIANCE": "COMPLIANCE"}
_HOLDS: Final = {"ON": True, "OFF": False}
_PERIODS: Final = {"Days": 36_500, "Years": 100}
_EVENT_HOLDS: Final = frozenset({"DefaultEventHold", "EventHold", "EventHoldDuration"})
_LAST_MS: Final = 253_402_300_799_999  # the end of the year 9999: S3's dates have four digits


class Retention(NamedTuple):
    """Until when (ms since 1970) a version is kept."""

    mode: Mode
    until_ms: int


class DefaultRetention(NamedTuple):
    """How long a bucket retains new versions: days, or else years."""

    mode: Mode
    days: int = 0
    years: int = 0


class Asked(NamedTuple):
    """What a write asks for; `held` None: it says nothing of a legal hold."""

    retention: Retention | None = None
    held: bool | None = None


def parse_configuration(body: bytes) -> DefaultRetention | None:
    """The default retention that an ObjectLockConfiguration sets; None for none.

    Raises MalformedXML, InvalidArgument (a period that is none), NotImplemented (event holds).
    """
    found = _children(parse(body, "ObjectLockConfiguration"), ("ObjectLockEnabled", "Rule"))
    enabled = found.get("ObjectLockEnabled")
    if enabled is None or len(enabled) or enabled.text != "Enabled":
        raise malformed()
    if "Rule" not in found:
        return None
    rule = _children(found["Rule"], ("DefaultRetention",))
    if "DefaultRetention" not in rule:
        raise malformed()
    _refuse_event_holds(rule["DefaultRetention"])
    texts = leaves(rule["DefaultRetention"], ("Mode", "Days", "Years"))
    if len(texts) != 2:  # a mode, and one of both periods
        raise malformed()
    mode = _MODES.get(texts.pop("Mode", ""))
    if mode is None:
        raise malformed()
    ((unit, text),) = texts.items()
    period = integer(text)
    if not 0 < period <= _PERIODS[unit]:
        raise S3Error(
            "InvalidArgument",
            "Default retention period must be a positive integer value."
            if period <= 0
            else f"Default retention period must be at most {_PERIODS[unit]} {unit.lower()}.",
            ArgumentName=unit,
            ArgumentValue=str(period),
        )
    return DefaultRetention(mode, **{unit.lower(): period})


def render_configuration(default: DefaultRetention | None) -> bytes:
    """ObjectLockConfiguration; without a default it has no Rule."""
    rule = ""
    if default is not None:
        period = (optional("Days", default.days or None), optional("Years", default.years or None))
        kept = element("DefaultRetention", tag("Mode", default.mode), *period)
        rule = element("Rule", kept)
    return document("ObjectLockConfiguration", tag("ObjectLockEnabled", "Enabled"), rule)


def parse_retention(body: bytes) -> Retention | None:
    """A Retention document; None for an empty one, which ends the retention.

    Raises MalformedXML, NotImplemented (event holds).
    """
    root = parse(body, "Retention")
    _refuse_event_holds(root)
    texts = leaves(root, ("Mode", "RetainUntilDate"))
    if not texts:
        return None
    mode, until_ms = _MODES.get(texts.get("Mode", "")), _date(texts.get("RetainUntilDate", ""))
    if mode is None or until_ms is None:
        raise malformed()
    return Retention(mode, until_ms)


def render_retention(kept: Retention) -> bytes:
    return document("Retention", tag("Mode", kept.mode), tag("RetainUntilDate", iso(kept.until_ms)))


def parse_legal_hold(body: bytes) -> bool:
    """Whether a LegalHold document holds. Raises MalformedXML."""
    held = _HOLDS.get(leaves(parse(body, "LegalHold"), ("Status",)).get("Status", ""))
    if held is None:
        raise malformed()
    return held


def render_legal_hold(held: bool) -> bytes:
    return document("LegalHold", tag("Status", "ON" if held else "OFF"))


def asked_of(head: RequestHead, now_ms: int) -> Asked:
    """What the headers of a write ask for. Raises InvalidArgument."""
    mode, until, hold = (head.header(name) for name in (MODE, UNTIL, HOLD))
    held = None if hold is None else _HOLDS.get(hold)
    if hold is not None and held is None:
        raise _invalid(HOLD, hold, "Legal Hold must be either of 'ON' or 'OFF'")
    if mode is None and until is None:
        return Asked(None, held)
    if mode is None or until is None:
        raise _invalid(
            MODE if mode is None else UNTIL,
            "",
            "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied",
        )
    known = _MODES.get(mode)
    if known is None:
        raise _invalid(MODE, mode, "Unknown wormMode directive.")
    until_ms = _date(until)
    if until_ms is None:
        raise _invalid(UNTIL, until, "The retain until date must be provided in ISO 8601 format")
    if until_ms <= now_ms:
        raise _invalid(UNTIL, until, "The retain until date must be in the future!")
    return Asked(Retention(known, until_ms), held)


def wants_lock(head: RequestHead) -> bool:
    """`x-amz-bucket-object-lock-enabled`. Raises InvalidArgument."""
    text = head.header(BUCKET_LOCK)
    if text is None or text.lower() in ("true", "false"):
        return text is not None and text.lower() == "true"
    raise _invalid(BUCKET_LOCK, text, "The value is true or false")


def wants_bypass(head: RequestHead) -> bool:
    """`x-amz-bypass-governance-retention: true`."""
    return (head.header(_BYPASS) or "").lower() == "true"


def _date(text: str) -> int | None:
    found = parse_iso(text)
    return found if found is not None and found <= _LAST_MS else None


def _children(parent: Element, known: tuple[str, ...]) -> dict[str, Element]:
    found = {child.tag: child for child in parent}
    if len(found) < len(parent) or not found.keys() <= set(known):
        raise malformed()
    return found


def _refuse_event_holds(parent: Element) -> None:
    for child in parent:
        if child.tag in _EVENT_HOLDS:
            raise S3Error("NotImplemented", "Event holds are not implemented")


def _invalid(name: bytes, value: str, message: str) -> S3Error:
    return S3Error("InvalidArgument", message, ArgumentName=name.decode(), ArgumentValue=value)
