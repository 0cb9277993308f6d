"""S3's XML documents as typed values, and back: what the management API says in JSON, it asks and
tells the S3 service in S3's own words.

A field's element is its name in S3's spelling (`max_age_seconds` is `MaxAgeSeconds`), or what
`named` says: a path of elements (`TagSet/Tag`). A list is its last element repeated. What S3 does
not say stays at its default; None and empty lists are not said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, TypeVar, get_type_hints
from xml.etree.ElementTree import Element, SubElement, tostring

import msgspec
from msgspec import Meta, Struct, inspect

from coffre.wire.errors import S3Error
from coffre.wire.xml import NAMESPACE, parse

_T = TypeVar("_T", bound=Struct)
_PATH: Final = "xml"
# What XML 1.0 has no way to write.
_UNWRITABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_LIMIT: Final = 16 << 20


def named(path: str) -> Meta:
    """Where a field's text or value is in its document, where its own name does not say it."""
    return Meta(extra={_PATH: path})


def read_xml(kind: type[_T], body: bytes, root: str) -> _T:
    """The value that a document says. Raises S3Error, msgspec.ValidationError."""
    return msgspec.convert(_told(_shape(kind), parse(body, root, limit=_LIMIT)), kind, strict=False)


def write_xml(value: Struct, root: str) -> bytes:
    """The document that says a value. Raises S3Error where a text has no XML."""
    document = Element(root, xmlns=NAMESPACE)
    _say(_shape(type(value)), value, document)
    written: bytes = tostring(document, "utf-8")
    return written


class _Field:
    """One field: its steps in the document, whether it repeats, what its elements hold."""

    def __init__(self, name: str, path: str, many: bool, inner: tuple[_Field, ...] | None) -> None:
        self.name = name
        *self.outer, self.last = path.split("/")
        self.many = many
        self.inner = inner


@lru_cache(maxsize=128)
def _shape(kind: type[Struct]) -> tuple[_Field, ...]:
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType), "documents are Structs"
    paths = {name: _path(hint) for name, hint in get_type_hints(kind, include_extras=True).items()}
    return tuple(
        _field(one.name, paths[one.name] or _spelled(one.name), one.type)
        for one in described.fields
    )


def _path(hint: Any) -> str:
    for one in getattr(hint, "__metadata__", ()):
        if isinstance(one, Meta) and one.extra and _PATH in one.extra:
            return str(one.extra[_PATH])
    return ""


def _field(name: str, path: str, kind: inspect.Type) -> _Field:
    kind = _bare(kind)
    many = isinstance(kind, inspect.ListType | inspect.VarTupleType)
    if isinstance(kind, inspect.ListType | inspect.VarTupleType):
        kind = _bare(kind.item_type)
    inner = _shape(kind.cls) if isinstance(kind, inspect.StructType) else None
    return _Field(name, path, many, inner)


def _bare(kind: inspect.Type) -> inspect.Type:
    """Without descriptions and without None."""
    while isinstance(kind, inspect.Metadata | inspect.UnionType):
        if isinstance(kind, inspect.Metadata):
            kind = kind.type
        else:
            (kind,) = (one for one in kind.types if not isinstance(one, inspect.NoneType))
    return kind


def _spelled(name: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


def _told(shape: tuple[_Field, ...], element: Element) -> dict[str, Any]:
    """What an element says, by field, texts as they stand."""
    found: dict[str, Any] = {}
    for field in shape:
        values = [_value(field, one) for one in _places(field, element)]
        if field.many:
            found[field.name] = values
        elif values:
            found[field.name] = values[0]
    return found


def _places(field: _Field, element: Element) -> Iterator[Element]:
    at = [element]
    for step in (*field.outer, field.last):
        at = [child for one in at for child in one if child.tag == step]
    yield from at


def _value(field: _Field, element: Element) -> Any:
    return element.text or "" if field.inner is None else _told(field.inner, element)


def _say(shape: tuple[_Field, ...], value: Struct, element: Element) -> None:
    for field in shape:
        held = getattr(value, field.name)
        if held is None:
            continue
        for one in held if field.many else (held,):
            at = element
            for step in field.outer:
                found = at.find(step)
                at = SubElement(at, step) if found is None else found
            place = SubElement(at, field.last)
            if field.inner is not None:
                _say(field.inner, one, place)
            else:
                place.text = _text(one)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if _UNWRITABLE.search(text):
        raise S3Error("InvalidArgument", "a text holds what no XML document can say")
    return text
