"""What the settings ask for, in the words of the parts that go by it."""

from __future__ import annotations

from importlib.metadata import version

from hearsight.agent.agent import AgentSettings
from hearsight.agent.turn import AnswerLimits
from hearsight.config.conversation import WakeSettings
from hearsight.config.settings import Settings
from hearsight.streams.camera.eye import CameraSettings
from hearsight.streams.events import SessionConfig, TurnDetection
from hearsight.streams.load_watch import machine_bytes
from hearsight.streams.overload import OverloadOptions
from hearsight.streams.recording.recordings import RecordingOptions
from hearsight.streams.runtime import RuntimeOptions
from hearsight.streams.session.settings import SessionLimits, WakeRules
from hearsight.streams.transport import MIB, ServerOptions
from hearsight.tools.watch_book import WatchLimits

SHARE_OF_MEMORY = 0.9
"""Of the machine, that the process may take unless the settings say otherwise."""


def agent_settings(settings: Settings) -> AgentSettings:
    """What the agent goes by."""
    assistant, context = settings.assistant, settings.context
    return AgentSettings(
        instructions=assistant.instructions,
        context_limit=context.max_tokens,
        reserve_tokens=context.reserve_tokens,
        stall_s=settings.engine.stall_s,
        answer=AnswerLimits(
            assistant.max_tool_rounds, assistant.max_output_tokens, settings.tools.filler_after_s
        ),
        watch=WatchLimits(
            look_every_s=settings.watch.look_every_s,
            max_looks=settings.watch.max_looks,
            lasts_s=settings.watch.max_minutes * 60,
            reports_per_minute=settings.watch.reports_per_minute,
        ),
    )


def wake_rules(wake: WakeSettings) -> WakeRules | None:
    """When a session listens; None: always."""
    if not wake.phrases:
        return None
    return WakeRules(wake.phrases, wake.sleep_phrases, wake.sleep_after_s)


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
                endpoint_threshold=turn.endpoint_threshold,
            ),
        ),
        limits=SessionLimits(
            onset_ms=turn.onset_ms,
            barge_in_ms=turn.barge_in_ms,
            lead_ms=turn.lead_ms,
            speculate_after_ms=turn.speculate_after_ms,
            speculative=turn.speculative,
            stall_ms=turn.stall_ms,
            max_utterance_ms=round(settings.audio.max_utterance_s * 1000),
            max_buffered_ms=round(settings.audio.max_buffered_s * 1000),
            frames_per_turn=camera.frames_per_utterance,
            wake=wake_rules(settings.wake),
        ),
        camera=CameraSettings(
            max_pixels=camera.max_pixels,
            max_frames_per_s=camera.max_frames_per_s,
            max_pixels_per_s=camera.max_pixels_per_s,
            change_threshold=camera.change_threshold,
            duplicate_threshold=camera.duplicate_threshold,
        ),
        echo_guard=turn.echo_guard,
        log_transcripts=settings.log.transcripts,
        keep_media=settings.conversations.media,
    )


def recording_options(settings: Settings) -> RecordingOptions:
    """How sessions are recorded."""
    recording = settings.recording
    return RecordingOptions(
        folder=recording.folder,
        keeps=recording.keep,
        max_session_bytes=recording.max_session_bytes,
        max_total_bytes=recording.max_total_bytes,
        max_age_s=recording.max_age_days * 24 * 3600,
        program=f"hearsight {version('hearsight')}",
        engine=settings.engine.name,
    )


def server_options(settings: Settings) -> ServerOptions:
    """How the server listens."""
    server = settings.server
    return ServerOptions(
        host=server.host,
        port=server.port,
        api_keys=tuple(key.get_secret_value() for key in server.api_keys),
        keys_file=server.keys_file,
        keyless=server.keyless,
        client_secret_key=server.client_secret_key.get_secret_value() if server.client_secret_key else None,
        allowed_origins=server.allowed_origins,
        max_sessions=server.max_sessions,
        max_session_s=server.max_session_s,
        max_connections=server.max_connections,
        max_connections_per_address=server.max_connections_per_address,
        handshake_timeout_s=server.handshake_timeout_s,
        max_message_bytes=server.max_message_bytes,
        outbound_buffer_bytes=server.outbound_buffer_bytes,
        events_per_s=server.events_per_s,
        ping_interval_s=server.ping_interval_s,
        ping_timeout_s=server.ping_timeout_s,
        idle_timeout_s=server.idle_timeout_s,
        drain_timeout_s=server.drain_timeout_s,
        session_ttl_s=server.session_ttl_s,
        replay_events=server.replay_events,
        overload=overload_options(settings),
    )


def overload_options(settings: Settings) -> OverloadOptions:
    """What is too much to do in time, and what is given up then."""
    overload = settings.overload
    bearable = overload.memory_mib
    return OverloadOptions(
        turn_latency_s=overload.turn_latency_s,
        lag_s=overload.lag_ms / 1000,
        memory_bytes=int(machine_bytes() * SHARE_OF_MEMORY) if bearable is None else bearable * MIB,
        rise_s=overload.rise_s,
        calm_s=overload.calm_s,
        frames_per_s=overload.frames_per_s,
        picture_px=overload.picture_px,
        history=overload.history,
    )
