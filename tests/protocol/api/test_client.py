"""The typed client and the command line from elsewhere, against a real node."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coffre.cli.main import main
from coffre.client import ApiError, Client, NotReached
from coffre.iam.person_secrets import SCOPES
from tests.browser.people import BUCKET, STORE
from tests.browser.served import Person, Served
from tests.protocol.api.api_client import Api
from tools.api_client import stale_files

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def token_file(
    apis: dict[str, Api], node: Served, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    made = node.operate("token.create", person="operator", name="client", scopes=list(SCOPES))
    file = tmp_path_factory.mktemp("token") / "token"
    file.write_text(made["token"] + "\n")
    return file


@pytest.fixture
def coffre(node: Served, token_file: Path) -> Iterator[Client]:
    ca = str(node.facts["ca"])
    with Client(node.origin, token_file=token_file, ca_file=ca) as client:
        yield client


@pytest.fixture
def run(
    node: Served,
    token_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """A command from elsewhere: its code, output and complaint."""
    monkeypatch.setenv("COFFRE_SERVER", node.origin)
    monkeypatch.setenv("COFFRE_TOKEN_FILE", str(token_file))
    monkeypatch.setenv("COFFRE_CA_FILE", str(node.facts["ca"]))

    def command(*words: str) -> tuple[int, str, str]:
        code = main(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


def test_what_is_generated_is_current() -> None:
    assert stale_files() == []


def test_values_are_typed_and_lists_go_on_by_themselves(coffre: Client) -> None:
    assert coffre.status().engine == "drives"
    names = {f"page-{number:03}" for number in range(120)}
    for name in names:
        coffre.tenant.create(name=name)
    found = {tenant.name: tenant.bucket_limit for tenant in coffre.tenant.list()}
    assert names <= found.keys()
    assert found["page-007"] == 999
    changed = coffre.tenant.set(tenant="page-007", bucket_limit=7)
    assert (changed.name, changed.bucket_limit) == ("page-007", 7)


def test_a_refusal_is_an_error_with_its_code_and_field(coffre: Client) -> None:
    with pytest.raises(ApiError, match="no-such-store") as refused:
        coffre.store.show(store="no-such-store")
    error = refused.value
    assert (error.status, error.code, error.field) == (404, "NoSuchStore", "store")
    assert error.request_id


def test_bytes_go_in_and_come_out(coffre: Client) -> None:
    store, bucket, key = STORE, BUCKET, "a folder/é.txt"
    coffre.object.upload(store=store, bucket=bucket, key=key, content=b"some bytes")
    content = coffre.object.download(store=store, bucket=bucket, key=key)
    assert content.read() == b"some bytes"
    rows = coffre.object.list(store=store, bucket=bucket, prefix="a folder/")
    assert [one.key for one in rows] == [key]
    coffre.object.delete(store=store, bucket=bucket, key=key)


def test_what_takes_long_is_waited_for(coffre: Client) -> None:
    ended = coffre.wait(coffre.seal.now())
    assert (ended.status, ended.error) == ("done", None)


def test_a_wrong_token_and_a_wrong_place_are_told_apart(node: Served) -> None:
    ca = str(node.facts["ca"])
    with pytest.raises(ApiError, match="NotSignedIn"):
        Client(node.origin, token="coffre_pat_x", ca_file=ca).status()
    with pytest.raises(NotReached):
        Client("https://localhost:1", token="x", ca_file=ca).status()
    with pytest.raises(ValueError, match="no https"):
        Client("localhost:9001")


def test_a_connection_that_ended_is_made_again(coffre: Client) -> None:
    coffre.status()
    transport: Any = coffre._transport
    transport._connection.sock.close()
    assert coffre.status().engine == "drives"


def test_the_command_line_answers_from_elsewhere_as_on_the_machine(run: Run, node: Served) -> None:
    code, out, _ = run("store", "list", "--json")
    here = {row["name"]: row["tenant"] for row in node.operate("store.list")}
    assert (code, {row["name"]: row["tenant"] for row in json.loads(out)}) == (0, here)
    code, out, _ = run("status", "--json")
    assert (code, json.loads(out)["engine"]) == (0, "drives")
    assert run("store", "create", "from-elsewhere")[0] == 0
    code, out, _ = run("bucket", "create", "distant", "--store", "from-elsewhere", "--json")
    assert (code, json.loads(out)["store"]) == (0, "from-elsewhere")
    assert run("bucket", "delete", "distant")[0] == 0
    assert run("store", "delete", "from-elsewhere")[0] == 0


def test_a_key_is_rotated_from_elsewhere(run: Run) -> None:
    assert run("store", "create", "keys-elsewhere")[0] == 0
    code, out, _ = run("user", "create", "--store", "keys-elsewhere", "--label", "x", "--json")
    made = json.loads(out)
    code, out, error = run("user", "rotate", made["access_key"], "--json")
    assert (code, error) == (0, "")
    assert json.loads(out)["secret_key"] != made["secret_key"]


def test_seals_from_elsewhere_and_waits(run: Run) -> None:
    code, out, _ = run("seal", "--now", "--json")
    assert code == 0
    assert "sealed" in json.loads(out)


def test_a_refusal_from_elsewhere_is_one_line(run: Run) -> None:
    code, _, error = run("user", "list", "--store", "no-such-store")
    assert code == 1
    assert error.count("\n") == 1
    assert "NoSuchStore" in error


def test_what_needs_the_machine_says_so(run: Run) -> None:
    code, _, error = run("token", "create", "--person", "operator", "--name", "x", "--scope", "a:b")
    assert code == 2
    assert "own machine" in error


def test_a_server_without_a_token_is_no_call(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COFFRE_TOKEN_FILE")
    code, _, error = run("status")
    assert (code, "--token-file" in error) == (2, True)


def test_a_person_from_the_command_line_signs_in(run: Run, node: Served) -> None:
    code, out, _ = run(
        *("person", "create", "carol", "--role", "scoped", "--tenant", "acme", "--json"),
        *("--scope", f"{STORE}/{BUCKET}=reader", "--first-password"),
    )
    made = json.loads(out)
    assert (code, made["scopes"]) == (0, [{"store": STORE, "bucket": BUCKET, "role": "reader"}])
    api = Api(node, Person("carol", made["password"]))
    assert [row["name"] for row in api("GET", "/buckets")["items"]] == [BUCKET]
    api.close()
    assert run("person", "lock", "carol")[0] == 0
    code, out, _ = run("person", "delete", "carol", "--json")
    assert (code, json.loads(out)["deleted"]) == (0, True)
