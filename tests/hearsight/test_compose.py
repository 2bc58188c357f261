"""What the settings name is opened, and what is opened is closed again."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from hearsight.compose import open_service
from hearsight.config.errors import ConfigError, PayloadMissing
from hearsight.config.payloads import PayloadStore
from hearsight.models_command import open_store
from hearsight.options import server_options
from hearsight.streams.errors import EngineError
from hearsight.wav import read_wav

SPEECH = Path(__file__).parents[1] / "data" / "speech"


async def test_tools_and_memory_are_those_of_the_settings(script, scripted, tmp_path):
    path = tmp_path / "own" / "memory.sqlite"
    settings = scripted(script(), tools__enabled=["recall", "get_time"], tools__memory_path=path)
    async with open_service(settings, open_store(settings)) as service:
        assert [tool.name for tool in service.agent.registry.specs()] == ["get_time", "recall"]
        await service.agent.memory.remember("The sky is blue.", at=service.agent.now())
        assert path.exists()


async def test_sessions_share_the_service(script, scripted):
    settings = scripted(script())
    async with open_service(settings, open_store(settings)) as service:
        first, second = service.new_runtime("a"), service.new_runtime("b")
        assert first is not second
        for runtime in (first, second):
            await runtime.close("test")
            await runtime.run()


async def test_everything_is_closed_at_the_end(script, scripted):
    settings = scripted(script())
    async with open_service(settings, open_store(settings)) as service:
        engine, voice = service.agent.engine, service.agent.voice
        estimate = service.perception.end_of_turn.probability
        assert 0 <= await estimate(np.zeros(16_000, np.int16)) <= 1
        assert not engine.closed and not voice.closed
    assert engine.closed and voice.closed
    with pytest.raises(RuntimeError, match="shutdown"):
        await estimate(np.zeros(16_000, np.int16))


async def test_a_script_that_is_not_there_is_named(scripted, tmp_path):
    settings = scripted(tmp_path / "no-such-script.toml")
    with pytest.raises(ConfigError, match="no-such-script.toml cannot be read"):
        async with open_service(settings, open_store(settings)):
            pass


async def test_what_was_opened_is_closed_when_the_next_cannot_be(scripted, tmp_path, monkeypatch):
    from hearsight.agent.voice.scripted import ScriptedVoice

    closed = []
    monkeypatch.setattr(ScriptedVoice, "aclose", lambda self: done(closed.append(self)))
    monkeypatch.setattr("hearsight.compose._open_ear", lambda *_: missing())
    script = tmp_path / "script.toml"
    script.write_text("hears = true")
    settings = scripted(script)
    with pytest.raises(PayloadMissing, match="no ear"):
        async with open_service(settings, open_store(settings)):
            pass
    assert len(closed) == 1


async def missing() -> None:
    """What opening a model that is not there comes to."""
    raise PayloadMissing("whisper-tiny.en", "no ear")


@pytest.mark.models
async def test_a_script_may_hear_and_speak_as_the_embedded_engine_does(scripted, tmp_path):
    script = tmp_path / "script.toml"
    script.write_text("hears = true\nspeaks = true")
    settings = scripted(script)
    speech = read_wav(SPEECH / "seven_of_clubs.wav", 16_000)
    async with open_service(settings, open_store(settings)) as service:
        assert service.agent.voice.name == "heart"
        conversation = service.agent.engine.open("s")
        conversation.hear("a", speech[:8_000])
        conversation.hear("a", speech[8_000:])
        said = await conversation.transcribe("a")
        assert "clubs" in said.text.lower() and said.duration_s == speech.size / 16_000
        conversation.forget("a")
        with pytest.raises(EngineError, match="no longer held"):
            await conversation.transcribe("a")
        await conversation.aclose()


async def done(_: None) -> None:
    """What an `aclose` returns."""


async def test_missing_models_are_named(script, scripted, tmp_path):
    settings = scripted(script())
    with pytest.raises(PayloadMissing, match="run `hearsight models pull silero-vad`"):
        async with open_service(settings, PayloadStore(tmp_path)):
            pass


async def test_what_is_being_loaded_is_told_in_the_order_of_loading(script, scripted):
    told = []
    settings = scripted(script())
    async with open_service(settings, open_store(settings), loading=told.append):
        pass
    assert told == ["conversations", "voice", "engine", "tools", "instructions"]


async def test_a_server_says_what_runs_here(script, scripted):
    settings = scripted(script())
    async with open_service(settings, open_store(settings)) as service:
        metrics = service.new_server(server_options(settings)).metrics.render().decode()
    assert f'hearsight_build_info{{engine="scripted",version="{version("hearsight")}"}} 1.0' in metrics
