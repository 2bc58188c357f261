"""The two ways to watch a conversation: a screen that is drawn anew, and one line per event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from hearsight.line_editor import LineEditor
from hearsight.streams.local.session import Devices
from hearsight.talk_screen import Status, show_line, show_live, tokens
from hearsight.talking import Line, Phase, Talk

DRAWN_PER_S: Final = 10
LINGER_S: Final = 0.5
"""After playback has ended, an answer may still turn out to have been cut off by then."""


class View(Protocol):
    """Shows a conversation."""

    async def run(self) -> None:
        """Show it until cancelled."""
        ...

    def close(self) -> None:
        """Show what is left."""
        ...


class Playing:
    """Whether an answer is being played, or was a moment ago."""

    def __init__(self, devices: Devices, clock: Callable[[], float]) -> None:
        self._devices = devices
        self._clock = clock
        self._last_s = float("-inf")

    @property
    def now(self) -> bool:
        """Whether it is being played."""
        return not self._devices.queue.idle

    @property
    def of_late(self) -> bool:
        """Whether it is, or was so lately that the last word on it may not have come."""
        if self.now:
            self._last_s = self._clock()
        return self._clock() - self._last_s < LINGER_S


class ScreenView:
    """Draws the last lines anew; what will not change any more scrolls away above them.

    Args:
        console: The terminal.
        talk: What is shown.
        devices: For the meters.
        editor: What is being typed.
        camera: The camera's name, None where there is none.
        talking: Push-to-talk: whether the user holds the floor.
    """

    def __init__(
        self,
        console: Console,
        talk: Talk,
        devices: Devices,
        editor: LineEditor,
        *,
        camera: str | None,
        talking: Callable[[], bool | None],
    ) -> None:
        self._console = console
        self._talk = talk
        self._devices = devices
        self._editor = editor
        self._camera = camera
        self._talking = talking
        self._playing = Playing(devices, talk.clock)

    async def run(self) -> None:
        """Draw until cancelled."""
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            while True:
                for line in self._talk.settled(playing=self._playing.of_late):
                    live.console.print(show_line(line))
                live.update(show_live(self._talk.lines, self._status(), self._console.height), refresh=True)
                await asyncio.sleep(1 / DRAWN_PER_S)

    def close(self) -> None:
        """Leave the last lines on the screen."""
        for line in self._talk.lines:
            self._console.print(show_line(line))

    def _status(self) -> Status:
        devices, talking = self._devices, self._talking()
        return Status(
            "hearing you" if talking else self._talk.phase(playing=self._playing.now),
            None if devices.sound.microphone is None else devices.microphone_level.level_db,
            devices.speaker_level.level_db,
            self._camera,
            self._talk.usage,
            self._talk.latency_s,
            self._editor.line,
            talking,
        )


class PlainView:
    """Prints one line per event, for logs and programs.

    Args:
        console: Where to.
        talk: What is shown.
        devices: To know what is being played.
    """

    def __init__(self, console: Console, talk: Talk, devices: Devices) -> None:
        self._console = console
        self._talk = talk
        self._began_s = talk.clock()
        self._playing = Playing(devices, talk.clock)
        self._phase: Phase | None = None
        self._told: object = None

    async def run(self) -> None:
        """Print until cancelled."""
        while True:
            phase = self._talk.phase(playing=self._playing.now)
            if phase != self._phase:
                self._phase = phase
                self._print("state", phase)
            for line in self._talk.settled(playing=self._playing.of_late):
                self._print(line.who, as_text(line))
            self._tell_numbers()
            await asyncio.sleep(1 / DRAWN_PER_S)

    def close(self) -> None:
        """Print what is left."""
        for line in self._talk.lines:
            self._print(line.who, as_text(line))
        self._tell_numbers()

    def _tell_numbers(self) -> None:
        if self._talk.usage is not None and self._talk.usage is not self._told:
            self._told = self._talk.usage
            self._print("tokens", tokens(self._talk.usage))
            if self._talk.latency_s is not None:
                self._print("delay", f"{self._talk.latency_s:.2f} s from the end of the turn to a sound")

    def _print(self, who: str, text: str) -> None:
        seconds = self._talk.clock() - self._began_s
        self._console.print(Text(f"{seconds:8.2f} {who:<6} {text}"), soft_wrap=True)


def as_text(line: Line) -> str:
    """A line without colours."""
    text = line.text
    if line.unheard:
        text += f" [not heard: {line.unheard.strip()}]"
    if line.who == "tool":
        text += f" {'→' if line.ok else '✗'} {line.outcome or '…'}"
    return " ".join(text.split())
