"""The page about Python shows programs that run."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import tomllib
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

from live_server import LiveServer

from hearsight.agent.models.script import Script

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def script(folder: Path, *replies: dict[str, object]) -> dict[str, str]:
    path = folder / "script.json"
    path.write_text(json.dumps({"replies": replies}))
    return {
        "engine.name": "scripted",
        "engine.script": str(path),
        "tools.memory_path": str(folder / "memory.sqlite"),
        "conversations.store": "none",
    }


async def run(program: str, **variables: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=PIPE, stderr=STDOUT, env=environment
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


async def test_the_client_of_the_page(tmp_path):
    settings = script(
        tmp_path,
        {"to": "the lamp is on", "say": "There is light."},
        {"to": "lamp", "call": "set_lamp", "arguments": {"on": True}},
    )
    with LiveServer(settings) as server:
        output = await run(blocks("python")[0].replace("127.0.0.1:8765", f"127.0.0.1:{server.port}"))
    assert output == "There is light."


async def test_the_assistant_of_the_page(tmp_path):
    settings = script(
        tmp_path, {"to": "delete", "call": "delete_note", "arguments": {"name": "the shopping list"}}
    )
    variables = {f"HEARSIGHT_{key.upper().replace('.', '__')}": value for key, value in settings.items()}
    program = blocks("python")[1].replace('engine="embedded"', "")
    assert "Shall I really delete the shopping list?" in await run(program, **variables)


async def test_the_web_application_of_the_page():
    program = f"{blocks('python')[2]}\nprint([route.path for route in app.routes])"
    assert await run(program) == "['/assistant']\n"


async def test_the_graph_of_the_page(tmp_path):
    settings = script(tmp_path, {"to": "time", "say": "It is noon."})
    variables = {f"HEARSIGHT_{key.upper().replace('.', '__')}": value for key, value in settings.items()}
    assert await run(blocks("python")[3], **variables) == "It is noon.\n"


def test_the_script_of_the_page():
    (text,) = blocks("toml")
    script = Script.model_validate(tomllib.loads(text))
    assert script.hears and len(script.replies) == 2
