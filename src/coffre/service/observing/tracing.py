"""Traces by OpenTelemetry: a request, and in it what it asks of the catalog and of the vault.

Only where `otlp_endpoint` is set is anything of this imported or called: without it, nothing that
serves a request is another than before. The libraries are an extra of the package (`otel`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from coffre import __version__
from coffre.catalog.interface import RecordingCommitter
from coffre.catalog.mutations import Mutation, Refused, Result
from coffre.config import Settings
from coffre.s3.services import Event
from coffre.service.layout import StartRefused
from coffre.system.buffer import Buffer
from coffre.vault.interface import BlobWriter, Staged, Vault
from coffre.vault.records import Blob

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Tracer, TracerProvider
    from opentelemetry.trace import Span

# Only what says where a trace came from is taken from a client's headers.
_CARRIED: Final = (b"traceparent", b"tracestate")
_PATIENCE_MS: Final = 2000
Application = Callable[..., Awaitable[None]]


class Tracing:
    """The traces of one process."""

    def __init__(self, settings: Settings, process: str) -> None:
        """Raises StartRefused where the libraries are not installed."""
        try:
            from opentelemetry import trace  # noqa: PLC0415
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
                OTLPSpanExporter,
            )
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
            from opentelemetry.sdk.trace.sampling import (  # noqa: PLC0415
                ParentBased,
                TraceIdRatioBased,
            )
            from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
                TraceContextTextMapPropagator,
            )
        except ImportError as error:
            raise StartRefused(
                f"otlp_endpoint needs OpenTelemetry ({error}): install coffre[otel]"
            ) from error
        self._trace = trace
        self._propagator = TraceContextTextMapPropagator()
        self._provider: TracerProvider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(settings.otlp_share)),
            resource=Resource.create(
                {
                    "service.name": "coffre",
                    "service.version": __version__,
                    "service.instance.id": process,
                    "coffre.region": settings.region,
                    "coffre.zone": settings.zone,
                }
            ),
        )
        endpoint = f"{settings.otlp_endpoint.rstrip('/')}/v1/traces"
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint)))
        self.tracer: Tracer = self._provider.get_tracer("coffre", __version__)  # type: ignore[assignment]

    def close(self) -> None:
        """Send what waits to be sent, within a moment."""
        self._provider.force_flush(_PATIENCE_MS)

    def committer(self, inner: RecordingCommitter) -> RecordingCommitter:
        return TracedCommitter(inner, self.tracer)

    def vault(self, inner: Vault) -> Vault:
        return TracedVault(inner, self.tracer)

    def application(self, inner: Application) -> Application:
        """`inner` with a span a request, below the one that the client's traceparent names."""

        async def traced(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
            with self.tracer.start_as_current_span(
                scope["method"],
                context=self._parent(scope["headers"]),
                kind=self._trace.SpanKind.SERVER,
                attributes={"http.request.method": scope["method"], "url.scheme": scope["scheme"]},
            ):
                await inner(scope, receive, send)

        return traced

    def note(self, event: Event) -> None:
        """The ledger's word on the request whose span is open: no key, no secret."""
        span = self._trace.get_current_span()
        span.update_name(event.operation or "unknown")
        span.set_attributes(
            {
                "coffre.request_id": event.request_id,
                "coffre.store": event.store,
                "coffre.bucket": event.bucket,
                "http.response.status_code": event.status,
                "http.request.body.size": event.bytes_in,
                "http.response.body.size": event.bytes_out,
            }
        )
        if event.error:
            span.set_attribute("error.type", event.error)
        if event.status >= 500:
            span.set_status(self._trace.StatusCode.ERROR)

    def _parent(self, headers: Sequence[tuple[bytes, bytes]]) -> Context:
        carried = {
            name.decode(): value.decode("latin-1") for name, value in headers if name in _CARRIED
        }
        return self._propagator.extract(carried)


class TracedCommitter:
    """A `RecordingCommitter` whose commits are spans."""

    def __init__(self, inner: RecordingCommitter, tracer: Tracer) -> None:
        self._inner = inner
        self._tracer = tracer

    async def commit(
        self, mutation: Mutation, body: Sequence[Buffer] = (), record: bytes = b""
    ) -> Result:
        with self._tracer.start_as_current_span("catalog.commit") as span:
            span.set_attribute("coffre.mutation", type(mutation).__name__)
            return await self._inner.commit(mutation, body, record)

    async def commit_all(
        self, mutations: Sequence[Mutation], records: Sequence[bytes] = ()
    ) -> list[Result | Refused]:
        with self._tracer.start_as_current_span("catalog.commit") as span:
            names = sorted({type(one).__name__ for one in mutations})
            span.set_attribute("coffre.mutation", ",".join(names))
            span.set_attribute("coffre.mutations", len(mutations))
            return await self._inner.commit_all(mutations, records)


class TracedVault:
    """A `Vault` whose reads and writes are spans."""

    def __init__(self, inner: Vault, tracer: Tracer) -> None:
        self._inner = inner
        self._tracer = tracer

    def writer(self, key_id: bytes, data_key: bytes, *, size_hint: int | None) -> BlobWriter:
        span = self._tracer.start_span("vault.write")
        return _TracedWriter(self._inner.writer(key_id, data_key, size_hint=size_hint), span)

    async def read(
        self, blob: Blob, data_key: bytes, start: int, end: int
    ) -> AsyncIterator[Buffer]:
        span = self._tracer.start_span("vault.read", attributes={"coffre.bytes": end - start})
        try:
            async for piece in self._inner.read(blob, data_key, start, end):
                yield piece
        except Exception as error:
            span.record_exception(error)
            raise
        finally:
            span.end()

    async def read_whole(self, blob: Blob, data_key: bytes, start: int, end: int) -> Buffer:
        with self._tracer.start_as_current_span("vault.read") as span:
            span.set_attribute("coffre.bytes", end - start)
            return await self._inner.read_whole(blob, data_key, start, end)


class _TracedWriter:
    """A `BlobWriter` whose span ends when its blob is finished, or given up."""

    def __init__(self, inner: BlobWriter, span: Span) -> None:
        self._inner = inner
        self._span = span

    @property
    def finished(self) -> bool:
        return self._inner.finished

    async def write(self, piece: Buffer) -> None:
        await self._inner.write(piece)

    async def finish(self) -> Staged:
        staged = await self._inner.finish()
        self._span.set_attribute("coffre.bytes", staged.blob.size)
        self._span.set_attribute("coffre.striped", not staged.body)
        self._span.end()
        return staged

    async def abandon(self) -> None:
        try:
            await self._inner.abandon()
        finally:
            self._span.end()
