"""What the terminal shows, at its usual width and a narrow one."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from hearsight.streams.events import Usage
from hearsight.talk_screen import Status, show_line, show_live, show_status, tokens
from hearsight.talking import Line

STATUS = Status("listening", -30.0, -60.0, "Webcam", None, None, "", None)
USAGE = Usage(input_text=2_000, input_audio=134, input_image=256, output_text=50)


def shown(renderable, *, width: int = 100, color: bool = False) -> str:
    stream = io.StringIO()
    system = "truecolor" if color else None
    Console(file=stream, width=width, color_system=system, force_terminal=color).print(renderable)
    return stream.getvalue()


def test_words_that_nobody_heard_are_struck_out():
    line = Line("answer", "Once upon a", unheard=" time there was", complete=True)
    assert "Once upon a time there was" in shown(show_line(line))
    assert "\x1b[2;9m time there was" in shown(show_line(line), color=True)


def test_a_tool_shows_what_became_of_it():
    call = 'get_time({"place": "Oslo"})'
    assert f"{call} …" in shown(show_line(Line("tool", call)))
    assert f"{call} → nine" in shown(show_line(Line("tool", call, outcome="nine", complete=True)))
    assert f"{call} ✗ unknown" in shown(show_line(Line("tool", call, outcome="unknown", ok=False)))


def test_speech_that_is_not_written_down_yet_has_its_place():
    assert shown(show_line(Line("you"))).split() == ["you", "…"]


def test_markup_in_what_is_said_is_text():
    assert "[red]x[/red] [/]" in shown(show_line(Line("you", "[red]x[/red] [/]", complete=True)))


def test_the_status_tells_everything():
    status = replace(STATUS, phase="speaking", usage=USAGE, latency_s=0.523, typed="hel")
    text = shown(show_status(status))
    for part in ("speaking", "microphone ▮▮▮▮▮▯▯▯▯▯", "speaker ▯▯▯▯▯▯▯▯▯▯", "camera Webcam", "> hel"):
        assert part in text
    assert "tokens 2,440 of 32,768: text 2,000, audio 134, image 256, answer 50" in text
    assert "delay 0.52 s" in text


@pytest.mark.parametrize(
    ("talking", "keys"),
    [(None, "type and press Enter"), (False, "space: speak"), (True, "space: you have spoken")],
)
def test_the_keys_are_told_until_something_is_typed(talking, keys):
    assert keys in shown(show_status(replace(STATUS, talking=talking)))
    assert keys not in shown(show_status(replace(STATUS, talking=talking, typed="x")))


def test_without_a_microphone_there_is_no_meter_for_one():
    text = shown(show_status(replace(STATUS, microphone_db=None, camera=None)))
    assert "microphone" not in text and "camera" not in text


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_the_status_takes_four_rows_whatever_the_width(width):
    status = replace(STATUS, phase="hearing you", usage=USAGE, latency_s=1.0, typed="x" * 300)
    rows = shown(show_status(status), width=width).splitlines()
    assert len(rows) == 4 and max(map(len, rows)) <= width


@pytest.mark.parametrize("rows", [8, 24])
def test_a_long_answer_shows_its_end_above_the_status(rows):
    lines = [Line("answer", " ".join(f"word{number}" for number in range(400)))]
    text = shown(show_live(lines, STATUS, rows), width=80).splitlines()
    assert len(text) <= rows
    assert "word399" in "\n".join(text) and "word0 " not in "\n".join(text)
    assert "listening" in text[-3]


def test_tokens_of_no_kind_are_left_out():
    assert tokens(Usage(input_text=9, output_text=1)) == "10 of 32,768: text 9, answer 1"
