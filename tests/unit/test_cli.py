"""The command: its answers on standard output, its complaints as one line, its exit codes."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.cli import show
from coffre.cli.main import main, root
from coffre.cli.options import Duration
from coffre.cli.welcome import aws_line, mc_line, python_line
from coffre.config import Settings

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
FACTS: dict[str, Any] = {
    "endpoint": "http://main.localhost:9000",
    "region": "us-east-1",
    "owner_id": "ab" * 32,
    "owner_name": "Initial S3 user",
    "access_key": "CFEXAMPLE",
    "operator": "operator",
}
SECRETS = {"secret_key": "s3cr3t_-", "password": "p4ssw0rd"}


class StartRefused(Exception):
    pass


class Invalid(Exception):
    def __init__(self, code: str, message: str, field: str | None) -> None:
        super().__init__(message)
        self.code, self.message, self.field = code, message, field


class Result(msgspec.Struct):
    access_key: str = "CFEXAMPLE"
    secret_key: str = "s3cr3t_-"
    owner_id: str = "ab" * 32
    owner_name: str = "Initial S3 user"
    operator: str = "operator"
    password: str = "p4ssw0rd"


class Node:
    """A node that answers each operation as told and remembers what it was asked."""

    def __init__(self) -> None:
        self.settings: Settings | None = None
        self.engine = ""
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Any] = {}
        self.facts = FACTS | SECRETS
        self.refusal: Exception | None = None

    def call(self, operation: str, arguments: Mapping[str, Any]) -> Any:
        self.asked.append((operation, dict(arguments)))
        if self.refusal:
            raise self.refusal
        return self.answers[operation]


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Node:
    """The service behind the command line, played by a `Node`."""
    played = Node()
    service, administration = ModuleType("coffre.service"), ModuleType("administration")

    def take(settings: Settings) -> None:
        played.settings = settings
        if played.refusal:
            raise played.refusal

    def initialize(settings: Settings, *, accept_less: bool = False) -> Result:
        take(settings)
        return Result()

    def serve(
        settings: Settings,
        announce: Callable[[dict[str, Any]], None],
        engine: str,
        *,
        accept_less: bool = False,
    ) -> None:
        take(settings)
        played.engine = engine
        announce(dict(played.facts))

    @contextmanager
    def offline(settings: Settings) -> Iterator[Node]:
        played.settings = settings
        if isinstance(played.refusal, StartRefused):
            raise played.refusal
        yield played

    for name, value in {
        "StartRefused": StartRefused,
        "initialize": initialize,
        "serve": serve,
        "offline": offline,
    }.items():
        setattr(service, name, value)
    administration.Invalid = Invalid  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "coffre.service", service)
    monkeypatch.setitem(sys.modules, "coffre.service.administration", administration)
    monkeypatch.setenv("COFFRE_DATA", str(tmp_path))
    return played


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """The complaint: the one line on standard error, with nothing on standard output."""
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("coffre: ")
    assert err.count("\n") == 1
    return err


def answered(capsys: pytest.CaptureFixture[str]) -> Any:
    """The JSON answer: one line on standard output, with nothing on standard error."""
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("\n") == 1
    return json.loads(out)


def test_serve_with_json_prints_one_line_without_the_hosts_hint(
    node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    node.facts["hosts"] = "127.0.0.1 main.localhost"
    assert main(["serve", "--json", "--port", "0"]) == 0
    assert answered(capsys) == FACTS | SECRETS
    assert node.settings is not None
    assert node.settings.port == 0
    assert node.engine == "drives"


def test_serve_on_the_memory_engine_passes_it_on_and_promises_nothing(
    node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--engine", "memory"]) == 0
    assert node.engine == "memory"
    out = capsys.readouterr().out
    assert "ends with this process" in out
    assert "rotate" not in out


def test_the_first_start_shows_secrets_and_three_lines_to_paste_and_a_later_one_does_not(
    node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    node.facts["hosts"] = "127.0.0.1 main.localhost"
    main(["serve"])
    first = capsys.readouterr().out
    node.facts = dict(FACTS)
    main(["serve"])
    later = capsys.readouterr().out
    for secret in SECRETS.values():
        assert secret in first
        assert secret not in later
    for line in (aws_line(FACTS | SECRETS), mc_line(FACTS | SECRETS), python_line(FACTS | SECRETS)):
        assert f"\n{line}\n" in first
    assert "  127.0.0.1 main.localhost\n" in first
    assert later.count("\n") == 1


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-9"])
def test_the_python_line_survives_the_shell_and_compiles(region: str) -> None:
    words = shlex.split(python_line(FACTS | SECRETS | {"region": region}))
    assert words[:2] == ["python3", "-c"]
    compile(words[2], "line", "exec")
    assert (region in words[2].partition("create_bucket")[2]) == (region != "us-east-1")


def test_init_prints_the_new_region(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--json"]) == 0
    assert answered(capsys) == msgspec.to_builtins(Result())
    assert main(["init"]) == 0
    assert "Secret key         s3cr3t_-" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["init", "serve", "status"])
def test_a_start_that_is_refused_is_one_line_and_code_two(
    node: Node, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    node.refusal = StartRefused("port 9000 is taken:\n  choose another with COFFRE_PORT")
    assert main([command, "--json"]) == 2
    assert said(capsys) == "coffre: port 9000 is taken: choose another with COFFRE_PORT\n"


def test_a_policy_that_is_no_text_or_too_long_goes_nowhere(
    node: Node, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for document, why in ((b"\xff\xfe{", "no text in UTF-8"), (b" " * 20_481, "longer than")):
        (tmp_path / "policy.json").write_bytes(document)
        assert main(["policy", "set", "scans", str(tmp_path / "policy.json")]) == 2
        assert why in said(capsys)
    assert node.asked == []


@pytest.mark.parametrize(
    ("line", "operation", "arguments"),
    [
        ("status", "status", {}),
        (
            "store create docs",
            "store.create",
            {"name": "docs", "dialect": "aws"},
        ),
        (
            "store create docs --dialect ecs --profile spec",
            "store.create",
            {"name": "docs", "dialect": "ecs", "profile": "spec"},
        ),
        (
            "store set docs --profile spec --retention-policy gold=60 --retention-policy ever=-1",
            "store.set",
            {
                "name": "docs",
                "profile": "spec",
                "retention_policies": {"gold": 60, "ever": -1},
            },
        ),
        ("store list", "store.list", {}),
        (
            "user create --store docs --label 'A B'",
            "user.create",
            {"store": "docs", "label": "A B", "kind": "object"},
        ),
        (
            "user create --store docs --label L --kind iam",
            "user.create",
            {"store": "docs", "label": "L", "kind": "iam"},
        ),
        (
            "user rotate CFX --grace 1h",
            "user.rotate",
            {"access_key": "CFX", "grace_seconds": 3600},
        ),
        ("user rotate CFX", "user.rotate", {"access_key": "CFX", "grace_seconds": 0}),
        (
            "user rotate CFX --end-grace",
            "user.rotate",
            {"access_key": "CFX", "grace_seconds": 0, "end_grace": True},
        ),
        (
            "user create --store docs --label L --no-create-buckets",
            "user.create",
            {"store": "docs", "label": "L", "kind": "object", "create_buckets": False},
        ),
        (
            "store create docs --tenant acme --quota-bytes 2GiB --network custom --address ::1"
            " --address 10.0.0.0/8 --block-public",
            "store.create",
            {
                "name": "docs",
                "tenant": "acme",
                "dialect": "aws",
                "hard_bytes": 2 << 30,
                "network": "custom",
                "addresses": ["::1", "10.0.0.0/8"],
                "block_public": True,
            },
        ),
        (
            "store network docs private",
            "store.set",
            {"name": "docs", "network": "private"},
        ),
        (
            "bucket create b --store docs",
            "bucket.create",
            {"name": "b", "store": "docs", "network": "private"},
        ),
        (
            "bucket create b --store docs --type archiving",
            "bucket.create",
            {"name": "b", "store": "docs", "network": "private", "type": "archiving"},
        ),
        (
            "bucket create b --store docs --object-lock",
            "bucket.create",
            {"name": "b", "store": "docs", "network": "private", "object_lock": True},
        ),
        (
            "bucket role grant b ann write-only",
            "bucket.role.grant",
            {"bucket": "b", "user": "ann", "role": "write-only"},
        ),
        ("bucket list", "bucket.list", {}),
        ("bucket list --store docs", "bucket.list", {"store": "docs"}),
        ("seal --now", "seal.now", {}),
    ],
)
def test_a_command_asks_one_operation_and_prints_its_result(
    node: Node,
    capsys: pytest.CaptureFixture[str],
    line: str,
    operation: str,
    arguments: dict[str, Any],
) -> None:
    node.answers = {operation: [{"name": "x"}] if line.endswith("list") else {"name": "x"}}
    if "bucket list" in line:
        node.answers = {operation: [{"name": "x"}]}
    assert main([*shlex.split(line), "--json"]) == 0
    assert node.asked == [(operation, arguments)]
    assert answered(capsys) == node.answers[operation]
    assert main(shlex.split(line)) == 0
    assert "x" in capsys.readouterr().out


def test_users_of_all_stores_name_their_store(
    node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    node.answers = {"store.list": [{"name": "a"}, {"name": "b"}], "user.list": [{"label": "u"}]}
    assert main(["user", "list", "--json"]) == 0
    assert answered(capsys) == [{"store": "a", "label": "u"}, {"store": "b", "label": "u"}]


def test_show_finds_one_by_its_name(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    node.answers = {
        "store.list": [{"name": "a", "dialect": "aws"}],
        "bucket.list": [{"name": "b", "store": "a"}, {"name": "b", "store": "c"}],
    }
    assert main(["store", "show", "a", "--json"]) == 0
    assert answered(capsys) == {"name": "a", "dialect": "aws"}
    assert main(["store", "show", "z", "--json"]) == 1
    assert "coffre store list" in said(capsys)
    assert main(["bucket", "show", "b", "--json"]) == 1
    assert "(a, c)" in said(capsys)


def test_a_refused_operation_is_one_line_and_code_one(
    node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    node.refusal = Invalid("StoreAlreadyExists", "the store 'a' exists already", "name")
    assert main(["store", "create", "a", "--json"]) == 1
    assert said(capsys) == "coffre: name: the store 'a' exists already (StoreAlreadyExists)\n"


def test_what_nobody_foresaw_is_one_line_without_a_traceback(
    node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    node.refusal = RuntimeError("a\nb")
    assert main(["status"]) == 70
    assert "unexpected RuntimeError: a b" in said(capsys)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("store lst", "coffre store --help"),
        ("store create", "'NAME'"),
        ("serve --port many", "'--port'"),
        ("user create --store a", "'--label'"),
        ("user rotate CFX --grace 1y", "'1y' is no duration: write 90s, 15m, 1h or 7d"),
        ("seal", "seal --now"),
        ("status --config /nowhere.toml", "/nowhere.toml: cannot be read"),
        ("serve --port 70000", "command line: port"),
        ("serve --engine ram", "'drives', 'memory'"),
    ],
)
def test_a_wrong_call_is_one_line_that_says_what_is_right(
    node: Node, capsys: pytest.CaptureFixture[str], line: str, words: str
) -> None:
    assert main(shlex.split(line)) == 2
    assert words in said(capsys)


@pytest.mark.parametrize("order", ["--json --data {} store list", "store list --data {} --json"])
def test_shared_options_stand_before_or_after_the_command(
    node: Node, capsys: pytest.CaptureFixture[str], tmp_path: Path, order: str
) -> None:
    node.answers = {"store.list": []}
    other = tmp_path / "other"
    other.mkdir()
    assert main(shlex.split(order.format(other))) == 0
    assert answered(capsys) == []
    assert node.settings is not None
    assert node.settings.data == str(other)


def test_a_socket_that_nobody_serves_any_more_leads_to_the_folder_itself(
    node: Node, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / "coffre.sock"))
    node.answers = {"store.list": []}
    assert main(["store", "list"]) == 0
    assert capsys.readouterr().out == "No store.\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_the_shell(
    capsys: pytest.CaptureFixture[str], shell: str
) -> None:
    assert main(["completion", shell]) == 0
    assert "_COFFRE_COMPLETE" in capsys.readouterr().out


def test_without_a_command_the_help_is_shown_and_the_call_is_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([]) == 2
    assert "serve" in capsys.readouterr().err


def test_the_command_line_answers_without_loading_what_only_a_node_needs() -> None:
    program = (
        "import sys; from coffre.cli.main import main; main(['--version']);"
        " print([m for m in ('granian', 'apsw', 'pyeclib') if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines()[-1] == "[]"


@given(st.integers(0, 10**9 - 1), st.sampled_from(["s", "m", "h", "d"]))
def test_a_duration_is_its_number_times_its_unit(number: int, unit: str) -> None:
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
    assert Duration().convert(f"{number}{unit}", None, None) == number * seconds


@given(st.text(max_size=8).filter(lambda text: not re.fullmatch("[0-9]{1,9}[smhd]", text)))
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Duration().convert(text, None, None)


def test_a_table_aligns_its_columns_and_a_record_indents_what_is_inside() -> None:
    rows: list[dict[str, Any]] = [{"name": "a", "ok": True}, {"name": "longer", "ok": None}]
    assert show.table(rows, ["name", "ok"], "none") == "NAME    OK\na       yes\nlonger  -"
    value = {"up_for": 3, "drives": {"away": ["a", "b"]}, "rows": [{"n": 1}]}
    assert show.record(value) == "up for: 3\ndrives:\n  away: a, b\nrows:\n  - n 1"


def commands(group: click.Group, path: str = "coffre") -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def test_the_page_documents_every_command_with_its_options_and_no_other() -> None:
    sections = dict(
        re.findall(
            r"^### `(coffre [^`]*?)(?: [A-Z_-].*?)?`\n(.*?)(?=^#|\Z)", PAGE.read_text(), re.M | re.S
        )
    )
    expected = dict(commands(root))
    assert sections.keys() == expected.keys()
    for words, command in expected.items():
        own = {
            option
            for parameter in command.params
            if isinstance(parameter, click.Option)
            for option in (*parameter.opts, *parameter.secondary_opts)
        } - {"--data", "--config", "--json", "--server", "--token-file", "--ca-file"}
        documented = set(re.findall(r"`(--[a-z-]+)", sections[words])) - {"--json"}
        assert documented == own, words


def test_what_a_command_makes_is_its_owners_alone(node: Node) -> None:
    before = os.umask(0o022)
    try:
        assert main(["completion", "bash"]) == 0
        assert os.umask(0o022) == 0o077
    finally:
        os.umask(before)


@pytest.mark.parametrize(("state", "error", "code"), [("waiting", "", 0), ("failing", "EIO", 1)])
def test_a_round_that_failed_is_no_success(
    node: Node, capsys: pytest.CaptureFixture[str], state: str, error: str, code: int
) -> None:
    told = dict.fromkeys(("left", "unit", "rate", "last_result"))
    node.answers["steward.run"] = {"name": "gauge", **told, "state": state, "last_error": error}
    assert main(["steward", "run", "gauge"]) == code
    assert ("the round failed: EIO" in capsys.readouterr().err) == bool(code)
