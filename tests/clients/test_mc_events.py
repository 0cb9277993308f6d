"""mc: a bucket that notifies a webhook, from the rule to the event that arrives."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from .server import ENGINE, Program, find, running

PATIENCE_S = 60.0
ARN = "arn:minio:sqs:us-east-1:hook:webhook"


@pytest.fixture
def hook() -> Iterator[tuple[str, queue.Queue[Any]]]:
    """A webhook: its URL, and the documents that were posted to it."""
    taken: queue.Queue[Any] = queue.Queue()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/events", taken
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.skipif(ENGINE == "memory", reason="the memory engine delivers no events")
def test_a_bucket_tells_a_webhook_what_is_put_into_it(
    hook: tuple[str, queue.Queue[Any]], tmp_path: Path
) -> None:
    url, taken = hook
    settings = f'[[notify]]\nname = "hook"\nkind = "webhook"\nurl = "{url}"\n'
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "coffre.toml").write_text(settings)
    (tmp_path / "file").write_bytes(b"hello")
    with running(tmp_path) as server:
        environment = {**server.environment(tmp_path), "MC_CONFIG_DIR": str(tmp_path / "mc")}
        mc = Program((find("mc"),), environment, tmp_path)
        mc("alias", "set", "coffre", server.endpoint, server.access_key, server.secret_key)
        mc("mb", "coffre/told")
        rule = (ARN, "--event", "put,delete", "--prefix", "in/")
        mc("event", "add", "coffre/told", *rule)
        assert ARN in mc("event", "ls", "coffre/told")
        assert taken.get(timeout=PATIENCE_S)["Event"] == "s3:TestEvent"
        mc("cp", "file", "coffre/told/out/of/it")
        mc("cp", "file", "coffre/told/in/it")
        mc("rm", "coffre/told/in/it")
        told = [taken.get(timeout=PATIENCE_S)["Records"][0] for _ in range(2)]
        assert [one["s3"]["object"]["key"] for one in told] == ["in/it", "in/it"]
        assert told[0]["eventName"].startswith("ObjectCreated:")
        assert told[0]["s3"]["object"]["size"] == 5
        assert told[1]["eventName"].startswith("ObjectRemoved:")
        mc("event", "rm", "coffre/told", *rule)
        assert ARN not in mc("event", "ls", "coffre/told")
