"""What the page on recordings says is so."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from typer.main import get_command

from hearsight.cli import app
from hearsight.config.settings import setting_keys
from hearsight.streams import events
from hearsight.streams.recording.event_json import input_from_json, output_from_json
from hearsight.streams.recording.files import EVENTS_FILE, HEADER_FILE
from hearsight.streams.recording.media import TRACKS
from hearsight.streams.recording.recorder import MAX_WAITING_BYTES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "recordings.md").read_text()


class Media:
    def samples(self, value):
        return value

    data = samples


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_its_commands_exist_with_their_flags():
    lines = [line for block in blocks("sh") for line in block.splitlines() if "hearsight " in line]
    assert len(lines) >= 7
    for line in lines:
        words = shlex.split(line.partition("hearsight ")[2], comments=True)
        command = get_command(app)
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        flags = {flag for parameter in command.params for flag in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= flags, line


def test_it_names_every_setting_and_no_other():
    named = set(re.findall(r"`(recording\.[a-z_]+)`", PAGE))
    assert named == {key for key in setting_keys() if key.startswith("recording.")}


def test_it_names_every_file():
    named = set(re.findall(r"^\| `([^`]+)` \| ", PAGE, re.MULTILINE)) - {key for key in setting_keys()}
    assert named == {HEADER_FILE, EVENTS_FILE, *TRACKS, "frames/"}


def test_its_lines_are_lines():
    lines = [json.loads(line) for line in blocks("json")[0].splitlines()]
    for line in lines[:-1]:
        assert (
            input_from_json(line["in"], Media()) if "in" in line else output_from_json(line["out"], Media())
        )
    assert lines[-1]["end"]["reason"] == "closed"


def test_the_events_in_its_examples_exist():
    shown = "".join(blocks("text") + blocks("sh"))
    for name in re.findall(r"\b([A-Z][a-z]+[A-Z]\w+)\b", shown):
        assert hasattr(events, name), name


def test_its_bound_of_memory_is_the_one_in_force():
    assert f"at most {MAX_WAITING_BYTES // 2**20} MiB" in PAGE


def test_what_it_calls_for_is_there():
    for path in re.findall(r"`((?:tests|streams)/[\w./]+)`", PAGE) + re.findall(r"python (tests/\S+)`", PAGE):
        assert (ROOT / path).exists(), path
