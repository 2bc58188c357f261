"""Puts the service together from the settings: engine, voice, tools, perception, server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec

from pydantic import SecretStr

from hearsight.agent.models.base import Engine
from hearsight.agent.models.scripted import ScriptedEngine, load_script
from hearsight.agent.session import AgentSettings, HearsightAgent
from hearsight.agent.turn import AnswerLimits
from hearsight.agent.voice.base import Voice
from hearsight.agent.voice.scripted import ScriptedVoice
from hearsight.config.errors import ConfigError, StartupError
from hearsight.config.payloads import PayloadStore
from hearsight.config.settings import Settings
from hearsight.streams.audio.end_of_turn import EndOfTurnModel, EndOfTurnWorker
from hearsight.streams.audio.vad import SileroModel
from hearsight.streams.camera.eye import CameraSettings
from hearsight.streams.events import SessionConfig, TurnDetection
from hearsight.streams.openai_realtime.codec import OpenAIRealtimeCodec
from hearsight.streams.runtime import Perception, RuntimeOptions, SessionRuntime
from hearsight.streams.server import Server
from hearsight.streams.session.settings import SessionLimits
from hearsight.streams.transport import Endpoint, ServerOptions
from hearsight.tools.builtin import built_in_registry
from hearsight.tools.memory import MemoryStore

REALTIME_PATH = "/v1/realtime"


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that sessions share."""

    agent: HearsightAgent
    perception: Perception
    options: RuntimeOptions
    model: str
    """What clients are told answers them."""

    def new_runtime(self, session_id: str) -> SessionRuntime:
        """A session's runtime."""
        return SessionRuntime(session_id, self.agent, self.perception, self.options)

    def new_server(self, options: ServerOptions) -> Server:
        """A server of such sessions; it is ready once its ``readiness.reason`` is cleared."""

        def new_codec(session_id: str) -> OpenAIRealtimeCodec:
            return OpenAIRealtimeCodec(session_id, self.model, self.options.config)

        endpoint = Endpoint("openai-realtime", new_codec, subprotocols=("realtime",))
        return Server(options, {REALTIME_PATH: endpoint}, self.new_runtime)


@asynccontextmanager
async def open_service(settings: Settings, store: PayloadStore) -> AsyncIterator[Service]:
    """Load the models that the settings ask for, and free them at the end.

    Raises:
        StartupError: A model is missing, damaged, or needs an extra that is not installed.
    """
    endpointing = ThreadPoolExecutor(1, thread_name_prefix="end-of-turn")
    try:
        perception = Perception(
            SileroModel(store.file("silero-vad")),
            EndOfTurnWorker(EndOfTurnModel(store.file("smart-turn")), endpointing),
        )
        voice = await _open_voice(settings)
        engine = await _open_engine(settings, store)
        agent = HearsightAgent(
            engine,
            voice,
            built_in_registry(settings.tools),
            MemoryStore(settings.tools.memory_path),
            AgentSettings(
                instructions=settings.assistant.instructions,
                context_limit=settings.context.max_tokens,
                reserve_tokens=settings.context.reserve_tokens,
                answer=AnswerLimits(settings.assistant.max_tool_rounds, settings.assistant.max_output_tokens),
            ),
        )
        try:
            yield Service(agent, perception, runtime_options(settings), engine.name)
        finally:
            await agent.aclose()
    finally:
        endpointing.shutdown(wait=False, cancel_futures=True)


async def _open_voice(settings: Settings) -> Voice:
    if settings.engine.name == "scripted" and not _installed("hibari_tts"):
        return ScriptedVoice()
    _require_embedded("Speaking")
    from hearsight.agent.voice.hibari import HibariVoice

    voice = HibariVoice()
    await voice.warm_up()
    return voice


async def _open_engine(settings: Settings, store: PayloadStore) -> Engine:
    match settings.engine.name:
        case "scripted":
            assert settings.engine.script is not None
            return ScriptedEngine(load_script(settings.engine.script))
        case "embedded":
            _require_embedded("The embedded engine")
            from hearsight.agent.models.embedded.engine import open_embedded_engine

            return await open_embedded_engine(settings.embedded, store)
        case name:
            raise ConfigError(
                f"engine.name = {name} is not part of this version yet; use embedded, which runs on any "
                "machine without an account."
            )


def _installed(module: str) -> bool:
    return find_spec(module) is not None


def _require_embedded(what: str) -> None:
    missing = [m for m in ("faster_whisper", "hibari_tts", "rapidocr", "xllamacpp") if not _installed(m)]
    if missing:
        raise StartupError(
            f"{what} needs packages that are not installed ({', '.join(missing)}): "
            "run `pip install 'hearsight[embedded]'`."
        )


def runtime_options(settings: Settings) -> RuntimeOptions:
    """What a session starts with."""
    turn, camera = settings.turn, settings.camera
    return RuntimeOptions(
        config=SessionConfig(
            instructions=settings.assistant.instructions,
            voice=settings.assistant.voice,
            speed=settings.assistant.speed,
            turn_detection=TurnDetection(
                threshold=turn.vad_threshold,
                prefix_padding_ms=turn.prefix_padding_ms,
                short_silence_ms=turn.short_silence_ms,
                long_silence_ms=turn.long_silence_ms,
            ),
        ),
        limits=SessionLimits(
            onset_ms=turn.onset_ms,
            barge_in_ms=turn.barge_in_ms,
            speculate_after_ms=turn.speculate_after_ms,
            speculative=turn.speculative,
            endpoint_threshold=turn.endpoint_threshold,
            stall_ms=turn.stall_ms,
            max_utterance_ms=int(settings.audio.max_utterance_s * 1000),
            max_buffered_ms=int(settings.audio.max_buffered_s * 1000),
            frames_per_turn=camera.frames_per_utterance,
        ),
        camera=CameraSettings(
            max_pixels=camera.max_pixels,
            max_frames_per_s=camera.max_frames_per_s,
            change_threshold=camera.change_threshold,
            duplicate_threshold=camera.duplicate_threshold,
        ),
    )


def server_options(settings: Settings) -> ServerOptions:
    """How the server listens."""
    server = settings.server
    return ServerOptions(
        host=server.host,
        port=server.port,
        api_keys=tuple(_revealed(key) for key in server.api_keys),
        allowed_origins=tuple(server.allowed_origins),
        max_sessions=server.max_sessions,
        max_message_bytes=server.max_message_bytes,
        outbound_buffer_bytes=server.outbound_buffer_bytes,
        events_per_s=server.events_per_s,
        ping_interval_s=server.ping_interval_s,
        ping_timeout_s=server.ping_timeout_s,
        idle_timeout_s=server.idle_timeout_s,
        drain_timeout_s=server.drain_timeout_s,
        session_ttl_s=server.session_ttl_s,
        replay_events=server.replay_events,
    )


def _revealed(key: SecretStr) -> str:
    return key.get_secret_value()
