"""`hearsight talk` as a person runs it: from files, in a terminal, and with what is missing."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from typer.testing import CliRunner

from hearsight.cli import app
from hearsight.wav import read_wav, write_wav

DATA = Path(__file__).parents[1] / "data"
CLUBS = DATA / "speech" / "ten_of_clubs.wav"
STORY = "Once upon a time there was a dragon who read long books by the light of its own fire."
NO_CAMERA = "--no-camera"


def run(*arguments: str, **variables: str):
    return CliRunner().invoke(app, ["talk", *arguments], env={"COLUMNS": "100", **variables})


@pytest.fixture
def here(tmp_path, script):
    """Variables with which a scripted engine answers."""

    def variables(*steps, **more) -> dict[str, str]:
        return {
            "HEARSIGHT_ENGINE__NAME": "scripted",
            "HEARSIGHT_ENGINE__SCRIPT": str(script(*steps, **more)),
            "HEARSIGHT_TOOLS__MEMORY_PATH": str(tmp_path / "memory.sqlite"),
            "HEARSIGHT_CONVERSATIONS__STORE": "none",
            "HEARSIGHT_TURN__SPECULATIVE": "false",  # a script goes on where a trial has left it
        }

    return variables


@pytest.fixture
def no_sound(tmp_path, monkeypatch):
    """A machine without PortAudio."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.syspath_prepend(tmp_path / "site")


def events(output: str) -> list[tuple[str, str]]:
    """Who and what of each line."""
    found = re.findall(r"^ *\d+\.\d\d (\w+) +(.*)$", output, re.MULTILINE)
    return [(who, text) for who, text in found]


def test_a_recording_is_answered_and_the_answer_saved(here, no_sound, tmp_path):
    saved = tmp_path / "answer.wav"
    call = {"call": "calculate", "arguments": {"expression": "6*7"}}
    result = run(
        "--audio-file", str(CLUBS), "--save", str(saved), NO_CAMERA,
        **here(call, {"say": "unused"}, transcripts=["six times seven"] * 4),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    seen = events(result.stdout)
    assert [text for who, text in seen if who == "state"][:2] == ["listening", "hearing you"]
    assert ("you", "six times seven") in seen
    assert ("tool", 'calculate({"expression": "6*7"}) → 42') in seen
    assert seen.index(("you", "six times seven")) < seen.index(("answer", "That's 42."))
    assert any(who == "tokens" for who, _ in seen) and any(who == "delay" for who, _ in seen)
    assert f"What was spoken is in {saved}." in result.stdout.replace("\n", "")
    samples = read_wav(saved, 24_000)
    assert 0.3 < samples.size / 24_000 < 1.5 and np.abs(samples).max() > 1_000


def test_who_interrupts_leaves_what_was_not_heard(here, tmp_path):
    pause = np.zeros(2 * 16_000, np.int16)
    speech = np.concatenate(
        [read_wav(CLUBS, 16_000), pause, read_wav(DATA / "speech" / "eight_of_spades.wav", 16_000)]
    )
    write_wav(tmp_path / "both.wav", speech, 16_000)
    saved = tmp_path / "answer.wav"
    steps = [{"say": STORY}] * 9
    result = run(
        "--plain", "--audio-file", str(tmp_path / "both.wav"), "--save", str(saved), NO_CAMERA,
        **here(*steps, transcripts=["stop that"] * 9),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    first = next(text for who, text in events(result.stdout) if who == "answer")
    match = re.fullmatch(r"(Once upon.*) \[not heard: (.+)\]", first)
    assert match, first
    assert f"{match[1]} {match[2]}" == STORY
    assert 2 <= len(match[1].split()) <= 14


def test_a_film_is_seen(here, tmp_path):
    import cv2

    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (320, 240))
    for _ in range(30):
        writer.write(np.random.default_rng(1).integers(0, 255, (240, 320, 3)).astype(np.uint8))
    writer.release()
    result = run(
        "--audio-file", str(CLUBS), "--video-file", str(path),
        **here(*[{"say": "A lot of noise."}] * 3, transcripts=["what do you see"] * 3, captions=["noise"] * 9),  # noqa: E501
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (told,) = [text for who, text in events(result.stdout) if who == "tokens"]
    assert "image" in told


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (["--audio-file", "none.wav"], 1, "error: 'none.wav' cannot be read: No such file or directory."),
        (["--video-file", "none.mp4"], 1, "error: 'none.mp4' cannot be read: there is no such file."),
        (["--audio-file", str(CLUBS), "--push-to-talk"], 1, "a recording presses no keys"),
        (["--microphone", "none", "--speaker", "none"], 1, "There is nothing to listen to"),
        (["--no-such-flag"], 2, "No such option"),
        (["--microphone", ""], 2, "local.microphone"),
    ],
)
def test_what_cannot_be_done_ends_in_one_sentence(arguments, status, complaint):
    result = run(*arguments)
    assert result.exit_code == status
    assert complaint in result.stderr.replace("\n", "") and "Traceback" not in result.stderr
    assert result.stdout == ""


def test_without_portaudio_it_says_which_package(no_sound):
    result = run()
    assert result.exit_code == 1
    assert "error: Microphone and speaker need the PortAudio library" in result.stderr
    assert "libportaudio2" in result.stderr or "brew" in result.stderr


def test_an_answer_that_cannot_be_saved_is_told_at_once(here, tmp_path):
    result = run("--audio-file", str(CLUBS), "--save", str(tmp_path / "no" / "x.wav"), **here({"say": "Hm."}))
    assert result.exit_code == 1
    assert "What is spoken cannot be saved as" in result.stderr
    assert result.stdout == ""


class Terminal:
    """The command in a real pseudo-terminal."""

    def __init__(self, *arguments: str, **variables: str) -> None:
        self.hand, program = pty.openpty()
        command = [sys.executable, "-c", "from hearsight.cli import main; main()", "talk", *arguments]
        env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "90", "LINES": "24", **variables}
        self.process = subprocess.Popen(command, stdin=program, stdout=program, stderr=program, env=env)
        os.close(program)
        self.screen = ""
        self._received = b""

    def until(self, wanted: str, timeout_s: float = 60) -> None:
        """Wait until something stands on the screen, colours aside."""
        patience_s = time.monotonic() + timeout_s
        while wanted not in self.screen:
            assert time.monotonic() < patience_s, f"no '{wanted}' in:\n{self.screen[-3_000:]}"
            if select.select([self.hand], [], [], 0.2)[0]:
                try:
                    data = os.read(self.hand, 65_536)
                except OSError:  # Linux's way to say that the other end is closed
                    raise AssertionError(f"it ended without '{wanted}':\n{self.screen[-3_000:]}") from None
                self._received += data
                text = self._received.decode(errors="replace")
                self.screen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)

    def press(self, keys: str) -> None:
        os.write(self.hand, keys.encode())

    def end(self, timeout_s: float = 30) -> int:
        """Wait for its end; what it still writes is read, or it would wait for ever."""
        patience_s = time.monotonic() + timeout_s
        while self.process.poll() is None and time.monotonic() < patience_s:
            if select.select([self.hand], [], [], 0.1)[0]:
                with suppress(OSError):  # Linux's way to say that the other end is closed
                    os.read(self.hand, 65_536)
        os.close(self.hand)
        self.process.kill()
        return self.process.wait()


SILENT = ("--microphone", "none", "--speaker", "none", NO_CAMERA)


def test_in_a_terminal_one_can_type(here):
    terminal = Terminal(*SILENT, **here({"say": "Hello to you."}))
    terminal.until("type and press Enter")
    terminal.press("Hi ther")
    terminal.until("> Hi ther")
    terminal.press("e\r")
    terminal.until("Hello to you.")
    terminal.until("tokens ")
    terminal.press("\x04")
    assert terminal.end() == 0
    assert "Traceback" not in terminal.screen


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(here, number):
    terminal = Terminal(*SILENT, **here({"say": "Hello."}))
    terminal.until("type and press Enter")
    terminal.process.send_signal(number)
    assert terminal.end() == 0


def test_plain_in_a_terminal_takes_whole_lines(here):
    terminal = Terminal("--plain", *SILENT, **here({"say": "Hello to you."}))
    terminal.until("state  listening")
    terminal.press("Hi there\n")
    terminal.until("you    Hi there")
    terminal.until("answer Hello to you.")
    terminal.press("\x04")
    assert terminal.end() == 0


@pytest.mark.models
async def test_the_embedded_engine_hears_a_recording_and_answers_aloud(tmp_path):
    from faster_whisper import WhisperModel

    from hearsight.agent.voice.hibari import HibariVoice

    voice = HibariVoice("heart")
    question = (await voice.synthesize("What is seventeen times twenty three?", speed=1.0)).samples
    await voice.aclose()
    write_wav(tmp_path / "question.wav", question, 24_000)
    result = await asyncio.to_thread(
        subprocess.run,
        [
            sys.executable, "-c", "from hearsight.cli import main; main()", "talk", NO_CAMERA,
            "--audio-file", str(tmp_path / "question.wav"), "--save", str(tmp_path / "answer.wav"),
        ],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=250, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    seen = events(result.stdout)
    assert "17 times 23" in next(text for who, text in seen if who == "you")
    assert next(text for who, text in seen if who == "tool").endswith("→ 391")
    samples = read_wav(tmp_path / "answer.wav", 16_000).astype(np.float32) / 32_768
    folder = Path(platformdirs.user_cache_dir("hearsight")) / "models" / "whisper-base"
    model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=2)
    segments, _ = model.transcribe(samples, language="en", beam_size=1)
    assert "391" in "".join(segment.text for segment in segments)
