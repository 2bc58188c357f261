"""The embedded engine with its real models: it hears, sees, writes and calls."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import cv2
import numpy as np
import pytest
import pytest_asyncio

from hearsight.agent.call_parser import parse_calls
from hearsight.agent.messages import call_message, human, image_block, result_message, text_block
from hearsight.agent.models.base import Engine, GenerateRequest, GenerationEnd
from hearsight.agent.models.embedded.engine import EmbeddedEngine, open_embedded_engine
from hearsight.config.engines import EmbeddedSettings
from hearsight.config.errors import PayloadMissing
from hearsight.config.payloads import PayloadStore
from hearsight.config.settings import load_settings
from hearsight.streams.events import Picture, ToolCall
from hearsight.tools.builtin import BUILT_IN
from hearsight.tools.registry import ToolRegistry

SPEECH = Path(__file__).parents[3] / "data" / "speech" / "ten_of_clubs.wav"
PARAMETERS = {"set_timer": ["seconds", "label"], "get_time": ["place"]}
SPECS = ToolRegistry([BUILT_IN[name] for name in PARAMETERS]).specs()
GREEDY_SETTINGS = EmbeddedSettings(temperature=0.0, slots=1, context_tokens=4096)


def asked(text: str, **changes: object) -> GenerateRequest:
    messages = (human("u", [text_block(text)]),)
    return GenerateRequest(messages, "Be brief.", SPECS, max_tokens=48, **changes)  # type: ignore[arg-type]


async def test_missing_models_are_named(tmp_path: Path) -> None:
    with pytest.raises(PayloadMissing):
        await open_embedded_engine(GREEDY_SETTINGS, PayloadStore(tmp_path))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[EmbeddedEngine]:
    store = PayloadStore(load_settings().settings.models.cache_dir)
    engine = await open_embedded_engine(GREEDY_SETTINGS, store)
    yield engine
    await engine.aclose()


async def written(engine: EmbeddedEngine, request: GenerateRequest) -> tuple[str, GenerationEnd]:
    conversation = engine.open("test")
    parts: list[str] = []
    try:
        async for delta in conversation.generate(request):
            if isinstance(delta, GenerationEnd):
                return "".join(parts), delta
            parts.append(delta)
    finally:
        await conversation.aclose()
    raise AssertionError("no end")


@pytest.mark.models
@pytest.mark.asyncio(loop_scope="module")
class TestWithModels:
    async def test_it_is_an_engine(self, engine: EmbeddedEngine) -> None:
        described: Engine = engine
        assert described.name == "embedded" and not described.capabilities.audio
        assert described.context_limit == 4096

    async def test_it_calls_a_tool(self, engine: EmbeddedEngine) -> None:
        text, end = await written(engine, asked("please set a timer for twelve minutes"))
        [call] = parse_calls(text, PARAMETERS)
        assert call.name == "set_timer" and call.arguments["seconds"] == 720
        assert end.reason == "stop" and end.output_tokens < 30

    async def test_it_talks(self, engine: EmbeddedEngine) -> None:
        text, _ = await written(engine, asked("What is the capital of France?"))
        assert "Paris" in text and "(" not in text

    async def test_a_demanded_call_is_made_whatever_was_said(self, engine: EmbeddedEngine) -> None:
        text, _ = await written(engine, asked("Hello, how are you?", tool_choice="get_time"))
        [call] = parse_calls(text, PARAMETERS)
        assert call.name == "get_time"

    @pytest.mark.parametrize(
        ("said", "name", "arguments", "result", "word"),
        [
            (
                "What is on the table?",
                "look",
                '{"question": "what is on the table"}',
                "The camera shows: objects: 2 bananas, a cup; main colours: brown.",
                "banana",
            ),
            ("What does the sign say?", "read_text", "{}", "EXIT\nNo entry after 6 pm", "6 pm"),
            (
                "When does the plumber come?",
                "recall",
                '{"query": "plumber"}',
                "The plumber comes on Monday.",
                "monday",
            ),
        ],
    )
    async def test_what_a_tool_returned_is_put_into_words(
        self, engine: EmbeddedEngine, said: str, name: str, arguments: str, result: str, word: str
    ) -> None:
        messages = (
            human("u", [text_block(said)]),
            call_message("c", ToolCall("c1", name, arguments)),
            result_message("r", "c1", result),
        )
        text, _ = await written(engine, GenerateRequest(messages, "Be brief.", SPECS, max_tokens=48))
        assert word in text.lower()

    async def test_pictures_are_talked_about(self, engine: EmbeddedEngine) -> None:
        content = [image_block("p", "objects: a dog; main colours: green"), text_block("Which animal is it?")]
        text, _ = await written(engine, GenerateRequest((human("u", content),), "Be brief.", SPECS))
        assert "dog" in text.lower()

    async def test_the_second_prompt_starts_where_the_first_ended(self, engine: EmbeddedEngine) -> None:
        conversation = engine.open("cache")
        request = asked("Good morning!")
        await conversation.prefill(request)
        deltas = [delta async for delta in conversation.generate(request)]
        end = deltas[-1]
        assert isinstance(end, GenerationEnd) and end.prompt_tokens - end.cached_tokens <= 8
        counter = conversation.counter
        counted = counter.system("Be brief.") + counter.tools(SPECS) + counter.text("Good morning!")
        assert counted + counter.wrapper(request.messages[0]) == end.prompt_tokens
        await conversation.aclose()

    async def test_closing_stops_the_model(self, engine: EmbeddedEngine) -> None:
        conversation = engine.open("close")
        async with aclosing(conversation.generate(asked("Tell me a long story about a dragon."))) as deltas:
            await anext(deltas)
        assert (await written(engine, asked("What is the capital of France?")))[0]
        await conversation.aclose()

    async def test_it_hears(self, engine: EmbeddedEngine) -> None:
        with wave.open(str(SPEECH)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16)
        conversation = engine.open("hear")
        for start in range(0, samples.size, 512):
            conversation.hear("u", samples[start : start + 512])
        heard = await conversation.transcribe("u")
        assert "clubs" in heard.text.lower() and heard.duration_s == samples.size / 16_000
        await conversation.aclose()

    async def test_it_sees(self, engine: EmbeddedEngine) -> None:
        sign = np.full((240, 640, 3), (0, 0, 200), dtype=np.uint8)
        cv2.putText(sign, "EXIT LEFT", (60, 150), cv2.FONT_HERSHEY_SIMPLEX, 3, (255, 255, 255), 8)
        data = cv2.imencode(".png", sign)[1].tobytes()
        picture = Picture(data, "image/png", 640, 240, "sign")
        conversation = engine.open("see")
        conversation.see(picture)
        assert "red" in await conversation.caption("sign")
        assert "EXIT" in await conversation.read_text(picture)
        await conversation.aclose()
        assert not [task for task in asyncio.all_tasks() if "describe" in repr(task)]
