"""Draws ``talk.svg``: what ``hearsight talk`` really shows when somebody speaks to it and interrupts it.

Run it from the top folder: ``.venv/bin/python docs/images/talk.py``. A voice speaks in place of a user; the
embedded engine hears, thinks and answers in real time.
"""

from __future__ import annotations

import asyncio
import io
import re
from pathlib import Path

import numpy as np
import soxr
from rich.console import Console
from rich.text import Text

from hearsight.agent.voice.hibari import HibariVoice
from hearsight.config.settings import load_settings
from hearsight.loading import fetch_models
from hearsight.local_devices import Files
from hearsight.local_talk import LocalTalk
from hearsight.streams.events import Samples
from hearsight.streams.local.recordings import RecordedMicrophone
from hearsight.streams.local.session import Devices
from hearsight.talk_screen import show_line, show_status
from hearsight.talk_views import DRAWN_PER_S, ScreenView, View

WORDS: tuple[tuple[float, str], ...] = (
    (0.0, "What is seventeen times twenty three?"),
    (0.0, "Tell me a story about a dragon and a king."),
    (3.4, "Thank you, that will do. Please time the eggs, six minutes."),
)
"""What is said, and how much of an answer is listened to before: 0 for all of it."""
PATIENCE_S = 1.0


class Drawing(ScreenView):
    """Speaks, and draws on paper: every line, and how things stood while the last answer was being spoken."""

    words: list[tuple[float, Samples]]

    async def run(self) -> None:
        """Follow the conversation until cancelled."""
        rested_s = spoken_s = 0.0
        self.last = self._status()
        while True:
            for line in self._talk.settled(playing=self._playing.of_late):
                self._console.print(show_line(line))
            if self._playing.now:
                spoken_s += 1 / DRAWN_PER_S
            rested_s = 0.0 if self._playing.now or not self._talk.at_rest else rested_s + 1 / DRAWN_PER_S
            if self._playing.now and self._talk.usage is not None:
                self.last = self._status()
            if self.words:
                after_s, samples = self.words[0]
                if spoken_s >= after_s > 0 or (not after_s and rested_s > PATIENCE_S):
                    del self.words[0]
                    say(self._devices.sound.microphone, samples)
                    rested_s, spoken_s = -60.0, 0.0
            await asyncio.sleep(1 / DRAWN_PER_S)

    def close(self) -> None:
        """Draw what is left, and how things stood."""
        super().close()
        self._console.print(show_status(self.last))


def say(microphone: object, samples: Samples) -> None:
    """Let a recording that is over go on with this."""
    assert isinstance(microphone, RecordedMicrophone)
    microphone._samples = samples
    microphone._at = 0


class DrawnTalk(LocalTalk):
    """A conversation that is drawn."""

    words: list[tuple[float, Samples]]

    def _view(self, devices: Devices, camera: str | None) -> View:
        view = Drawing(self._console, self._talk, devices, self._editor, camera=camera, talking=lambda: None)
        view.words = self.words
        return view


async def speak() -> list[tuple[float, Samples]]:
    """What the user says, at 16 kHz."""
    voice = HibariVoice("heart")
    spoken = []
    for after_s, text in WORDS:
        samples = (await voice.synthesize(text, speed=1.0)).samples
        spoken.append((after_s, soxr.resample(samples, 24_000, 16_000).astype(np.int16)))
    await voice.aclose()
    return spoken


def main() -> None:
    """Converse, and draw."""
    settings = load_settings(overrides={"local.camera": "none"}).settings
    store = fetch_models(settings, Console(stderr=True))
    console = Console(record=True, width=90, file=io.StringIO())
    console.print(Text("$ hearsight talk"), style="bold green")
    files = Files(np.zeros(16_000, np.int16), "a voice")
    talk = DrawnTalk(settings, files, console, lambda samples: None, push_to_talk=False, on_screen=True)
    talk.words = asyncio.run(speak())
    asyncio.run(talk.run(store))
    drawn = console.export_svg(title="hearsight talk")
    # The picture stands by itself: a reader's own monospace font will do.
    Path(__file__).with_suffix(".svg").write_text(re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL))


if __name__ == "__main__":
    main()
