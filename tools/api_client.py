"""Writes the management API's client, `coffre/client/{types,calls}`, from the API's table:
`python -m tools.api_client`."""

from __future__ import annotations

import keyword
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, inspect

from coffre.console.api.activities import Activity
from coffre.console.api.route import Route
from coffre.console.api.table import ROUTES

PLACE = Path(__file__).parents[1] / "src/coffre/client"
HEAD = (
    '"""{words} Generated: `python -m tools.api_client`."""\n\nfrom __future__ import annotations\n'
)
_PLAIN: dict[type, str] = {
    inspect.IntType: "int",
    inspect.StrType: "str",
    inspect.BoolType: "bool",
    inspect.FloatType: "float",
    inspect.NoneType: "None",
    inspect.AnyType: "Any",
    inspect.BytesType: "bytes",
}
# Those that need a browser's session, or are the description itself.
_LEFT_OUT = ("session.", "me.codes.", "me.password", "me.recovery.", "me.session.", "api.")


def files() -> dict[str, str]:
    """Every generated file by its path below `coffre/client`, formatted."""
    routes = [one for one in ROUTES if not one.operation.startswith(_LEFT_OUT)]
    kinds = _kinds(routes)
    found = {"types/__init__.py": '"""Values of the management API."""\n'}
    modules: dict[str, list[type[Struct]]] = defaultdict(list)
    for kind in kinds:
        modules[_module(kind)].append(kind)
    for module, members in modules.items():
        found[f"types/{module}.py"] = _types(module, members)
    groups: dict[str, list[Route]] = defaultdict(list)
    for one in routes:
        groups[one.operation.partition(".")[0] if "." in one.operation else ""].append(one)
    for group, rows in groups.items():
        if group:
            found[f"calls/{group}.py"] = _group(group, rows)
    found["calls/__init__.py"] = _client(sorted(filter(None, groups)), groups[""])
    made = {name: _formatted(text) for name, text in sorted(found.items())}
    return {**made, "operations.json": _operations(routes)}


def _formatted(text: str) -> str:
    """Sorted imports, and none that is not used."""
    common = ("--quiet", "--stdin-filename", str(PLACE / "generated.py"), "-")
    fixes = ("check", "--fix-only", "--select", "I,F401")
    for command in (fixes, ("format",)):
        run = (str(Path(sys.executable).parent / "ruff"), *command, *common)
        text = subprocess.run(run, input=text, capture_output=True, text=True, check=True).stdout
    return text


def _kinds(routes: Sequence[Route]) -> list[type[Struct]]:
    """Every value that answers hold, or arguments beside plain ones, what others need first."""
    found: dict[type[Struct], None] = {}

    def add(about: Any) -> None:
        match about:
            case inspect.StructType():
                if about.cls not in found:
                    for field in about.fields:
                        add(field.type)
                    found[about.cls] = None
            case inspect.UnionType():
                for one in about.types:
                    add(one)
            case inspect.ListType() | inspect.VarTupleType():
                add(about.item_type)
            case inspect.DictType():
                add(about.value_type)
            case inspect.Metadata():
                add(about.type)

    for one in routes:
        if one.answer is not None and one.media == "application/json":
            add(inspect.type_info(one.answer))
        if one.arguments is not None:
            for field in _all_fields(one):
                add(field.type)
    add(inspect.type_info(Activity))
    names = [kind.__name__ for kind in found]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise SystemExit(f"values of one name: {', '.join(sorted(twice))}")
    return list(found)


def _module(kind: type[Struct]) -> str:
    return kind.__module__.rpartition(".")[2]


def _text(about: Any) -> str:
    """A type, as it is written."""
    match about:
        case inspect.Metadata():
            return _text(about.type)
        case inspect.StructType():
            return about.cls.__name__
        case inspect.UnionType():
            ordered = sorted(about.types, key=lambda one: isinstance(one, inspect.NoneType))
            return " | ".join(_text(one) for one in ordered)
        case inspect.ListType() | inspect.VarTupleType():
            return f"list[{_text(about.item_type)}]"
        case inspect.DictType():
            return f"dict[{_text(about.key_type)}, {_text(about.value_type)}]"
        case inspect.LiteralType():
            return f"Literal[{', '.join(map(repr, about.values))}]"
        case inspect.EnumType():
            return f"Literal[{', '.join(repr(one.value) for one in about.cls)}]"
    return _PLAIN[type(about)]


def _types(module: str, members: Iterable[type[Struct]]) -> str:
    parts = [HEAD.format(words=f"Values of the management API: {module.replace('_', ' ')}.")]
    parts.append("from typing import Any, Literal\n\nfrom msgspec import Struct\n")
    others: set[tuple[str, str]] = set()
    bodies: list[str] = []
    for kind in members:
        info = inspect.type_info(kind)
        assert isinstance(info, inspect.StructType), "only Structs are asked for"
        lines = [f"class {kind.__name__}(Struct, kw_only=True):"]
        if kind.__doc__ and not kind.__doc__.startswith("Structs("):
            lines.append(f'    """{kind.__doc__.strip()}"""\n')
        for field in info.fields:
            others.update(_named(field.type))
            lines.append(f"    {field.name}: {_text(field.type)}{_default(field)}")
        bodies.append("\n".join(lines))
    parts += [_imports(one for one in others if one[0] != module)]
    return "\n\n".join([*parts, *bodies]) + "\n"


def _default(field: inspect.Field) -> str:
    if field.required:
        return ""
    if field.default_factory is not msgspec.NODEFAULT:
        return f" = {field.default_factory()!r}"
    value = field.default
    return f" = {value.value!r}" if hasattr(value, "value") else f" = {value!r}"


def _named(about: Any) -> Iterator[tuple[str, str]]:
    """The Structs that a type names: module and name."""
    match about:
        case inspect.StructType():
            yield _module(about.cls), about.cls.__name__
        case inspect.UnionType():
            for one in about.types:
                yield from _named(one)
        case inspect.ListType() | inspect.VarTupleType():
            yield from _named(about.item_type)
        case inspect.DictType():
            yield from _named(about.value_type)
        case inspect.Metadata():
            yield from _named(about.type)


def _imports(found: Iterable[tuple[str, str]]) -> str:
    return "\n".join(
        f"from coffre.client.types.{module} import {name}" for module, name in sorted(set(found))
    )


_CALLS = """
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Literal, Self

from msgspec import UNSET, UnsetType

from coffre.client.transport import Content, Transport, located
from coffre.client.types.activities import Activity
"""


_BEGUN = '''
    def __init__(self, origin: str, *, token: str = "", token_file: str | Path | None = None,
            ca_file: str | Path | None = None, timeout_s: float = 60.0) -> None:
        """As `Transport`."""
        self._transport = Transport(origin, token=token, token_file=token_file,
            ca_file=ca_file, timeout_s=timeout_s)'''
_OWN = '''
    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
            trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Leave; the next call connects again."""
        self._transport.close()

    def wait(self, activity: Activity, timeout_s: float = 3600.0) -> Activity:
        """Poll an activity until it ends. Raises ApiError where it failed, TimeoutError."""
        return msgspec.convert(self._transport.ended(activity.id, timeout_s), Activity)
'''


def _group(group: str, rows: Sequence[Route]) -> str:
    lines = [HEAD.format(words=f"Calls of the management API: {group}."), _CALLS]
    lines.append(_imports(one for row in rows for one in _names_of(row)))
    lines.append(f"\n\nclass {_calls(group)}:")
    lines.append(f'    """Operations `{group}.…`."""\n')
    lines.append("    def __init__(self, transport: Transport) -> None:")
    lines.append("        self._transport = transport\n")
    lines += [_method(row, "self._transport") for row in rows]
    return "\n".join(lines)


def _client(groups: Sequence[str], direct: Sequence[Route]) -> str:
    lines = [HEAD.format(words="The client: its groups of calls."), _CALLS]
    lines.append("from pathlib import Path")
    lines.append("from types import TracebackType\n\nimport msgspec")
    lines += [f"from coffre.client.calls.{one} import {_calls(one)}" for one in groups]
    lines.append(_imports(one for row in direct for one in _names_of(row)))
    lines.append("\n\nclass Client:")
    lines.append('    """The management API of one node."""\n')
    made = [f"        self.{one} = {_calls(one)}(self._transport)" for one in groups]
    lines += [_BEGUN, *made, _OWN]
    lines += [_method(row, "self._transport") for row in direct]
    return "\n".join(lines)


def _calls(group: str) -> str:
    return f"{group.capitalize()}Calls"


def _names_of(route: Route) -> Iterator[tuple[str, str]]:
    if route.answer is not None:
        yield from _named(inspect.type_info(route.answer))
    for field in _all_fields(route):
        yield from _named(field.type)


def _method(route: Route, transport: str) -> str:
    name = route.operation.partition(".")[2].replace(".", "_").replace("-", "_")
    name = name or route.operation
    name = f"{name}_" if keyword.iskeyword(name) else name
    fields = _fields(route)
    given = [f"{one.name}: {_argument(one.type)}" for one in fields if one.required]
    given += [f"{one.name}: {_or_unset(one.type)} = UNSET" for one in fields if not one.required]
    if route.body != "application/json":
        given.append("content: bytes | BinaryIO")
    if route.edits:
        given.append("if_match: str = ''")
    star = "*, " if given else ""
    answer, call = _call(route, transport, [one.name for one in fields])
    words = route.summary or f"`{route.operation}`."
    return (
        f"    def {name}(self, {star}{', '.join(given)}) -> {answer}:\n"
        f'        """{words}"""\n        {call}\n'
    )


def _argument(about: Any) -> str:
    """A method may be called `list`: the type of that name is meant nowhere in a class."""
    return _text(about).replace("list[", "Sequence[")


def _or_unset(about: Any) -> str:
    text = _argument(about)
    if text.endswith(" | None"):
        return f"{text.removesuffix(' | None')} | UnsetType | None"
    return f"{text} | UnsetType"


def _all_fields(route: Route) -> Sequence[inspect.Field]:
    if route.arguments is None:
        return ()
    info = inspect.type_info(route.arguments)
    assert isinstance(info, inspect.StructType), "arguments are a Struct"
    return info.fields


def _fields(route: Route) -> Sequence[inspect.Field]:
    """Without what the client does by itself: pages."""
    own = () if route.pages is None else (route.pages.after, route.pages.limit)
    return [one for one in _all_fields(route) if one.name not in own]


def _call(route: Route, transport: str, names: Sequence[str]) -> tuple[str, str]:
    """The type of the answer, and the statement that asks for it."""
    words = [
        part[1:-1].partition(":")[0] if part.startswith("{") else repr(part)
        for part in route.path.strip("/").split("/")
    ]
    beside = [one for one in names if one not in route.in_path]
    fields = "{" + ", ".join(f"{one!r}: {one}" for one in beside) + "}" if beside else ""
    common = f"{route.method!r}, located({', '.join(words)})"
    match = ", if_match=if_match" if route.edits else ""
    tail = f", {fields}" if fields else ""
    if route.media != "application/json":
        return "Content", f"return {transport}.content({common}{tail})"
    if route.long:
        return "Activity", f"return {transport}.value({common}, Activity{tail}{match})"
    if route.answer is None:
        return "None", f"{transport}.nothing({common}{tail}{match})"
    kind = _text(inspect.type_info(route.answer))
    if route.body != "application/json":
        return kind, f"return {transport}.upload({common}, {kind}, content{tail})"
    if route.rows is not None or route.pages is not None:
        return f"Iterator[{kind}]", f"return {transport}.rows({common}, {kind}{tail})"
    return kind, f"return {transport}.value({common}, {kind}{tail}{match})"


def _operations(routes: Sequence[Route]) -> str:
    """What a door needs that takes operations by name; one a line."""
    lines: list[str] = []
    for one in routes:
        if one.media != "application/json" or one.body != "application/json":
            continue
        answer = "nothing" if one.answer is None else "value"
        answer = "rows" if one.rows is not None else "pages" if one.pages is not None else answer
        row = {
            "method": one.method,
            "path": one.path,
            "answer": "long" if one.long else answer,
            "names": [field.name for field in _all_fields(one)],
            "renamed": {after: before for before, after in one.renamed.items() if after},
        }
        if one.pages is not None:
            pages = one.pages
            row |= {"after": pages.after, "limit": pages.limit}
            row |= {"items": pages.items, "next": pages.next}
        lines.append(f'"{one.operation}": {msgspec.json.encode(row).decode()}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def stale_files() -> list[str]:
    """What differs from what would be generated, or should not be there."""
    wanted = files()
    standing = {
        str(one.relative_to(PLACE)): one.read_text()
        for part in ("types", "calls")
        for one in (PLACE / part).glob("*.py")
    }
    standing["operations.json"] = (PLACE / "operations.json").read_text()
    names = {*wanted, *standing}
    return sorted(name for name in names if wanted.get(name) != standing.get(name))


def main() -> None:
    """Write them all; what is generated no more goes."""
    for part in ("types", "calls"):
        shutil.rmtree(PLACE / part, ignore_errors=True)
    for name, text in files().items():
        place = PLACE / name
        place.parent.mkdir(exist_ok=True)
        place.write_text(text)


if __name__ == "__main__":
    main()
