"""multipart/form-data as browsers send it to POST Object: fields first, then the file as a stream.

Sources: RFC 7578 and RFC 2046 §5.1; AWS "POST Object" for the order of fields, their bounds and the
errors. What is held at a time is the fields (20 KB) and no more of the file than a delimiter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead

MAX_FIELDS: Final = 20 * 1024  # bytes of everything before the file's content, and after it
FILENAME: Final = "${filename}"

_BOUNDARY: Final = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_TYPE: Final = re.compile(rb"multipart/form-data\s*;(.*)", re.IGNORECASE | re.DOTALL)
_PARAMETER: Final = re.compile(
    rb';?\s*([!#-+\-.^-~0-9A-Z]+)\s*=\s*(?:"((?:\\"|[^"])*)"|([^\s;"]*))\s*'
)
# What follows a delimiter; anything else was no delimiter, and the file goes on behind it.
_DELIMITED: Final = re.compile(rb"--|[ \t]*\r\n")
# Fields that the signature's own parts are in: no file name is put into them.
_UNEXPANDED: Final = frozenset({"policy", "signature", "x-amz-signature", "x-amz-credential"})


class _Expect(Enum):
    """What the next byte belongs to."""

    PREAMBLE = auto()
    DELIMITER_END = auto()
    HEADERS = auto()
    FIELD = auto()
    FILE = auto()
    REST = auto()


def boundary(head: RequestHead) -> bytes:
    """The boundary that Content-Type names. PreconditionFailed (as AWS) for any other type."""
    values = head.by_name.get(b"content-type", [])
    found = _TYPE.fullmatch(values[0].strip()) if len(values) == 1 else None
    if found is None:
        raise S3Error(
            "PreconditionFailed",
            Condition="Bucket POST must be of the enclosure-type multipart/form-data",
        )
    named = _parameters(found[1]).get(b"boundary", b"")
    if not _BOUNDARY.fullmatch(named):
        raise _malformed()
    return named


class FormDecoder:
    """A `BodyDecoder` whose payload is the file's content.

    `fields` (lower-case name -> text) are whole once `at_file` is true; later fields are ignored,
    as on AWS. A `${filename}` in a field is the name of the file, without the path that some
    browsers send.
    """

    def __init__(self, named_boundary: bytes) -> None:
        self.expected: int | None = None
        self.fields: dict[str, str] = {}
        self.at_file = False
        self._delimiter = b"\r\n--" + named_boundary
        # The first delimiter stands at a line's beginning too.
        self._held = b"\r\n"
        self._state = _Expect.PREAMBLE
        self._name = ""
        self._before = 0
        self._after = bytearray()

    def feed(self, data: bytes) -> list[bytes | memoryview]:
        """The file's content in the next bytes. MalformedPOSTRequest,
        MaxPostPreDataLengthExceededError, InvalidArgument for a field given twice."""
        data, self._held = self._held + data, b""
        pieces: list[bytes | memoryview] = []
        at = 0
        while at < len(data):
            if self._state is _Expect.REST:
                self._after += data[at:]
                break
            if self._state is _Expect.FILE:
                at = self._take_file(data, at, pieces)
                continue
            if self._state is _Expect.DELIMITER_END and data.startswith(b"--", at):
                self._state = _Expect.REST
                continue
            end = self._end_of_item(data, at)
            if end < 0:
                self._held = data[at:]
                break
            following = self._take_item(data, at, end)
            self._before += following - at
            at = following
        held = 0 if self.at_file else len(self._held)
        if self._before + held > MAX_FIELDS:
            raise S3Error("MaxPostPreDataLengthExceededError", MaxSizeAllowed=str(MAX_FIELDS))
        if len(self._after) > MAX_FIELDS:
            raise _malformed()
        return pieces

    def finish(self) -> dict[str, str]:
        """MalformedPOSTRequest unless the form is whole, IncorrectNumberOfFilesInPostRequest where
        it has no file."""
        if self._state is not _Expect.REST or not _DELIMITED.match(self._after):
            raise _malformed()
        if not self.at_file:
            raise S3Error("IncorrectNumberOfFilesInPostRequest")
        return {}

    def _end_of_item(self, data: bytes, at: int) -> int:
        match self._state:
            case _Expect.HEADERS:
                return data.find(b"\r\n\r\n", at)
            case _Expect.DELIMITER_END:
                return data.find(b"\r\n", at)
        return data.find(self._delimiter, at)

    def _take_item(self, data: bytes, at: int, end: int) -> int:
        """What stands from `at` to `end`, and where the next item begins."""
        item = data[at:end]
        match self._state:
            case _Expect.HEADERS:
                self._open(item)
                return end + 4
            case _Expect.DELIMITER_END:
                if item.strip(b" \t"):
                    raise _malformed()
                self._state = _Expect.HEADERS
                return end + 2
            case _Expect.FIELD:
                self._add(item)
        self._state = _Expect.DELIMITER_END
        return end + len(self._delimiter)

    def _open(self, headers: bytes) -> None:
        name, filename = _disposition(headers)
        if name == "file":
            self._expand(filename)
            self.at_file = True
            self._state = _Expect.FILE
            return
        if name in self.fields:
            raise S3Error(
                "InvalidArgument", f"The field {name} must be given only once", ArgumentName=name
            )
        self._name = name
        self._state = _Expect.FIELD

    def _add(self, content: bytes) -> None:
        try:
            self.fields[self._name] = content.decode()
        except UnicodeDecodeError as error:
            raise _malformed() from error

    def _expand(self, filename: str) -> None:
        bare = re.split(r"[/\\]", filename)[-1]
        for name, text in self.fields.items():
            if FILENAME in text and name not in _UNEXPANDED:
                self.fields[name] = text.replace(FILENAME, bare)

    def _take_file(self, data: bytes, at: int, pieces: list[bytes | memoryview]) -> int:
        end = data.find(self._delimiter, at)
        if end < 0:
            # What may be a delimiter's beginning waits for the next bytes.
            stop = max(at, len(data) - len(self._delimiter) + 1)
            self._held = data[stop:]
        else:
            stop = end
            self._state = _Expect.REST
        if stop > at:
            pieces.append(memoryview(data)[at:stop])
        return len(data) if end < 0 else end + len(self._delimiter)


def _disposition(headers: bytes) -> tuple[str, str]:
    """Name (lower case) and file name of a part."""
    for line in headers.split(b"\r\n"):
        field, _, value = line.partition(b":")
        if field.strip().lower() != b"content-disposition":
            continue
        kind, _, rest = value.partition(b";")
        parameters: Mapping[bytes, bytes] = _parameters(rest)
        if kind.strip().lower() != b"form-data" or not parameters.get(b"name"):
            raise _malformed()
        try:
            name = parameters[b"name"].decode().lower()
            return name, parameters.get(b"filename", b"").decode()
        except UnicodeDecodeError as error:
            raise _malformed() from error
    raise _malformed()


def _parameters(text: bytes) -> dict[bytes, bytes]:
    """`name=value` and `name="value"` after a header's first word. A backslash is one, but for
    that before a quote: old browsers send paths."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(text):
        parameter = _PARAMETER.match(text, at)
        if parameter is None or parameter.end() == at:
            raise _malformed()
        quoted = parameter[2]
        value = parameter[3] if quoted is None else quoted.replace(b'\\"', b'"')
        if found.setdefault(parameter[1].lower(), value) is not value:
            raise _malformed()
        at = parameter.end()
    return found


def _malformed() -> S3Error:
    return S3Error("MalformedPOSTRequest")
