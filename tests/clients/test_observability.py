"""A node as Prometheus, Grafana, OpenTelemetry and its operator see it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from coffre.service.observing.table import METRICS
from tests.fault.client import Client
from tests.fault.node import COFFRE, Node, wait_until
from tools import dashboards

from .server import find

PACKAGED = Path(__file__).parents[2] / "packaging" / "observability"
BUCKET = "observed"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
# What a node that does well, for some seconds, has nothing to say of.
SILENT = {
    "coffre_snapshot_age_seconds",  # the first snapshot is an hour away
    "coffre_group_refused_mutations_total",
    "coffre_drive_errors_total",
    "coffre_findings_total",
    "coffre_key_backup_age_seconds",
    "coffre_audit_target_behind_batches",
    "coffre_drive_probe_seconds",  # six probes, four seconds apart
    "coffre_probe_seconds",
    "coffre_probe_failed",
}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class Collector:
    """A small OTLP receiver: every span that it is sent, by name."""

    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.take(self.path, body, self.headers.get("content-encoding", ""))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def take(self, path: str, body: bytes, encoding: str) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        assert (path, encoding) == ("/v1/traces", "")
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    told = {one.key: one.value for one in span.attributes}
                    self.spans.append(
                        {
                            "name": span.name,
                            "trace": span.trace_id.hex(),
                            "span": span.span_id.hex(),
                            "parent": span.parent_span_id.hex(),
                            "attributes": {
                                key: value.string_value or value.int_value
                                for key, value in told.items()
                            },
                        }
                    )

    def named(self, name: str) -> list[dict[str, Any]]:
        return [span for span in self.spans if span["name"] == name]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Observed:
    """A node with everything on that can be observed."""

    def __init__(self, folder: Path, collector: Collector) -> None:
        self.metrics_port = free_port()
        self.collector = collector
        self.node = Node(
            folder / "data",
            metrics_port=str(self.metrics_port),
            otlp_endpoint=collector.endpoint,
            log_format="json",
            log_level="debug",
            console_port="0",
        ).start()
        Client(self.node).make_bucket(BUCKET)

    def get(self, path: str) -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", self.metrics_port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def value(self, series: str) -> float:
        """A sample of /metrics, as it is written there; 0 where there is none."""
        lines = self.get("/metrics")[1].splitlines()
        found = [line for line in lines if line.startswith(f"{series} ")]
        return float(found[0].rpartition(" ")[2]) if found else 0.0

    def load(self, times: int = 20) -> None:
        client = Client(self.node)
        for number in range(times):
            assert client.send("PUT", f"/{BUCKET}/{number}", b"x" * 4096).status == 200
            assert client.send("GET", f"/{BUCKET}/{number}").status == 200
        assert client.send("PUT", f"/{BUCKET}/striped", b"y" * (2 << 20)).status == 200
        assert client.send("GET", f"/{BUCKET}/missing").status == 404
        assert client.send("GET", f"/{BUCKET}").status == 200


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    collector = Collector()
    one = Observed(tmp_path_factory.mktemp("observed"), collector)
    one.load()
    yield one
    if one.node.running:
        one.node.stop()
    collector.close()


def test_the_rules_are_what_prometheus_takes_and_tell_what_is_wrong() -> None:
    promtool = find("promtool")
    rules = [str(PACKAGED / name) for name in ("recording.yml", "alerts.yml")]
    for asked in (
        ["check", "rules", *rules],
        ["check", "config", str(PACKAGED / "prometheus.yml")],
        ["test", "rules", str(PACKAGED / "rules_test.yml")],
    ):
        done = subprocess.run([promtool, *asked], capture_output=True, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr).decode()


def test_every_alert_is_tried_and_says_what_to_do() -> None:
    alerts = re.findall(r"alert: (\w+)", (PACKAGED / "alerts.yml").read_text())
    tried = (PACKAGED / "rules_test.yml").read_text()
    book = (PACKAGED.parents[1] / "docs" / "runbook.md").read_text()
    assert len(alerts) == len(set(alerts)) > 20
    for alert in alerts:
        # Once where it is to speak, once where it is to be silent.
        assert len(re.findall(rf"alertname: {alert}\b", tried)) == 2, alert
        assert f"\n### {alert}\n" in book, alert
        assert f"docs/runbook.md#{alert.lower()}" in (PACKAGED / "alerts.yml").read_text()


def test_rules_and_dashboards_ask_for_what_there_is() -> None:
    known = {metric.name for metric in METRICS}
    for path in (*PACKAGED.glob("*.yml"), *PACKAGED.glob("dashboards/*.json")):
        for name in re.findall(r"\bcoffre_[a-z_]+", path.read_text()):
            assert name in known or re.sub(r"_(bucket|sum|count)$", "", name) in known, (path, name)


def test_the_dashboards_are_as_their_source_makes_them() -> None:
    for path, text in dashboards.files().items():
        assert path.read_text() == text, "python -m tools.dashboards"


def test_promtool_reads_what_a_node_shows_and_every_metric_is_shown(observed: Observed) -> None:
    promtool = find("promtool")
    names = {metric.name for metric in METRICS} - SILENT

    def shown() -> set[str]:
        found = re.findall(r"^# TYPE (\S+)", observed.get("/metrics")[1], re.M)
        return names - set(found)

    try:
        wait_until(lambda: not shown(), "every metric is shown", every=0.2)
    except AssertionError as error:
        raise AssertionError(f"{error}: {shown()}") from None
    text = observed.get("/metrics")[1]
    asked = [promtool, "check", "metrics"]
    done = subprocess.run(asked, input=text.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_figures_are_those_of_what_was_done(observed: Observed) -> None:
    before = observed.value('coffre_requests_total{operation="PutObject",status="2xx"}')
    sent = observed.value("coffre_received_bytes_total")
    missing = observed.value('coffre_errors_total{code="NoSuchKey"}')
    observed.load(times=7)
    assert observed.value('coffre_requests_total{operation="PutObject",status="2xx"}') == before + 8
    assert observed.value("coffre_received_bytes_total") == sent + 7 * 4096 + (2 << 20)
    assert observed.value('coffre_errors_total{code="NoSuchKey"}') == missing + 1
    written = [
        line
        for line in observed.get("/metrics")[1].splitlines()
        if line.startswith("coffre_drive_written_bytes_total")
    ]
    assert sum(float(line.rpartition(" ")[2]) for line in written) > 2 << 20


def test_every_panel_of_the_dashboards_has_data_in_a_real_prometheus(
    observed: Observed, tmp_path: Path
) -> None:
    port = free_port()
    for name in ("recording.yml", "alerts.yml"):
        (tmp_path / name).write_text((PACKAGED / name).read_text())
    config = (PACKAGED / "prometheus.yml").read_text()
    config = config.replace("15s", "1s").replace(
        "127.0.0.1:9100", f"127.0.0.1:{observed.metrics_port}"
    )
    (tmp_path / "prometheus.yml").write_text(config)
    arguments = [
        find("prometheus"),
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/tsdb",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with (tmp_path / "log").open("wb") as log:
        prometheus = subprocess.Popen(arguments, stdout=log, stderr=log)
    try:
        wait_until(lambda: _asked(port, "/-/ready") is not None, "Prometheus is ready", every=0.1)
        _until_every_panel_has_data(observed, port)
        rules = json.loads(_asked(port, "/api/v1/rules") or "")["data"]["groups"]
        assert {rule["health"] for group in rules for rule in group["rules"]} == {"ok"}
    finally:
        prometheus.terminate()
        prometheus.wait()


def _until_every_panel_has_data(observed: Observed, port: int) -> None:
    empty = {
        (panel.title, query)
        for _, panels in dashboards.DASHBOARDS.values()
        for panel in panels
        for query, _ in panel.queries
    }

    def all_have() -> bool:
        observed.load(times=2)
        for one in list(empty):
            query = one[1].replace("$__rate_interval", "10s").replace("$instance", ".*")
            answer = _asked(port, f"/api/v1/query?query={quote(query)}")
            assert answer is not None, f"{one}: {query}"
            if json.loads(answer)["data"]["result"]:
                empty.remove(one)
        return not empty

    try:
        wait_until(all_have, "every panel has data", 60, every=0.5)
    except AssertionError as error:
        raise AssertionError(f"{error}: {sorted(empty)}") from None


def _asked(port: int, target: str) -> str | None:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        body = answer.read().decode()
        return body if answer.status == 200 else None
    except OSError:
        return None
    finally:
        connection.close()


def test_a_trace_goes_from_the_client_s_span_through_gateway_catalog_and_vault(
    observed: Observed,
) -> None:
    client, spans = Client(observed.node), observed.collector
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    assert client.send("PUT", f"/{BUCKET}/traced", b"z" * 4096, headers).status == 200
    answer = client.send("GET", f"/{BUCKET}/traced", headers=headers)

    def of_this(name: str) -> list[dict[str, Any]]:
        return [span for span in spans.named(name) if span["trace"] == TRACE]

    wait_until(lambda: of_this("PutObject") and of_this("GetObject"), "spans arrive", every=0.1)
    (put,), (get,) = of_this("PutObject"), of_this("GetObject")
    assert put["parent"] == get["parent"] == PARENT
    assert get["attributes"]["coffre.request_id"] == answer.headers["x-amz-request-id"]
    assert get["attributes"]["coffre.bucket"] == BUCKET
    assert get["attributes"]["http.response.body.size"] == 4096
    (read,) = of_this("vault.read")
    assert read["parent"] == get["span"]
    wait_until(lambda: of_this("catalog.commit") and of_this("vault.write"), "children arrive")
    assert any(span["parent"] == put["span"] for span in of_this("catalog.commit"))
    (written,) = of_this("vault.write")
    assert written["parent"] == put["span"]
    # What objects are called is nobody's business here.
    assert "traced" not in str(spans.spans)


def test_a_client_that_asks_not_to_be_traced_is_not(observed: Observed) -> None:
    other = "a" * 32
    headers = {"traceparent": f"00-{other}-{PARENT}-00"}
    client = Client(observed.node)
    assert client.send("GET", f"/{BUCKET}/1", headers=headers).status == 200
    headers = {"traceparent": f"00-{'b' * 32}-{PARENT}-01"}
    assert client.send("GET", f"/{BUCKET}/1", headers=headers).status == 200

    def traces() -> set[str]:
        return {span["trace"] for span in observed.collector.spans}

    wait_until(lambda: "b" * 32 in traces(), "the next one's spans arrive", every=0.1)
    assert other not in traces()


def test_top_shows_what_happens(observed: Observed) -> None:
    enough = threading.Event()

    def work() -> None:
        while not enough.is_set():
            observed.load(times=2)

    working = threading.Thread(target=work)
    working.start()
    try:
        figures = observed.node.command("top", "--once", "--every", "1")
    finally:
        enough.set()
        working.join()
    operations = {one["operation"]: one for one in figures["requests"]}
    assert operations["PutObject"]["a_second"] > 0
    assert operations["GetObject"]["p99_s"] > 0
    assert figures["drives"] == {"present": 16}
    assert figures["buckets"][0]["bucket"] == BUCKET
    assert figures["groups"]["a_second"] > 0


def test_a_probe_from_outside_counts_in_the_availability(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = observed.node
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", node.keys.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", node.keys.secret_key)
    endpoint = ("--endpoint", node.facts["endpoint"], "--store", "default")
    well = node.command("probe", BUCKET, *endpoint, "--origin", "here")
    assert well["failed"] == ""
    done = subprocess.run(
        [COFFRE, "probe", "no-such-bucket", *endpoint, "--data", node.data, "--origin", "there"],
        env=node.environment(0),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert b"404" in done.stderr
    found = node.command("sla")
    assert (found["target"], found["month"]) == ("99.99", time.strftime("%Y-%m", time.gmtime()))
    assert node.command("sla", "--store", "default")["store"] == "default"


def test_no_line_of_the_log_holds_a_secret(observed: Observed) -> None:
    node, client = observed.node, Client(observed.node)
    signing = ("--access-key", node.keys.access_key, "--endpoint", node.facts["endpoint"])
    url = node.command("presign", "GET", f"s3://{BUCKET}/1", *signing)["url"]
    target = url.removeprefix(node.facts["endpoint"])
    connection = HTTPConnection("127.0.0.1", node.port)
    connection.request("GET", target)
    connection.getresponse().read()
    connection.request("GET", target.replace("X-Amz-Signature=", "X-Amz-Signature=0"))
    connection.getresponse().read()
    connection.close()
    bad = client.signed("GET", f"/{BUCKET}/1", b"", {"authorization": "AWS4-HMAC-SHA256 nonsense"})
    signatures = re.findall(r"Signature=([0-9a-f]{64})", f"{target} {bad}")
    assert signatures
    log = node.log.read_text()
    for secret in (node.keys.secret_key, node.keys.password, *signatures):
        assert secret not in log
    for line in log.splitlines():
        told = json.loads(line)
        assert {"time", "level", "process", "logger", "message"} <= told.keys()


def test_health_and_figures_outlive_what_they_are_about(observed: Observed) -> None:
    node = observed.node
    assert observed.get("/readyz") == (200, "ready\n")
    (committer,) = node.roles()["committer"]
    os.kill(committer, signal.SIGSTOP)
    try:
        status, words = observed.get("/readyz")
        assert (status, words.splitlines()[0]) == (503, "not ready")
        assert "committer" in words
        assert observed.get("/healthz")[0] == 200
        up = 'coffre_process_up{process="committer"}'
        wait_until(lambda: observed.value(up) == 0, "it counts as gone", every=0.5)
        # Nobody looks after them: they are absent, not stale.
        assert "coffre_queued_mutations " not in observed.get("/metrics")[1]
    finally:
        os.kill(committer, signal.SIGCONT)
    wait_until(lambda: observed.get("/readyz")[0] == 200, "it is ready again", every=0.2)


def test_counters_do_not_fall_when_a_process_is_killed(observed: Observed) -> None:
    node = observed.node
    puts = 'coffre_requests_total{operation="PutObject",status="2xx"}'
    groups = "coffre_group_mutations_count"
    before = observed.value(puts), observed.value(groups)
    workers = node.roles()["worker"]
    for pid in (*workers, *node.roles()["committer"]):
        node.signal(pid)
    starts = 'coffre_process_starts_total{process="worker-%d"}'
    wait_until(
        lambda: all(observed.value(starts % number) == 2 for number in range(2)),
        "the workers are started again",
        every=0.2,
    )
    wait_until(lambda: observed.get("/readyz")[0] == 200, "it is ready again", every=0.2)
    observed.load(times=3)
    assert observed.value(puts) == before[0] + 4
    assert observed.value(groups) > before[1]
