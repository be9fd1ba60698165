"""Spans as OpenTelemetry's SDK makes them and sends them, by OTLP/HTTP; its own variables set it up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from telemetry.codes import code_of
from telemetry.traces import Attributes, Kind, Span, Traces

PATIENCE = 3.0
"""Seconds for the last spans when the process ends."""

_KINDS = {
    "server": trace.SpanKind.SERVER,
    "internal": trace.SpanKind.INTERNAL,
    "consumer": trace.SpanKind.CONSUMER,
    "client": trace.SpanKind.CLIENT,
}


class Otlp(Traces):
    def __init__(self, process: str) -> None:
        resource = Resource({SERVICE_NAME: f"holdfast-{process}"}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("holdfast")
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def span(self, name: str, kind: Kind, parent: str | None, attributes: Attributes) -> Iterator[Span]:
        # Not the SDK's own context manager: that one records the messages of errors.
        above = self._propagator.extract({"traceparent": parent or ""})
        made = self._tracer.start_span(name, above, _KINDS[kind], attributes)
        span = _Recorded(made)
        try:
            yield span
        except Exception as error:
            span.failed(code_of(error) or type(error).__qualname__)
            raise
        finally:
            made.end()

    def close(self) -> None:
        # A collector that is away would hold us up for half a minute.
        sending = threading.Thread(target=self._provider.shutdown, daemon=True)
        sending.start()
        sending.join(PATIENCE)


class _Recorded(Span):
    def __init__(self, made: trace.Span) -> None:
        self._made = made
        at = made.get_span_context()
        if at.is_valid:
            self.traceparent = f"00-{at.trace_id:032x}-{at.span_id:016x}-{at.trace_flags:02x}"

    def rename(self, name: str) -> None:
        self._made.update_name(name)

    def note(self, attributes: Attributes) -> None:
        self._made.set_attributes(attributes)

    def failed(self, code: str) -> None:
        self._made.set_attribute("error.type", code)
        self._made.set_status(trace.StatusCode.ERROR)
