"""`hearsight ask` as a person runs it."""

import asyncio
import io
import json
import wave
from pathlib import Path

import numpy as np
import pytest
from drawn_pictures import encoded, room
from rich.console import Console
from typer.testing import CliRunner

from hearsight.ask_command import show_reply
from hearsight.asking import AskedCall, Reply
from hearsight.cli import app

SPEECH = str(Path(__file__).parents[1] / "data" / "speech" / "ten_of_clubs.wav")


def run(*arguments: str, **variables: str):
    return CliRunner().invoke(app, ["ask", *arguments], env={"COLUMNS": "120", **variables})


async def run_beside(*arguments: str, **variables: str):
    """While this event loop serves."""
    return await asyncio.to_thread(run, *arguments, **variables)


@pytest.fixture
def here(tmp_path, script):
    """Variables with which a scripted engine is loaded for the question."""

    def variables(*steps, **more) -> dict[str, str]:
        return {
            "HEARSIGHT_ENGINE__NAME": "scripted",
            "HEARSIGHT_ENGINE__SCRIPT": str(script(*steps, **more)),
            "HEARSIGHT_TOOLS__MEMORY_PATH": str(tmp_path / "memory.sqlite"),
            "HEARSIGHT_CONVERSATIONS__STORE": "none",
            "HEARSIGHT_SERVER__PORT": "0",
        }

    return variables


async def test_a_server_is_asked_by_its_address(script, scripted, serving, tmp_path):
    steps = ({"call": "calculate", "arguments": {"expression": "2+2"}},)
    async with serving(scripted(script(*steps, transcripts=["two plus two"]))) as (server, _):
        result = await run_beside(SPEECH, "--server", f"127.0.0.1:{server.port}")
    assert result.exit_code == 0, result.output
    lines = [line.split(maxsplit=1) for line in result.stdout.splitlines()]
    assert ["you", "two plus two"] in [[word.strip() for word in line] for line in lines]
    assert any(line[0] == "tool" and 'calculate({"expression": "2+2"}) → 4' in line[1] for line in lines)
    assert any(line[0] == "answer" for line in lines)
    assert "first heard" in result.stdout and "tokens in" in result.stdout


async def test_the_server_of_the_settings_is_asked_if_it_runs(script, scripted, serving):
    async with serving(scripted(script({"say": "From the server."}))) as (server, _):
        result = await run_beside("-t", "Hi", HEARSIGHT_SERVER__PORT=str(server.port))
    assert "From the server." in result.stdout


async def test_a_server_that_encrypts_is_asked_as_well(script, scripted, serving, tmp_path):
    tls = {"tls": "self-signed", "tls_folder": str(tmp_path / "tls")}
    steps = {"say": "Hello."}, {"say": "Again."}
    settings = scripted(script(*steps), **{f"server__{key}": value for key, value in tls.items()})
    async with serving(settings) as (server, url):
        variables = {f"HEARSIGHT_SERVER__{key.upper()}": value for key, value in tls.items()}
        result = await run_beside("-t", "Hi", HEARSIGHT_SERVER__PORT=str(server.port), **variables)
        assert result.exit_code == 0 and "Hello." in result.stdout, result.output
        folder = {"HEARSIGHT_SERVER__TLS_FOLDER": tls["tls_folder"]}
        by_flag = await run_beside("-t", "Hi", HEARSIGHT_SERVER__PORT=str(server.port), **folder)
        assert by_flag.exit_code == 0 and "Again." in by_flag.stdout, by_flag.output
        untold = await run_beside("-t", "Hi", "--server", url)
    assert untold.exit_code == 1 and "set SSL_CERT_FILE" in " ".join(untold.stderr.split())


async def test_a_key_is_taken_from_the_settings_or_the_flag(script, scripted, serving):
    settings = scripted(script({"say": "One."}, {"say": "Two."}), server__api_keys=["sesame"])
    async with serving(settings) as (server, _):
        at = ("-t", "Hi", "--server", f"127.0.0.1:{server.port}")
        refused = await run_beside(*at)
        by_setting = await run_beside(*at, HEARSIGHT_SERVER__API_KEYS="sesame")
        by_flag = await run_beside(*at, "--api-key", "sesame")
    assert refused.exit_code == 1 and "A valid API key is needed" in refused.stderr
    assert "One." in by_setting.stdout and "Two." in by_flag.stdout


def test_without_a_server_the_engine_is_loaded_here(here, tmp_path):
    (tmp_path / "room.png").write_bytes(encoded(room(), ".png"))
    saved = tmp_path / "answer.wav"
    result = run(
        "-t", "Where am I?", "-p", str(tmp_path / "room.png"), "--save", str(saved),
        **here({"say": "In a room."}, captions=["a room"]),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "In a room." in result.stdout and "image" in result.stdout
    assert f"The spoken answer is in {saved}." in result.stdout.replace("\n", "")
    with wave.open(str(saved)) as recording:
        assert (recording.getframerate(), recording.getnchannels(), recording.getsampwidth()) == (
            24_000,
            1,
            2,
        )
        samples = np.frombuffer(recording.readframes(recording.getnframes()), "<i2")
    assert samples.size > 4_800 and np.abs(samples).max() > 1_000


async def test_in_process_leaves_a_running_server_alone(script, scripted, serving, here):
    async with serving(scripted(script())) as (server, _):
        variables = {**here({"say": "From here."}), "HEARSIGHT_SERVER__PORT": str(server.port)}
        result = await run_beside("-t", "Hi", "--in-process", **variables)
    assert "From here." in result.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        ([], 1, "error: Give a WAV file or a --text to ask about."),
        (["none.wav"], 1, "error: 'none.wav' cannot be read: No such file or directory."),
        (["-t", "x", "-p", "none.jpg"], 1, "error: 'none.jpg' cannot be read: No such file or directory."),
        (["-t", "x", "--server", "127.0.0.1:1"], 1, "start one with `hearsight serve`"),
        (["-t", "x", "--server", "gopher://x"], 1, "is no address of a server"),
        (["-t", "x", "--server", "h", "--in-process"], 1, "they contradict each other"),
        (["-t", "x", "--preset", "fast"], 2, "There is no preset 'fast'"),
        (["-t", "x", "--no-such-flag"], 2, "No such option"),
    ],
)
def test_what_cannot_be_asked_ends_in_one_sentence(arguments, status, complaint):
    result = run(*arguments)
    assert result.exit_code == status
    assert result.stdout == ""
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unknown_variable_is_a_wrong_setting():
    result = run("-t", "x", HEARSIGHT_SERVER__PROT="1")
    assert result.exit_code == 2
    assert "did you mean HEARSIGHT_SERVER__PORT?" in result.stderr


def test_an_engine_that_fails_ends_in_its_own_words(here):
    result = run("-t", "Hi", **here({"error": "The model is out of breath."}))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error: The model is out of breath." in result.stderr


def test_an_answer_that_cannot_be_saved_is_shown_all_the_same(here, tmp_path):
    result = run("-t", "Hi", "--save", str(tmp_path / "no" / "x.wav"), **here({"say": "Hello."}))
    assert result.exit_code == 1
    assert "Hello." in result.stdout
    assert "cannot be saved" in result.stderr and "No such file or directory" in result.stderr


def shown(reply: Reply) -> str:
    stream = io.StringIO()
    show_reply(reply, Console(file=stream, width=100, color_system=None))
    return stream.getvalue()


def test_silence_on_either_side_is_said():
    text = shown(Reply(transcript=""))
    assert "(nothing was heard)" in text and "(nothing was said)" in text
    assert "first heard" not in text and "tokens" not in text


def test_markup_in_an_answer_is_text():
    reply = Reply(transcript="[red]x[/red]", text="[bold]y[/]", notices=["[z]"])
    reply.calls.append(AskedCall("recall", json.dumps({"about": "[a]"}), "[b]", ok=False))
    text = shown(reply)
    for piece in ("[red]x[/red]", "[bold]y[/]", "[z]", '"[a]"', "✗ [b]"):
        assert piece in text


def test_tokens_are_told_by_kind():
    details = {"text_tokens": 90, "audio_tokens": 0, "image_tokens": 256, "cached_tokens": 80}
    usage = {"input_tokens": 346, "output_tokens": 12, "input_token_details": details}
    text = shown(Reply(text="x", usage=usage))
    assert "346 tokens in (90 text, 256 image, 80 of them from the cache), 12 out" in text
