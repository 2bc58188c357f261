"""Settings of traces: where the story of every turn is sent."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from hearsight.config.fields import Section

PATH = "/v1/traces"


def _whole(url: str) -> str:
    """The address with the path that receivers have by convention, where it has none."""
    if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", url):
        raise ValueError(
            "must be an address that begins with http:// or https://, such as http://127.0.0.1:4318"
        )
    return url.rstrip("/") + PATH if urlsplit(url).path in ("", "/") else url


class TraceSettings(Section):
    """OpenTelemetry traces, one of every turn."""

    endpoint: Annotated[str, AfterValidator(_whole)] | None = Field(
        None,
        description="Address of a receiver of OTLP over HTTP, such as `http://127.0.0.1:4318`; the path "
        "`/v1/traces` is added where there is none. Unset: `OTEL_EXPORTER_OTLP_ENDPOINT` and the like; "
        "without them, no traces are sent.",
    )
    sample: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Share of the turns that are traced, from 0 to 1. Unset: `OTEL_TRACES_SAMPLER`, else "
        "all.",
    )
