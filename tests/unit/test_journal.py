"""Log lines: text, or JSON that every line of is an object."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from coffre.catalog.interface import CommitUnknown
from coffre.s3.funnel import as_error, log_failure
from coffre.service.journal import configure_logging

Said = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_of_json_has_all_that_a_search_needs(capsys: Said) -> None:
    configure_logging("info", process="worker-0", form="json")
    logging.getLogger("coffre.x").warning("drive %s: %s", "/a", 'late "again"\nand more')
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert told.pop("time").endswith("Z")
    assert told == {
        "level": "warning",
        "process": "worker-0",
        "logger": "coffre.x",
        "message": 'drive /a: late "again"\nand more',
    }


def test_what_fails_in_a_request_is_found_by_the_id_that_its_client_has(capsys: Said) -> None:
    configure_logging("info", process="worker-0", form="json")
    log_failure("failed", "0A1B2C", ValueError("what came"))
    told = json.loads(capsys.readouterr().err)
    assert told["request_id"] == "0A1B2C"
    assert "what came" in told["message"]
    assert as_error(CommitUnknown("gone"), "0A1B2C").code == "ServiceUnavailable"


def test_an_exception_stays_in_its_line(capsys: Said) -> None:
    configure_logging("info", process="steward", form="json")
    try:
        raise OSError("no space")
    except OSError:
        logging.getLogger("coffre.y").exception("it failed")
    (line,) = capsys.readouterr().err.splitlines()
    assert "OSError: no space" in json.loads(line)["exception"]


def test_text_names_the_process_and_the_level(capsys: Said) -> None:
    configure_logging("info", process="committer")
    logging.getLogger("coffre.z").error("what is wrong")
    assert capsys.readouterr().err.endswith("Z ERROR committer coffre.z: what is wrong\n")
