"""Both ways to watch a conversation show it in order, and leave nothing out."""

from __future__ import annotations

import asyncio
import io

import numpy as np
import pytest
from rich.console import Console

from hearsight.config.local_devices import LocalSettings
from hearsight.line_editor import LineEditor
from hearsight.local_devices import Files, make_devices
from hearsight.streams.events import AudioCommitted, SpeechStarted, SpeechStopped, TranscriptionCompleted
from hearsight.talk_views import LINGER_S, PlainView, Playing, ScreenView, as_text
from hearsight.talking import Line, Talk

HEARD = (
    SpeechStarted("item_1", 0),
    SpeechStopped("item_1", 900),
    AudioCommitted("item_1", None),
    TranscriptionCompleted("item_1", 0, "Hello.", 0.9),
)


@pytest.fixture
async def devices():
    return make_devices(LocalSettings(), Files(np.zeros(9, np.int16), "speech.wav"))


async def watch(view, *, for_s: float = 0.25) -> None:
    watching = asyncio.create_task(view.run())
    await asyncio.sleep(for_s)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    view.close()


async def test_an_answer_is_still_open_for_a_moment_after_its_last_sound(devices):
    now = [10.0]
    playing = Playing(devices, lambda: now[0])
    assert not playing.now and not playing.of_late
    devices.queue.put("a", np.ones(10, np.int16))
    assert playing.now and playing.of_late
    devices.queue.flush()
    now[0] += LINGER_S - 0.01
    assert not playing.now and playing.of_late
    now[0] += 0.02
    assert not playing.of_late


async def test_plain_lines_tell_the_time_who_and_what(devices):
    stream = io.StringIO()
    now = [50.0]
    talk = Talk(lambda: now[0])
    view = PlainView(Console(file=stream, width=40), talk, devices)
    now[0] = 51.5
    for output in HEARD:
        talk.take(output)
    talk.note("A remark that is far longer than the forty columns of this console are wide.")
    await watch(view)
    assert stream.getvalue().splitlines() == [
        "    1.50 state  thinking",
        "    1.50 you    Hello.",
        "    1.50 note   A remark that is far longer than the forty columns of this console are wide.",
    ]


async def test_what_never_settled_is_shown_at_the_end(devices):
    stream = io.StringIO()
    talk = Talk(lambda: 0.0)
    talk.take(HEARD[0])
    await watch(PlainView(Console(file=stream), talk, devices))
    assert stream.getvalue().split() == ["0.00", "state", "hearing", "you", "0.00", "you"]


async def test_the_screen_keeps_what_scrolled_by_and_takes_the_status_away(devices):
    stream = io.StringIO()
    console = Console(file=stream, width=80, height=20, force_terminal=True, color_system=None)
    talk = Talk(lambda: 0.0)
    view = ScreenView(console, talk, devices, LineEditor(), camera="Webcam", talking=lambda: True)
    for output in HEARD:
        talk.take(output)
    await watch(view)
    text = stream.getvalue()
    assert "Hello." in text and "camera Webcam" in text
    assert "hearing you" in text and "space: you have spoken" in text, "whoever holds the key is being heard"
    assert text.index("Hello.") < text.index("camera Webcam")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (Line("answer", "One", unheard=" two"), "One [not heard: two]"),
        (Line("answer", "One\ntwo  three"), "One two three"),
        (Line("tool", "f({})", outcome="1\n2"), "f({}) → 1 2"),
        (Line("tool", "f({})", outcome="no", ok=False), "f({}) ✗ no"),
        (Line("tool", "f({})"), "f({}) → …"),
    ],
)
def test_a_line_is_one_line(line, text):
    assert as_text(line) == text
