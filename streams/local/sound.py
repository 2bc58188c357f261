"""Microphone and speaker together: started, stopped, and opened again when one of them is unplugged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hearsight.streams.local.devices import SoundDevice, Speaker
from hearsight.streams.local.system import DeviceError

RETRY_S: Final = 3.0
"""Time between two attempts to open a device that is gone."""


class Sound:
    """The sound devices of one session.

    Args:
        microphone: None to go without.
        speaker: Always there, be it one that nobody hears.
        refresh: Makes the system look for devices anew, while none of them is open.
    """

    def __init__(
        self, microphone: SoundDevice | None, speaker: SoundDevice, refresh: Callable[[], None] = lambda: None
    ) -> None:
        self.microphone = microphone
        self.speaker = speaker
        self._refresh = refresh
        self._lost: list[SoundDevice] = []
        self._tried_at_s = 0.0
        self._has_told = False

    def start(self) -> None:
        """Open both.

        Raises:
            DeviceError: One cannot be opened; then none is.
        """
        try:
            for device in self._devices:
                device.start()
        except DeviceError:
            self.stop()
            raise

    def stop(self) -> None:
        """Close both; idempotent."""
        for device in self._devices:
            device.stop()

    @property
    def speaker_is_lost(self) -> bool:
        """Whether the speaker is gone and nothing has taken its place yet."""
        return self.speaker in self._lost

    def watch(self, now: float, *, speaking: bool = False) -> str | None:
        """Notice what was unplugged, and open it again, every few seconds until it works.

        May take a second: not for an event loop.

        Args:
            now: Seconds.
            speaking: Whether an answer is being played; a speaker that works is not closed while one is.

        Returns:
            What to tell the user, None where nothing has changed.
        """
        if not self._lost:
            return self._notice_loss(now) or self._mend_gaps()
        if now - self._tried_at_s < RETRY_S or (speaking and not self.speaker_is_lost):
            return None
        self._tried_at_s = now
        real = [device for device in self._devices if device.is_real]
        for device in real:
            device.stop()
        self._refresh()
        self._lost = [device for device in real if not _starts(device)]
        return None if self._lost else f"Sound is back: {self._named(real)}."

    def _notice_loss(self, now: float) -> str | None:
        self._lost = [device for device in self._devices if device.is_lost()]
        if not self._lost:
            return None
        self._tried_at_s = now
        names = self._named(self._lost)
        is_gone = "are gone" if len(self._lost) > 1 else "is gone"
        return f"The {names} {is_gone}. Plug in that one or another; you can type meanwhile."

    def _mend_gaps(self) -> str | None:
        if not isinstance(self.speaker, Speaker) or not self.speaker.is_starved:
            return None
        try:
            self.speaker.relax()
        except DeviceError as error:
            self._lost = [self.speaker]
            return error.message
        first, self._has_told = not self._has_told, True
        return (
            "The speaker had gaps, for this machine is busy; it gets more time from now on."
            if first
            else None
        )

    @property
    def _devices(self) -> list[SoundDevice]:
        return [self.speaker] if self.microphone is None else [self.microphone, self.speaker]

    def _named(self, devices: list[SoundDevice]) -> str:
        return " and ".join(
            f"{'speaker' if device is self.speaker else 'microphone'} '{device.name}'" for device in devices
        )


def _starts(device: SoundDevice) -> bool:
    try:
        device.start()
    except DeviceError:
        return False
    return True
