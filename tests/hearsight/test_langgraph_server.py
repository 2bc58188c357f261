"""LangGraph's own development server with the graph of ``langgraph.json``, asked over HTTP.

It lives in an environment of its own, which ``make studio`` makes, for its packages want older ones of ours.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LANGGRAPH = ROOT / ".venv" / "studio" / "bin" / "langgraph"
STARTS_S = 180

pytestmark = pytest.mark.skipif(
    not LANGGRAPH.exists(), reason="LangGraph's server is not installed: `make .venv/studio/.done`"
)


class DevServer:
    """`langgraph dev` on a free port."""

    def __init__(self, folder: Path, script: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.log = folder / "server.log"
        variables = {
            "HEARSIGHT_ENGINE__NAME": "scripted",
            "HEARSIGHT_ENGINE__SCRIPT": str(script),
            "HEARSIGHT_TOOLS__MEMORY_PATH": str(folder / "memory.sqlite"),
            "LANGGRAPH_CLI_NO_ANALYTICS": "1",
            "LANGSMITH_TRACING": "false",
        }
        config = folder / "langgraph.json"  # its threads are kept in a folder beside it
        named = json.loads((ROOT / "langgraph.json").read_text())
        config.write_text(json.dumps(named | {"dependencies": [str(ROOT)]}))
        self._process = subprocess.Popen(
            [LANGGRAPH, "dev", "--no-browser", "--no-reload", "--config", config, "--port", str(self.port)],
            cwd=folder,
            env=os.environ | variables,
            stdout=self.log.open("w"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait(self) -> None:
        """Until it answers."""
        until = time.monotonic() + STARTS_S
        while time.monotonic() < until and self._process.poll() is None:
            try:
                if self.ask("/ok")["ok"]:
                    return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.2)
        pytest.fail(f"it does not start: {self.log.read_text()[-3000:]}")

    def ask(self, path: str, body: Any = None) -> Any:
        """GET, or POST a body."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=120) as response:
            return json.load(response)

    def stop(self) -> None:
        os.killpg(self._process.pid, signal.SIGINT)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[DevServer]:
    folder = tmp_path_factory.mktemp("langgraph")
    script = folder / "script.json"
    steps = [
        {"call": "calculate", "arguments": {"expression": "17*23"}},
        {"say": "You asked for a product."},
    ]
    script.write_text(json.dumps({"steps": steps}))
    server = DevServer(folder, script)
    try:
        server.wait()
        yield server
    finally:
        server.stop()


def said(text: str) -> dict[str, Any]:
    return {"assistant_id": "hearsight", "input": {"messages": [{"role": "user", "content": text}]}}


def test_the_graph_is_found_with_its_messages(server):
    (assistant,) = server.ask("/assistants/search", {})
    assert assistant["graph_id"] == "hearsight"
    schemas = server.ask(f"/assistants/{assistant['assistant_id']}/schemas")
    assert "messages" in schemas["input_schema"]["properties"]


def test_a_thread_goes_on_with_tools_and_answers(server):
    thread = server.ask("/threads", {})["thread_id"]
    state = server.ask(f"/threads/{thread}/runs/wait", said("What is 17 times 23?"))
    kinds = [message["type"] for message in state["messages"]]
    assert kinds == ["human", "ai", "tool", "ai"]
    assert state["messages"][2]["content"] == "391"
    assert state["messages"][-1]["content"] == "That's 391.", "the tool has words of its own"
    state = server.ask(f"/threads/{thread}/runs/wait", said("What did I ask?"))
    assert state["messages"][-1]["content"] == "You asked for a product."
    assert len(server.ask(f"/threads/{thread}/state")["values"]["messages"]) == 6
