"""Sends traces to where the settings, or OpenTelemetry's own variables, say.

Imported only where there is such a place: without one, OpenTelemetry costs nothing and need not be installed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from hearsight.config.traces import TraceSettings
from hearsight.streams.observing import NewObserver
from hearsight.turn_traces import TurnTraces

GOODBYE_S: Final = 5.0
"""For which the last spans may take to be sent when the service stops."""


@asynccontextmanager
async def open_traces(
    settings: TraceSettings, processor: SpanProcessor | None = None
) -> AsyncIterator[NewObserver]:
    """Trace turns for as long as the block runs; what is not sent by then is sent at its end.

    Args:
        settings: Where to, and how many.
        processor: Takes the spans, in place of what sends them.
    """
    # Not the provider of the whole process: a program that embeds the service may have one of its own.
    provider = TracerProvider(
        sampler=None if settings.sample is None else ParentBased(TraceIdRatioBased(settings.sample)),
        resource=Resource.create(_about_us(os.environ)),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter(settings.endpoint)))
    tracer = provider.get_tracer("hearsight", version("hearsight"))
    try:
        yield lambda session_id: TurnTraces(tracer, session_id)
    finally:
        await asyncio.to_thread(_say_goodbye, provider)


def _say_goodbye(provider: TracerProvider) -> None:
    provider.force_flush(round(GOODBYE_S * 1000))
    provider.shutdown()


def _about_us(environment: Mapping[str, str]) -> dict[str, str]:
    """What spans say of the service, besides what OpenTelemetry's variables say."""
    about = {"service.version": version("hearsight")}
    named = OTEL_SERVICE_NAME in environment or SERVICE_NAME in environment.get(OTEL_RESOURCE_ATTRIBUTES, "")
    return about if named else {**about, SERVICE_NAME: "hearsight"}
