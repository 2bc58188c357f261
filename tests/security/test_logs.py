"""What is written down of a session at the most talkative level: that it was, and not what was said in it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import openai
import pytest
import websockets

SAID, ANSWERED, SHOWN = "marmalade", "tangerine", "rhubarb"
"""Words that nothing but the conversation has."""


class Process:
    """`hearsight serve`, as people start it, and all that it writes."""

    def __init__(self, tmp_path: Path, script: dict, **variables: str) -> None:
        (tmp_path / "script.json").write_text(json.dumps(script))
        self.log = (tmp_path / "log.txt").open("w+")
        settings = {
            "ENGINE__NAME": "scripted",
            "ENGINE__SCRIPT": str(tmp_path / "script.json"),
            "SERVER__PORT": "0",
            "SERVER__KEYS_FILE": str(tmp_path / "keys.json"),
            "TOOLS__MEMORY_PATH": str(tmp_path / "memory.sqlite"),
            "CONVERSATIONS__PATH": str(tmp_path / "conversations.sqlite"),
            "LOG__LEVEL": "debug",
            **variables,
        }
        env = os.environ | {f"HEARSIGHT_{name}": value for name, value in settings.items()}
        command = [sys.executable, "-c", "from hearsight.cli import main; main()", "serve"]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=env)
        self.port = self._port()

    def _port(self) -> int:
        until_s = time.monotonic() + 120
        while time.monotonic() < until_s:
            for line in self.text().splitlines():
                if "realtime  ws://" in line:
                    return int(line.rsplit(":", 1)[1].split("/")[0])
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(self.text())

    def text(self) -> str:
        return Path(self.log.name).read_text()

    def stop(self) -> str:
        """What it has written, once it has ended."""
        self.process.terminate()
        self.process.wait(60)
        self.log.close()
        return self.text()


@pytest.mark.parametrize("format", ["console", "json"])
@pytest.mark.parametrize("transcripts", [False, True])
async def test_what_was_said_and_what_opens_doors_is_in_no_line(tmp_path, keys, as_user, format, transcripts):
    key = keys.make("tablet")
    script = {
        "steps": [
            {"call": "calculate", "arguments": {"expression": SAID}},
            {"say": f"I like {ANSWERED}."},
            {"error": "The model failed."},
        ],
        "captions": [SHOWN],
    }
    service = Process(tmp_path, script, LOG__FORMAT=format, LOG__TRANSCRIPTS=str(transcripts).lower())
    try:
        http = f"http://127.0.0.1:{service.port}"
        client = openai.AsyncOpenAI(base_url=f"{http}/v1", api_key=key)
        secret = (await client.realtime.client_secrets.create()).value
        url = f"ws://127.0.0.1:{service.port}/v1/realtime"
        for wrong in ("hs_wrong", f"{secret}x"):
            with pytest.raises(websockets.InvalidStatus):
                await websockets.connect(url, additional_headers={"Authorization": f"Bearer {wrong}"})
        protocols = ["realtime", f"openai-insecure-api-key.{secret}"]
        async with websockets.connect(url, subprotocols=protocols) as socket:
            user = as_user(socket)
            session_id = (await user.until("session.created"))["session"]["id"]
            await user.write(f"What about {SAID}?")
            assert ANSWERED in await user.answer()
            await user.write(f"And {SAID} again?")
            await user.until("response.done")
            await socket.send(f'{{"type": "{SAID}"}}')
            await user.until("error")
    finally:
        written = service.stop()
    assert "session opened" in written and "tablet" in written
    for secret_word in (key, secret, session_id, secret.removeprefix("ek_").partition(".")[0]):
        assert secret_word not in written
    for word in (SAID, SHOWN):
        assert (word in written) is False
    assert (ANSWERED in written) is transcripts


async def test_headers_and_frames_are_in_no_log_even_where_a_program_logs_all_it_can(
    serve, keys, as_user, caplog
):
    key = keys.make("tablet")
    caplog.set_level(logging.DEBUG)
    logging.getLogger("websockets.client").setLevel(logging.CRITICAL)  # of the test itself
    server = serve({"say": f"I like {ANSWERED}."})
    headers = {"Authorization": f"Bearer {key}"}
    async with websockets.connect(server.realtime, additional_headers=headers) as socket:
        user = as_user(socket)
        await user.write(f"What about {SAID}?")
        assert ANSWERED in await user.answer()
    for word in (key, SAID, ANSWERED):
        assert word not in caplog.text
