"""The examples run as a reader runs them."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import re
import sys
import wave
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest
from langgraph.graph.state import CompiledStateGraph
from live_server import LiveServer
from openai import AsyncOpenAI

ROOT = Path(__file__).parents[2]
SPEECH = str(ROOT / "tests" / "data" / "speech" / "ten_of_clubs.wav")


async def run(example: str, *arguments: str, typed: str = "", **variables: str) -> str:
    """What an example prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    program = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "examples" / example), *arguments,
        stdin=PIPE, stdout=PIPE, stderr=STDOUT, env=environment,
    )  # fmt: skip
    async with asyncio.timeout(60):
        output, _ = await program.communicate(typed.encode())
    assert program.returncode == 0, output.decode()
    return output.decode()


@pytest.fixture
def script(tmp_path):
    """Settings of an engine that gives these replies, and hears this."""

    def write(*replies: dict, transcripts: list[str] | None = None) -> dict[str, str]:
        path = tmp_path / "script.json"
        path.write_text(json.dumps({"replies": replies, "transcripts": transcripts or []}))
        return {
            "engine.name": "scripted",
            "engine.script": str(path),
            "tools.memory_path": str(tmp_path / "memory.sqlite"),
            "conversations.store": "none",
        }

    return write


async def test_the_client_asks_and_lends_its_lamp(script, tmp_path):
    settings = script(
        {"to": "the lamp is on", "say": "There is light."},
        {"to": "lamp", "call": "set_lamp", "arguments": {"on": True}},
        {"to": "clubs", "say": "A card."},
        transcripts=["ten of clubs"],
    )
    with LiveServer(settings) as server:
        address = f"127.0.0.1:{server.port}"
        typed = await run("client.py", "The lamp, please.", "--server", address)
        saved = tmp_path / "answer.wav"
        spoken = await run("client.py", SPEECH, "--server", address, "--save", str(saved))
    assert '[set_lamp {"on": true}]' in typed and typed.endswith("There is light.\n")
    assert "heard: ten of clubs" in spoken and "A card." in spoken
    with wave.open(str(saved)) as recording:
        assert recording.getframerate() == 24_000 and recording.getnframes() > 4_800


async def test_the_assistant_asks_before_it_acts(script):
    settings = script(
        {"to": "is empty", "say": "Done."},
        {"to": "bread, butter, tea", "say": "Three things."},
        {"to": "what is in", "call": "list_basket"},
        {"to": "empty the basket", "call": "empty_basket"},
    )
    variables = {f"HEARSIGHT_{key.upper().replace('.', '__')}": value for key, value in settings.items()}
    output = await run(
        "assistant.py", "What is in the basket?", typed="Please empty the basket.\nYes.\n\n", **variables
    )
    told = ["bread, butter, tea", "Three things.", "Shall I really empty the basket?", "is empty", "Done."]
    places = [output.index(words) for words in told]
    assert places == sorted(places)
    assert "s of speech, completed]" in output


async def test_the_web_application_has_the_assistant_inside(script, tmp_path):
    settings = script({"to": "time", "say": "It is noon."})
    variables = {f"HEARSIGHT_{key.upper().replace('.', '__')}": value for key, value in settings.items()}
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "uvicorn", "web_application:app",
        "--port", "0", "--app-dir", str(ROOT / "examples"),
        stdout=PIPE, stderr=STDOUT, env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
    )  # fmt: skip
    try:
        async with asyncio.timeout(100):
            assert program.stdout is not None
            async for line in program.stdout:
                if found := re.search(rb"running on (http://\S+)", line):
                    break
        client = AsyncOpenAI(base_url=f"{found[1].decode()}/assistant/v1", api_key="unused")
        async with asyncio.timeout(30), client.realtime.connect(model="hearsight") as connection:
            content = [{"type": "input_text", "text": "What time is it?"}]
            await connection.conversation.item.create(
                item={"type": "message", "role": "user", "content": content}
            )
            await connection.response.create()
            async for event in connection:
                if event.type == "response.done":
                    break
        assert event.response.output[0].content[0].transcript == "It is noon."
    finally:
        program.terminate()
        await program.wait()


async def test_the_graph_is_a_node_of_another_one(script):
    settings = script({"to": "kettle", "say": "It is on the stove."})
    variables = {f"HEARSIGHT_{key.upper().replace('.', '__')}": value for key, value in settings.items()}
    output = await run("subgraph.py", "Where is the kettle?", **variables)
    assert output == "Where is the kettle?\nIt is on the stove.\n(answered by hearsight)\n"


def test_langgraphs_server_finds_the_graph():
    named = json.loads((ROOT / "langgraph.json").read_text())["graphs"]["hearsight"]
    module, _, attribute = named.partition(":")
    graph = getattr(importlib.import_module(module), attribute)
    assert isinstance(graph, CompiledStateGraph)
    assert "messages" in graph.get_input_jsonschema()["properties"]
