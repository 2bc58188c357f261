"""Settings of overload: what is too much to do in time, and what is given up then."""

from __future__ import annotations

from pydantic import Field

from hearsight.config.fields import Section


class OverloadSettings(Section):
    """What is too much to do in time, and what is given up then, one thing after another."""

    turn_latency_s: float = Field(
        3,
        ge=0,
        le=600,
        description="Seconds from the end of a turn to the first sound of its answer that are too many, when "
        "one turn in ten of several sessions takes longer; 0: however many.",
    )
    lag_ms: float = Field(
        200,
        ge=0,
        le=60_000,
        description="Milliseconds by which the event loop, and with it all audio, is late that are too many; "
        "0: however many.",
    )
    memory_mib: int | None = Field(
        None,
        ge=0,
        description="Memory of the process that is too much, in MiB; 0: however much. Unset takes nine "
        "tenths of what this machine, or the container, has.",
    )
    rise_s: float = Field(
        3, ge=0, le=600, description="Seconds of too much after which the next thing is given up."
    )
    calm_s: float = Field(
        20,
        gt=0,
        le=3600,
        description="Seconds of clearly less after which the last thing given up is taken back; more where "
        "that proves too early.",
    )
    frames_per_s: float = Field(
        1,
        gt=0,
        le=240,
        description="Given up first: camera frames of a session beyond so many a second are not looked at.",
    )
    picture_px: int = Field(
        384,
        ge=64,
        le=8192,
        description="Given up second: pictures are reduced until their longer side has so many pixels.",
    )
    history: float = Field(
        0.25,
        gt=0,
        le=1,
        description="Given up third: of the room for a conversation's past, this share is used. After that, "
        "new sessions are refused.",
    )
