"""``hearsight doctor`` asks the model server, and says what to set."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from failing_chat_server import FailingServer, Reply, failing_server
from typer.testing import CliRunner

from hearsight.cli import app
from hearsight.config.settings import Settings, load_settings
from hearsight.remote_checks import check_remote

LISTED = ({"id": "tiny", "object": "model", "max_model_len": 4096}, {"id": "other", "object": "model"})


@contextmanager
def served(*replies: Reply, **options) -> Iterator[FailingServer]:
    """A server in a loop of its own: the checks bring theirs."""
    ready, found, loop = threading.Event(), [], asyncio.new_event_loop()
    stop = asyncio.Event()

    async def run() -> None:
        async with failing_server(*replies, **options) as server:
            found.append(server)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    ready.wait(10)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def settings_for(server: FailingServer, **changes) -> Settings:
    own = {f"openai.{name}": value for name, value in changes.items()}
    base = {"openai.base_url": f"http://127.0.0.1:{server.port}/v1", "openai.model": "tiny"}
    return load_settings(preset="vllm", overrides=base | own).settings


def error(message: str, status: int = 400) -> Reply:
    return Reply(status, {"error": {"message": message, "code": status}})


def test_other_engines_ask_nobody():
    assert list(check_remote(load_settings().settings)) == []


def test_a_server_that_takes_everything_is_fine():
    usage = {"prompt_tokens": 190, "completion_tokens": 1, "total_tokens": 191}
    with served(Reply(deltas=("OK",), usage=usage), models=LISTED) as server:
        text, speech, pictures = check_remote(settings_for(server))
        assert [text.status, speech.status, pictures.status] == ["ok", "ok", "ok"]
        assert "tiny at" in text.found and "4,096 tokens, which is less than context.max_tokens" in text.found
        assert (speech.check, speech.found) == ("model server, speech", "taken, 190 tokens")
        assert all(request["max_tokens"] == 1 for request in server.requests)


def test_only_what_is_sent_to_the_model_is_asked_about():
    with served(models=LISTED) as server:
        assert len(list(check_remote(settings_for(server, audio=False, pictures=False)))) == 1


def test_a_model_that_takes_no_speech_names_the_setting():
    replies = (Reply(deltas=("OK",)), error("At most 0 audio(s) may be provided"), Reply(deltas=("OK",)))
    with served(*replies, models=LISTED) as server:
        text, speech, pictures = check_remote(settings_for(server))
    assert [text.status, speech.status, pictures.status] == ["ok", "failed", "ok"]
    assert "openai.audio = false" in speech.found


def test_a_model_that_is_not_there_brings_those_that_are():
    with served(error("The model `tiny` does not exist.", 404), models=LISTED[1:]) as server:
        [finding] = check_remote(settings_for(server))
    assert finding.status == "failed"
    assert "openai.model" in finding.found
    assert finding.mend == "It has other."


def test_a_wrong_key_is_told_once():
    with served(key="right") as server:
        [finding] = check_remote(settings_for(server, api_key="wrong"))
    assert finding.status == "failed" and "HEARSIGHT_OPENAI__API_KEY" in finding.found


def test_nobody_there_is_told_once():
    with served() as server:
        settings = settings_for(server)
    [finding] = check_remote(settings)
    assert finding.status == "failed"
    assert settings.openai.base_url in finding.found


def test_a_server_without_a_list_is_asked_all_the_same():
    with served(models=None) as server:
        assert [finding.status for finding in check_remote(settings_for(server))] == ["ok"] * 3


def test_doctor_shows_it(tmp_path):
    with served(key="right") as server:
        variables = {
            "HEARSIGHT_OPENAI__BASE_URL": f"http://127.0.0.1:{server.port}/v1",
            "HEARSIGHT_MODELS__CACHE_DIR": str(tmp_path),
        }
        result = CliRunner().invoke(app, ["doctor", "--preset", "vllm", "--json"], env=variables)
    assert result.exit_code == 1
    assert "model server" in result.stdout and "refuses the key" in result.stdout
