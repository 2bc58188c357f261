"""Traces of real sessions: real speech over a real socket, the real graph, and OTLP to a receiver."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
import wave
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from otlp_receiver import Receiver, facts, receiving
from realtime_user import RATE_HZ, connected

from hearsight.asking import Question, ask
from hearsight.compose import open_service
from hearsight.config.traces import TraceSettings
from hearsight.listening import listening
from hearsight.models_command import open_store
from hearsight.options import server_options
from hearsight.traces import open_traces

SPEECH = Path(__file__).parents[1] / "data" / "speech" / "seven_of_clubs.wav"
CALCULATE = {"call": "calculate", "arguments": {"expression": "17 * 23"}}


@pytest.fixture(autouse=True)
def no_variables_of_opentelemetry(monkeypatch):
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def speech() -> np.ndarray:
    """A person reading, at 24 kHz."""
    with wave.open(str(SPEECH)) as recording:
        samples = np.frombuffer(recording.readframes(recording.getnframes()), "<i2")
        rate_hz = recording.getframerate()
    at = np.arange(samples.size * RATE_HZ // rate_hz) * rate_hz / RATE_HZ
    return np.interp(at, np.arange(samples.size), samples).astype(np.int16)


async def test_a_spoken_turn_is_a_trace_from_the_end_of_speech_to_the_last_word(script, scripted, speech):
    """In real time: only then are the times of a trace those of the audio."""
    exporter = InMemorySpanExporter()
    settings = scripted(script(CALCULATE, transcripts=["What is seventeen times twenty-three?"]))
    async with (
        open_traces(TraceSettings(), SimpleSpanProcessor(exporter)) as new_observer,
        open_service(settings, open_store(settings)) as service,
    ):
        service = replace(service, options=replace(service.options, observers=(new_observer,)))
        server = service.new_server(replace(server_options(settings), port=0))
        async with listening(server, server.run(), address="here"):
            server.readiness.reason = None
            here = SimpleNamespace(http=f"http://127.0.0.1:{server.port}")
            async with connected(here) as user:
                await user.speak(speech, pace=1.0)
                done = await user.until("response.done")
                metrics = server.metrics.registry
                ttfa_s = metrics.get_sample_value("hearsight_ttfa_seconds_sum")
    spans = exporter.get_finished_spans()
    [turn] = [s for s in spans if s.name == "turn" and s.attributes["hearsight.outcome"] == "completed"]
    assert turn.attributes["hearsight.response_id"] == done.response.id
    assert turn.attributes["hearsight.session_id"].startswith("sess_")
    assert turn.attributes["hearsight.spoken"] is True
    parents = {span.context.span_id: span.name for span in spans}
    tree = defaultdict(list)
    for span in sorted(spans, key=lambda span: span.start_time):
        if span.parent is not None and span.context.trace_id == turn.context.trace_id:
            tree[parents[span.parent.span_id]].append(span.name)
    assert set(tree["turn"]) == {
        *("endpointing", "end_of_turn", "speech_to_text", "voice", "first_audio"),
        *("perceive", "think", "act", "speak"),
    }
    nodes = [name for name in tree["turn"] if name in ("perceive", "think", "act", "speak")]
    assert nodes == ["perceive", "think", "act", "speak"]
    assert (tree["think"], tree["generate"]) == (["generate"], ["first_token"])
    assert tree["act"] == ["tool calculate"]
    silence = next(s for s in spans if s.name == "endpointing" and s.parent.span_id == turn.context.span_id)
    assert silence.end_time - silence.start_time >= 250_000_000, "it was waited for"
    assert turn.attributes["hearsight.ttfa_s"] == pytest.approx(ttfa_s, abs=0.1), "as in the metrics"
    text = repr([(span.name, dict(span.attributes)) for span in spans])
    assert "seventeen" not in text and "391" not in text, "nothing of what was said"


async def test_a_collector_gets_what_the_settings_send_it(script, scripted, serving):
    with receiving() as receiver:
        settings = scripted(script(CALCULATE, {"say": "Done."}), traces__endpoint=receiver.url)
        async with serving(settings) as (_, url):
            await ask(url, Question(text="Hello"))
        spans = receiver.spans
    assert set(receiver.paths) == {"/v1/traces"}
    assert receiver.headers[0]["content-type"] == "application/x-protobuf"
    assert receiver.resource["service.name"] == "hearsight"
    [turn] = [span for span in spans if span.name == "turn"]
    assert facts(turn)["hearsight.outcome"] == "completed" and facts(turn)["hearsight.spoken"] is False
    names = {span.name for span in spans if span.trace_id == turn.trace_id}
    assert {"perceive", "think", "act", "speak", "tool calculate", "first_token"} <= names
    assert turn.start_time_unix_nano <= min(span.start_time_unix_nano for span in spans)


async def test_the_variables_of_opentelemetry_do_as_well(script, scripted, serving, monkeypatch):
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=blue")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "kitchen")
        async with serving(scripted(script({"say": "Done."}))) as (_, url):
            await ask(url, Question(text="Hello"))
    assert [span.name for span in receiver.spans].count("turn") == 1
    assert receiver.resource["service.name"] == "kitchen"
    assert receiver.headers[0]["x-tenant"] == "blue" and receiver.headers[0]["content-encoding"] == "gzip"


@pytest.mark.parametrize(("sample", "traced"), [(0.0, 0), (1.0, 2)])
async def test_the_share_of_turns_that_are_traced_can_be_set(script, scripted, serving, sample, traced):
    with receiving() as receiver:
        path = script({"say": "One."}, {"say": "Two."})
        settings = scripted(path, traces__endpoint=receiver.url, traces__sample=sample)
        async with serving(settings) as (_, url):
            for text in ("Hello", "And?"):
                await ask(url, Question(text=text))
    assert _turns(receiver) == traced
    assert bool(receiver.spans) is (traced > 0), "the stages of a turn that is left out are left out, too"


def _turns(receiver: Receiver) -> int:
    return [span.name for span in receiver.spans].count("turn")


async def test_a_collector_that_is_not_there_costs_nothing_but_the_traces(script, scripted, serving):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
    settings = scripted(script({"say": "Hello there."}), traces__endpoint=nobody)
    async with serving(settings) as (_, url):
        assert (await ask(url, Question(text="Hi"))).text == "Hello there."
        stopping_s = time.monotonic()
    assert time.monotonic() - stopping_s < 15, "nor does it keep the service from stopping"


async def test_what_is_traced_is_over_before_the_service_is(script, scripted, serving):
    """Spans of a session that is cut off are sent, too."""
    with receiving() as receiver:
        settings = scripted(script({"say": "Hello there."}), traces__endpoint=receiver.url)
        async with serving(settings) as (server, _):
            here = SimpleNamespace(http=f"http://127.0.0.1:{server.port}")
            async with connected(here) as user:
                await user.connection.response.create()
                await user.until("response.created")
        assert _turns(receiver) == 1


def test_without_a_receiver_nothing_of_opentelemetry_is_needed(script, tmp_path):
    """In a process that cannot import it, with the whole service opened and a session in it."""
    code = (
        "import asyncio, sys\n"
        "sys.modules['opentelemetry'] = None\n"
        "from hearsight.compose import open_service\n"
        "from hearsight.config.settings import load_settings\n"
        "from hearsight.models_command import open_store\n"
        "async def main():\n"
        f"    overrides = {{'engine.name': 'scripted', 'engine.script': {str(script())!r},\n"
        f"        'tools.memory_path': {str(tmp_path / 'm')!r}, 'conversations.store': 'none'}}\n"
        "    settings = load_settings(overrides=overrides).settings\n"
        "    async with open_service(settings, open_store(settings)) as service:\n"
        "        assert service.options.observers == ()\n"
        "        runtime = service.new_runtime('sess_1')\n"
        "        await runtime.close('over'); await runtime.run()\n"
        "asyncio.run(main())\n"
        "sys.exit('traces' if 'hearsight.traces' in sys.modules else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


async def test_two_sessions_at_once_have_traces_of_their_own(script, scripted, serving):
    with receiving() as receiver:
        settings = scripted(script({"say": "One."}, {"say": "Two."}), traces__endpoint=receiver.url)
        async with serving(settings) as (_, url):
            await asyncio.gather(*(ask(url, Question(text=text)) for text in ("Hello", "Hi")))
    turns = [span for span in receiver.spans if span.name == "turn"]
    assert len({facts(turn)["hearsight.session_id"] for turn in turns}) == len(turns) == 2
    by_trace = defaultdict(list)
    for span in receiver.spans:
        by_trace[span.trace_id].append(span.name)
    assert all(sorted(names) == sorted(next(iter(by_trace.values()))) for names in by_trace.values())
