"""Settings of `hearsight talk`: which devices of this machine it uses, and how."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from hearsight.config.fields import Section


def _number_as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


DeviceName = Annotated[str, BeforeValidator(_number_as_text), Field(min_length=1)]
"""``default``, ``none``, a number, or a name or a part of it."""


class LocalSettings(Section):
    """Microphone, speaker and camera of this machine."""

    microphone: DeviceName = Field(
        "default",
        description="Microphone: `default`, `none`, or a name, a part of one, or a number from "
        "`hearsight doctor`.",
    )
    speaker: DeviceName = Field("default", description="Speaker, likewise.")
    camera: DeviceName = Field(
        "default",
        description="Camera, likewise; `default` goes without if there is none. `screen`, or `screen 2`, "
        "looks at this machine's screen.",
    )
    camera_frames_per_s: float = Field(
        2, gt=0, le=30, description="Pictures per second that are taken from the camera."
    )
    echo_cancellation: bool = Field(
        True,
        description="Take the answer, as the speaker plays it, out of what the microphone hears; headphones "
        "make it needless.",
    )
