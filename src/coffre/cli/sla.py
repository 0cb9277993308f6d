"""How available the node is: `coffre sla`, and `coffre probe`, which looks from outside."""

from __future__ import annotations

import os
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import click

from coffre.cli import client, show
from coffre.cli.complaint import Complaint, Unusable
from coffre.cli.invocation import Invocation, shared
from coffre.cli.presign import endpoint_of, region_of

if TYPE_CHECKING:
    from coffre.wire.presign import Credentials, Method

_TIMEOUT_S: Final = 20.0
_EXPIRES_S: Final = 60
# Probes that could not be told to the node yet: a day of them, one a minute.
_MOST_WAITING: Final = 1440
_SHOWN: Final = ("store", "availability", "minutes_down", "requests", "failed", "met")


@click.command()
@click.option("--store", metavar="NAME", help="Of this store alone.")
@click.option("--month", metavar="YYYY-MM", help="Of this month (UTC); the running one.")
@shared
def sla(invocation: Invocation, store: str | None, month: str | None) -> None:
    """How available the node was in a month, and whether that meets the target."""
    found = invocation.call("sla.show", store=store, month=month)
    invocation.answer(found, lambda: _page(found))


def _page(found: dict[str, Any]) -> str:
    whose = f" of {found['store']}" if found.get("store") else ""
    words = "meets" if found["met"] else "misses"
    lines = [
        f"{found['month']}{whose}: {found['availability']} % available, {words} the target of"
        f" {found['target']} %: {found['minutes_down']} of {found['minutes']} minutes down."
    ]
    if found["stores"]:
        lines += ["", show.table(found["stores"], _SHOWN, "")]
    if found["incidents"]:
        lines += ["", show.table(found["incidents"], ("at_ms", "kind", "what"), "")]
    return "\n".join(lines)


@click.command()
@click.argument("bucket")
@click.option("--endpoint", metavar="URL", help="Where the service is, as clients reach it.")
@click.option("--region", metavar="NAME", help="The region to sign for.")
@click.option("--ca", metavar="FILE", help="Who signs its certificate (PEM).")
@click.option("--store", default="", metavar="NAME", help="Whose bucket it is, for the record.")
@click.option("--origin", metavar="NAME", help="Where this probe stands; this machine's name.")
@click.option(
    "--every",
    type=click.FloatRange(0.1, 86400),
    metavar="SECONDS",
    help="Go on probing, so often; once without it.",
)
@click.option("--record/--no-record", default=True, help="Tell the node (of --data), if it serves.")
@shared
def probe(invocation: Invocation, bucket: str, **options: Any) -> None:
    """Put, get and delete a small object in BUCKET as a client does, and say how it went.

    Signs with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Exit code 1 where the probe failed.
    """
    settings = invocation.settings()
    prober = _Prober(
        options["endpoint"] or endpoint_of(settings),
        bucket,
        options["region"] or region_of(settings),
        options["ca"],
        options["store"],
        options["origin"] or socket.gethostname(),
    )
    waiting: deque[dict[str, Any]] = deque(maxlen=_MOST_WAITING)
    while True:
        found = prober.probe()
        waiting.append(found)
        if options["record"]:
            _tell(invocation, waiting)
        invocation.answer(found, lambda: _line(found))  # noqa: B023
        if options["every"] is None:
            if found["failed"]:
                raise Complaint(f"the probe failed: {found['failed']}")
            return
        time.sleep(options["every"])


def _line(found: dict[str, Any]) -> str:
    how = f"failed: {found['failed']}" if found["failed"] else "well"
    return f"{show.text(found['at_ms'], 'at_ms')} {how} ({found['micros'] / 1000:.0f} ms)"


def _tell(invocation: Invocation, waiting: deque[dict[str, Any]]) -> None:
    """Tell the node what it does not know yet; what cannot be told now is told with the next."""
    try:
        with client.running(invocation.settings()) as door:
            while door is not None and waiting:
                door.call("sla.probed", waiting[0])
                waiting.popleft()
    except Complaint as complaint:
        click.echo(f"coffre: not recorded yet: {complaint.message}", err=True)


class _Prober:
    """Probes one bucket through one endpoint."""

    def __init__(
        self, endpoint: str, bucket: str, region: str, ca: str | None, store: str, origin: str
    ) -> None:
        self._endpoint = endpoint
        self._bucket = bucket
        self._region = region
        self._store = store
        self._origin = origin
        self._credentials = _credentials()
        try:
            tls = ssl.create_default_context(cafile=ca)
        except OSError as error:
            raise Unusable(f"--ca: {ca} cannot be used: {error}") from error
        # No proxy of the environment stands between a probe and what it probes.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls)
        )

    def probe(self) -> dict[str, Any]:
        """PUT, GET and DELETE; when, from where, how long it took, and what failed."""
        at_ms, began = time.time_ns() // 1_000_000, time.monotonic()
        body = f"probe {self._origin} {at_ms}\n".encode()
        key = f".coffre-probe/{self._origin}"
        failed = ""
        try:
            self._send("PUT", key, body)
            if self._send("GET", key) != body:
                failed = "GET: not what was put"
            self._send("DELETE", key)
        except _Failed as failure:
            failed = str(failure)
        return {
            "at_ms": at_ms,
            "origin": self._origin,
            "store": self._store,
            "micros": round((time.monotonic() - began) * 1e6),
            "failed": failed,
        }

    def _send(self, method: Method, key: str, body: bytes | None = None) -> bytes:
        from coffre.wire.presign import Asked, presigned_url

        asked = Asked(method, self._endpoint, self._bucket, key.encode(), self._region, _EXPIRES_S)
        try:
            url = presigned_url(asked, self._credentials, time.time_ns() // 1_000_000)
        except ValueError as error:
            raise Unusable(str(error)) from error
        request = urllib.request.Request(url, data=body, method=method)  # noqa: S310
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            raise _Failed(f"{method}: {error.code} {error.reason}") from error
        except (OSError, ValueError) as error:
            raise _Failed(f"{method}: {getattr(error, 'reason', error)}") from error


class _Failed(Exception):
    """What a client would have met."""


def _credentials() -> Credentials:
    from coffre.wire.presign import Credentials

    key, secret = (os.environ.get(f"AWS_{what}") for what in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
    if not key or not secret:
        raise Unusable("who signs? Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    return Credentials(key, secret, os.environ.get("AWS_SESSION_TOKEN", ""))
