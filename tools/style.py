"""House rules that no linter knows: sizes, names, doors to the world, nothing of any one machine.

Run from the repository's root: `python -m tools.style`. Prints every breach; exits 1 on any.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

FUNCTION_LINES = 70
FILE_LINES = 500
# path, or path:function -> (lines allowed, why). An entry that is no longer needed is a breach.
LARGER: dict[str, tuple[int, str]] = {}

PYTHON_ROOTS = ("src", "tests", "bench", "tools")
NAMELESS = {"utils", "util", "helpers", "helper", "misc", "common"}
UNFINISHED = tuple(a + b for a, b in (("TO", "DO"), ("FIX", "ME"), ("XX", "X"), ("HA", "CK")))
# Written in pieces, so that this file does not break its own rule.
MACHINE = tuple(
    a + b
    for a, b in (
        ("/wor", "k/"),
        ("/roo", "t/"),
        ("/opt/whe", "els"),
        ("pypi.", "org"),
        ("pythonhos", "ted"),
        ("registry.npm", "js"),
        ("proxy.go", "lang"),
        ("deb.deb", "ian"),
    )
)

# Who may reach the disk, the clock and randomness: everybody else takes them as arguments.
FILE_DOORS = ("vault/", "catalog/", "system/", "service/", "cli/", "testing/", "config.py")
WORLD_DOORS = ("system/", "service/", "cli/", "testing/")
FILE_CALLS = {
    "open", "os.open", "io.open", "os.rename", "os.replace", "os.unlink", "os.remove", "os.mkdir",
    "os.makedirs", "os.listdir", "os.scandir", "tempfile.mkstemp", "tempfile.TemporaryFile",
}  # fmt: skip
WORLD_CALLS = {
    "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.sleep",
    "datetime.now", "datetime.datetime.now", "datetime.utcnow", "os.urandom", "uuid.uuid4",
    "secrets.token_bytes", "secrets.token_hex", "secrets.token_urlsafe", "random.random",
    "random.randint", "random.choice", "random.randbytes",
}  # fmt: skip


def tracked() -> list[Path]:
    """The repository's files, with those that git would add."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    return [path for name in names if name and (path := Path(name)).is_file()]


def too_long(what: str, lines: int, limit: int) -> Iterator[str]:
    allowed, _ = LARGER.get(what, (limit, ""))
    if lines > allowed:
        yield f"{what}: {lines} lines, more than {allowed}"
    elif what in LARGER and lines <= limit:
        yield f"{what}: fits again: take it off the list in tools/style.py"


def called(node: ast.Call) -> str:
    """`os.path.join(…)` as "os.path.join"; "" for what has no plain name."""
    return ast.unparse(node.func) if isinstance(node.func, ast.Name | ast.Attribute) else ""


def python_breaches(path: Path, text: str) -> Iterator[str]:
    yield from too_long(str(path), text.count("\n"), FILE_LINES)
    if path.stem in NAMELESS:
        yield f"{path}: a file is named for what it knows"
    tree = ast.parse(text, str(path))
    room = str(path).removeprefix("src/coffre/") if path.parts[:2] == ("src", "coffre") else None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            yield from too_long(f"{path}:{node.name}", lines, FUNCTION_LINES)
        if room is not None and isinstance(node, ast.Call):
            name = called(node)
            if name in FILE_CALLS and not room.startswith(FILE_DOORS):
                yield f"{path}:{node.lineno}: {name}() is a door of vault, catalog and system.disk"
            if name in WORLD_CALLS and not room.startswith(WORLD_DOORS):
                yield f"{path}:{node.lineno}: {name}() comes in as an argument (Clock, Entropy)"


def text_breaches(path: Path, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        for words in (MACHINE, UNFINISHED if path.suffix == ".py" else ()):
            for word in words:
                if word in line:
                    yield f"{path}:{number}: {word!r} has no place in this repository"


def main() -> int:
    breaches: list[str] = []
    seen: set[str] = set()
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        breaches += text_breaches(path, text)
        if path.suffix == ".py" and path.parts[0] in PYTHON_ROOTS:
            breaches += python_breaches(path, text)
            seen.add(str(path))
    breaches += [
        f"{name}: gone, but on the list" for name in LARGER if name.partition(":")[0] not in seen
    ]
    print("\n".join(breaches) or f"style: {len(seen)} Python files keep the house rules")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
