"""Puts the service together from the settings: engine, voice, tools, perception, server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import Info

from hearsight.addresses import GEMINI_LIVE_PATHS, REALTIME_PATH
from hearsight.agent.agent import HearsightAgent
from hearsight.agent.models.base import Engine
from hearsight.agent.voice.base import Voice
from hearsight.config.errors import StartupError
from hearsight.config.payloads import PayloadStore
from hearsight.config.settings import Settings
from hearsight.conversation_store import open_conversations
from hearsight.extras import require_engine, require_tools, traces_wanted
from hearsight.gpu_memory import GpuMemory
from hearsight.options import agent_settings, recording_options, runtime_options, wake_rules
from hearsight.streams.audio.end_of_turn import EndOfTurnModel, EndOfTurnWorker
from hearsight.streams.audio.vad import SileroModel
from hearsight.streams.errors import HearsightError
from hearsight.streams.gemini_live.codec import GeminiLiveCodec, read_opening
from hearsight.streams.observing import NewObserver
from hearsight.streams.openai_realtime.client_secrets import CLIENT_SECRETS_PATH, SecretsDesk, configuring
from hearsight.streams.openai_realtime.codec import OpenAIRealtimeCodec
from hearsight.streams.page import Page
from hearsight.streams.recording.recordings import Recordings
from hearsight.streams.runtime import Perception, RuntimeOptions, SessionRuntime
from hearsight.streams.server import Server
from hearsight.streams.transport import Endpoint, Resumption, RuntimeFactory, ServerOptions
from hearsight.tools.builtin import built_in_registry
from hearsight.tools.memory import MemoryStore
from hearsight.tools.registry import ToolRegistry

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from hearsight.agent.models.embedded.speech_to_text import SpeechToText
    from hearsight.agent.models.script import Script

DEFAULT_VOICE = "heart"
"""The voice that is part of its package; the settings call it ``default``."""

PAGE = Path(__file__).parent / "page"
"""The browser page as it was built from ``web/``."""


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that sessions share."""

    settings: Settings
    agent: HearsightAgent
    perception: Perception
    options: RuntimeOptions

    def new_runtime(self, session_id: str, resumed: Resumption | None = None) -> SessionRuntime:
        """A session's runtime."""
        return SessionRuntime(session_id, self.agent, self.perception, self.options, resumed=resumed)

    def new_server(self, options: ServerOptions) -> Server:
        """A server of such sessions; see `new_server`."""
        server = new_server(self.settings, options, self.new_runtime)
        server.sessions.keeper = self.options.keeper
        return server


@dataclass(frozen=True, slots=True)
class Parts:
    """What whoever embeds the service brings along, in place of what the settings name."""

    engine: Engine | None = None
    """Closed with the service."""
    voice: Voice | None = None
    """Likewise."""
    tools: Sequence[BaseTool] = ()
    """Beside the built-in ones."""


@asynccontextmanager
async def open_service(
    settings: Settings,
    store: PayloadStore,
    parts: Parts = Parts(),
    *,
    loading: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[Service]:
    """Load the models that the settings ask for, and free them at the end.

    Args:
        settings: All settings.
        store: Where the model files are; what is needed must be there.
        parts: What is there already.
        loading: Is told what is being loaded now.

    Raises:
        StartupError: A model is missing, damaged, or needs an extra that is not installed.
    """
    if parts.engine is None:
        require_engine(settings)
    require_tools(settings)
    async with AsyncExitStack() as opened:
        try:
            service = await _open_service(settings, store, parts, opened, loading)
        except HearsightError as error:
            raise StartupError(error.message) from error
        yield service


async def _open_service(
    settings: Settings,
    store: PayloadStore,
    parts: Parts,
    opened: AsyncExitStack,
    loading: Callable[[str], None],
) -> Service:
    observers = await _open_traces(settings, opened)
    loading("conversations")
    keeper = await opened.enter_async_context(open_conversations(settings.conversations))
    executor = ThreadPoolExecutor(1, thread_name_prefix="end-of-turn")
    opened.callback(executor.shutdown, wait=False, cancel_futures=True)
    perception = Perception(
        SileroModel(store.file("silero-vad")),
        EndOfTurnWorker(EndOfTurnModel(store.file("smart-turn")), executor),
    )
    loading("voice")
    voice = parts.voice or await _open_voice(settings)
    opened.push_async_callback(voice.aclose)
    loading("engine")
    engine = parts.engine or await _open_engine(settings, store)
    opened.push_async_callback(engine.aclose)
    loading("tools")
    memory = MemoryStore(settings.tools.memory_path)
    opened.push_async_callback(memory.aclose)
    registry = built_in_registry(settings.tools).with_tools(parts.tools)
    agent = HearsightAgent(engine, voice, registry, memory, agent_settings(settings))
    if settings.tools.mcp:
        await _open_mcp_servers(settings, agent, opened)
    loading("instructions")
    await agent.warm_up()
    options = replace(runtime_options(settings), keeper=keeper, observers=observers)
    if settings.recording.enabled:
        recordings = Recordings(recording_options(settings))
        opened.push_async_callback(asyncio.to_thread, recordings.close)
        options = replace(options, new_session=recordings.new_session)
    return Service(settings, agent, perception, options)


async def _open_traces(settings: Settings, opened: AsyncExitStack) -> tuple[NewObserver, ...]:
    if not traces_wanted(settings, os.environ):
        return ()
    from hearsight.traces import open_traces

    return (await opened.enter_async_context(open_traces(settings.traces)),)


async def _open_mcp_servers(settings: Settings, agent: HearsightAgent, opened: AsyncExitStack) -> None:
    from hearsight.tools.mcp import McpServers

    def use(registry: ToolRegistry) -> None:
        agent.registry = registry  # sessions that are open keep the one that they began with

    servers = McpServers(settings.tools.mcp)
    opened.push_async_callback(servers.aclose)
    await servers.open(agent.registry, use)


async def _open_voice(settings: Settings) -> Voice:
    if settings.engine.name == "scripted" and not _script(settings).speaks:
        from hearsight.agent.voice.scripted import ScriptedVoice

        return ScriptedVoice()
    from hearsight.agent.voice.hibari import HibariVoice

    name = settings.assistant.voice
    voice = HibariVoice(DEFAULT_VOICE if name == "default" else name)
    await voice.warm_up()
    return voice


async def _open_engine(settings: Settings, store: PayloadStore) -> Engine:
    if settings.engine.name == "scripted":
        from hearsight.agent.models.scripted import ScriptedEngine

        script = _script(settings)
        ear = await _open_ear(settings, store) if script.hears else None
        return ScriptedEngine(script, ear=ear)
    if settings.engine.name == "gemma3n":
        from hearsight.agent.models.gemma3n.engine import Gemma3nEngine

        return await asyncio.to_thread(Gemma3nEngine.load, settings.gemma3n)
    if settings.engine.name == "openai":
        from hearsight.agent.models.openai.engine import open_openai_engine

        return await open_openai_engine(
            settings.openai,
            settings.embedded,
            store,
            context_limit=settings.context.max_tokens,
            language=settings.assistant.language,
        )
    from hearsight.agent.models.embedded.engine import open_embedded_engine

    return await open_embedded_engine(settings.embedded, store, language=settings.assistant.language)


def _script(settings: Settings) -> Script:
    from hearsight.agent.models.script import Script

    assert settings.engine.script is not None  # the settings insist on it
    return Script.load(settings.engine.script)


async def _open_ear(settings: Settings, store: PayloadStore) -> SpeechToText:
    from hearsight.agent.models.embedded.speech_to_text import SpeechToText

    name = settings.embedded.speech_to_text
    ear = SpeechToText(store.path(f"whisper-{name}"), threads=settings.embedded.threads or 1)
    await ear.load()
    return ear


def new_server(settings: Settings, options: ServerOptions, new_runtime: RuntimeFactory) -> Server:
    """A server of sessions; it takes none until its ``readiness.reason`` is cleared.

    Args:
        settings: All settings.
        options: Where and how it listens, as a rule `server_options`.
        new_runtime: Makes a session's runtime.
    """
    config, wake = runtime_options(settings).config, wake_rules(settings.wake)

    def openai_codec(session_id: str) -> OpenAIRealtimeCodec:
        return OpenAIRealtimeCodec(session_id, settings.engine.name, config, wake=wake)

    def gemini_codec(session_id: str) -> GeminiLiveCodec:
        return GeminiLiveCodec(session_id, config, options.drain_timeout_s)

    openai = Endpoint("openai-realtime", openai_codec, subprotocols=("realtime",), configuring=configuring)
    gemini = Endpoint(
        "gemini-live",
        gemini_codec,
        key_in_query=True,
        read_opening=lambda message: read_opening(message, config),
    )
    endpoints = {REALTIME_PATH: openai, **dict.fromkeys(GEMINI_LIVE_PATHS, gemini)}
    posts = {CLIENT_SECRETS_PATH: SecretsDesk(settings.engine.name, config).answer}
    server = Server(options, endpoints, new_runtime, page=Page.load(PAGE), posts=posts)
    about = Info("hearsight_build", "What runs here.", registry=server.metrics.registry)
    about.info({"version": version("hearsight"), "engine": settings.engine.name})
    server.metrics.registry.register(GpuMemory())
    return server
