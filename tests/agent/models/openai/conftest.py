"""One ``transformers serve`` for all tests of this folder: a tiny Gemma 3n of random weights."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from hearsight.agent.models.openai.engine import OpenAIEngine
from hearsight.agent.models.openai.remote import Remote, new_client
from hearsight.config.engines import OpenAISettings


@dataclass
class Served:
    """A real server, and what is asked of it.

    Attributes:
        base_url: Its API.
        model: The only model that it has.
        bodies: What was asked, in order, as the SDK sent it.
    """

    base_url: str
    model: str
    bodies: list[dict[str, Any]] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once something was asked."""

    def forget(self) -> None:
        """Take down from here on."""
        self.bodies.clear()
        self.asked.clear()

    def settings(self, **changes: Any) -> OpenAISettings:
        return OpenAISettings(base_url=self.base_url, model=self.model, seed=1, **changes)

    def remote(self, **changes: Any) -> Remote:
        """A client of the server whose requests are taken down."""
        settings = self.settings(**changes)
        client = new_client(settings)

        async def take_down(request: Any) -> None:
            if request.url.path.endswith("/chat/completions"):
                self.bodies.append(json.loads(request.content))
                self.asked.set()

        client._client.event_hooks["request"].append(take_down)
        return Remote(settings, client)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    pytest.importorskip("torch", reason="the gemma3n extra is not installed")
    pytest.importorskip("fastapi", reason="transformers' server needs it")
    from model_servers import model_server, served_checkpoint

    folder = served_checkpoint(tmp_path_factory.mktemp("served") / "tiny")
    log = folder.parent / "server.log"
    with model_server(folder, log) as base_url:
        yield Served(base_url, str(folder))


@pytest.fixture
def served(running: Served) -> Served:
    running.asked = asyncio.Event()
    running.forget()
    return running


@pytest.fixture
async def engine(served: Served) -> AsyncIterator[OpenAIEngine]:
    opened = OpenAIEngine(served.remote())
    yield opened
    await opened.aclose()
