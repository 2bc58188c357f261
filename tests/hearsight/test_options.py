"""Every setting reaches its place."""

from dataclasses import asdict, fields
from pathlib import Path

import pytest

from hearsight.config.conversation import WakeSettings
from hearsight.config.settings import Settings, load_settings, setting_keys
from hearsight.options import agent_settings, recording_options, runtime_options, server_options
from hearsight.streams.load_watch import machine_bytes
from hearsight.streams.overload import Overload, OverloadOptions
from hearsight.streams.recording.recordings import RecordingOptions
from hearsight.streams.session.settings import WakeRules
from hearsight.streams.transport import ServerOptions

PLACES = {
    "turn.vad_threshold": (0.4, {"runtime.config.turn_detection.threshold": 0.4}),
    "turn.onset_ms": (64, {"runtime.limits.onset_ms": 64}),
    "turn.prefix_padding_ms": (200, {"runtime.config.turn_detection.prefix_padding_ms": 200}),
    "turn.short_silence_ms": (400, {"runtime.config.turn_detection.short_silence_ms": 400}),
    "turn.long_silence_ms": (900, {"runtime.config.turn_detection.long_silence_ms": 900}),
    "turn.speculate_after_ms": (160, {"runtime.limits.speculate_after_ms": 160}),
    "turn.speculative": (False, {"runtime.limits.speculative": False}),
    "turn.barge_in_ms": (400, {"runtime.limits.barge_in_ms": 400}),
    "turn.echo_guard": (False, {"runtime.echo_guard": False}),
    "turn.lead_ms": (250, {"runtime.limits.lead_ms": 250}),
    "turn.stall_ms": (900, {"runtime.limits.stall_ms": 900}),
    "turn.endpoint_threshold": (0.7, {"runtime.config.turn_detection.endpoint_threshold": 0.7}),
    "audio.max_utterance_s": (20.5, {"runtime.limits.max_utterance_ms": 20_500}),
    "audio.max_buffered_s": (30.2, {"runtime.limits.max_buffered_ms": 30_200}),
    "camera.max_pixels": (5000, {"runtime.camera.max_pixels": 5000}),
    "camera.max_frames_per_s": (5.0, {"runtime.camera.max_frames_per_s": 5.0}),
    "camera.max_pixels_per_s": (9000, {"runtime.camera.max_pixels_per_s": 9000}),
    "camera.frames_per_utterance": (2, {"runtime.limits.frames_per_turn": 2}),
    "camera.change_threshold": (0.2, {"runtime.camera.change_threshold": 0.2}),
    "camera.duplicate_threshold": (0.01, {"runtime.camera.duplicate_threshold": 0.01}),
    "context.max_tokens": (8192, {"agent.context_limit": 8192}),
    "context.reserve_tokens": (2048, {"agent.reserve_tokens": 2048}),
    "assistant.instructions": (
        "Be brief.",
        {"agent.instructions": "Be brief.", "runtime.config.instructions": "Be brief."},
    ),
    "assistant.voice": ("emma", {"runtime.config.voice": "emma"}),
    "assistant.speed": (1.5, {"runtime.config.speed": 1.5}),
    "assistant.max_output_tokens": (100, {"agent.answer.max_output_tokens": 100}),
    "watch.look_every_s": (5.0, {"agent.watch.look_every_s": 5.0}),
    "watch.max_looks": (9, {"agent.watch.max_looks": 9}),
    "watch.max_minutes": (2.5, {"agent.watch.lasts_s": 150.0}),
    "watch.reports_per_minute": (2, {"agent.watch.reports_per_minute": 2}),
    "tools.filler_after_s": (3.0, {"agent.answer.filler_after_s": 3.0}),
    "assistant.max_tool_rounds": (1, {"agent.answer.max_tool_rounds": 1}),
    "server.host": ("127.0.0.2", {"server.host": "127.0.0.2"}),
    "server.port": (9000, {"server.port": 9000}),
    "server.api_keys": (["secret"], {"server.api_keys": ("secret",)}),
    "server.allowed_origins": (["https://a.example"], {"server.allowed_origins": ("https://a.example",)}),
    "server.keys_file": ("/a/keys.json", {"server.keys_file": Path("/a/keys.json")}),
    "server.keyless": (True, {"server.keyless": True}),
    "server.client_secret_key": ("s" * 32, {"server.client_secret_key": "s" * 32}),
    "server.max_sessions": (3, {"server.max_sessions": 3}),
    "server.max_session_s": (60.0, {"server.max_session_s": 60.0}),
    "server.max_connections": (9, {"server.max_connections": 9}),
    "server.max_connections_per_address": (4, {"server.max_connections_per_address": 4}),
    "server.handshake_timeout_s": (2.0, {"server.handshake_timeout_s": 2.0}),
    "server.max_message_bytes": (4096, {"server.max_message_bytes": 4096}),
    "server.outbound_buffer_bytes": (99_999, {"server.outbound_buffer_bytes": 99_999}),
    "server.events_per_s": (50.0, {"server.events_per_s": 50.0}),
    "server.ping_interval_s": (7.0, {"server.ping_interval_s": 7.0}),
    "server.ping_timeout_s": (8.0, {"server.ping_timeout_s": 8.0}),
    "server.idle_timeout_s": (9.0, {"server.idle_timeout_s": 9.0}),
    "server.drain_timeout_s": (1.0, {"server.drain_timeout_s": 1.0}),
    "server.session_ttl_s": (2.0, {"server.session_ttl_s": 2.0}),
    "server.replay_events": (10, {"server.replay_events": 10}),
}
"""By key: another value than the default, and where it shows."""

PLACES |= {
    "recording.folder": (Path("/somewhere"), {"recording.folder": Path("/somewhere")}),
    "recording.keep": (["audio"], {"recording.keeps": ("audio",)}),
    "recording.max_session_bytes": (2_000_000, {"recording.max_session_bytes": 2_000_000}),
    "recording.max_total_bytes": (2**33, {"recording.max_total_bytes": 2**33}),
    "recording.max_age_days": (2.0, {"recording.max_age_s": 172_800.0}),
}

PLACES |= {
    "overload.turn_latency_s": (1.5, {"server.overload.turn_latency_s": 1.5}),
    "overload.lag_ms": (50.0, {"server.overload.lag_s": 0.05}),
    "overload.memory_mib": (100, {"server.overload.memory_bytes": 100 * 2**20}),
    "overload.rise_s": (1.0, {"server.overload.rise_s": 1.0}),
    "overload.calm_s": (60.0, {"server.overload.calm_s": 60.0}),
    "overload.frames_per_s": (0.5, {"server.overload.frames_per_s": 0.5}),
    "overload.picture_px": (256, {"server.overload.picture_px": 256}),
    "overload.history": (0.5, {"server.overload.history": 0.5}),
    "engine.stall_s": (30.0, {"agent.stall_s": 30.0}),
}

ELSEWHERE = {
    *("engine.name", "engine.script"),
    "recording.enabled",
    "assistant.language",
    *("tools.enabled", "tools.mcp", "tools.memory_path", "tools.timeout_s"),
    *("server.tls", "server.tls_certificate", "server.tls_key", "server.tls_folder"),
}
"""Go to the engine, the tools and the certificate, which have their own tests."""


def composed(settings: Settings) -> dict[str, object]:
    """All options that are made of the settings, by their path."""
    server = server_options(settings)
    parts = {
        "agent": asdict(agent_settings(settings)),
        "runtime": asdict(runtime_options(settings)),
        "recording": asdict(recording_options(settings)),
        "server": {field.name: getattr(server, field.name) for field in fields(ServerOptions)}
        | {"overload": asdict(server.overload)},
    }
    return dict(flat("", parts))


def flat(path: str, value: object):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from flat(f"{path}.{name}" if path else name, inner)
    else:
        yield path, value


def test_the_table_names_every_setting_of_its_sections():
    sections = {key.partition(".")[0] for key in PLACES}
    keys = {key for key in setting_keys() if key.partition(".")[0] in sections}
    assert keys - ELSEWHERE == set(PLACES)


@pytest.mark.parametrize("key", PLACES)
def test_a_setting_reaches_its_place_and_no_other(key):
    value, places = PLACES[key]
    before = composed(Settings())
    after = composed(load_settings(overrides={key: value}).settings)
    assert {path: after[path] for path in after if after[path] != before[path]} == places


def test_a_wake_phrase_puts_sessions_to_sleep():
    assert runtime_options(Settings()).limits.wake is None
    given = {"wake.phrases": "hey computer, okay computer", "wake.sleep_after_s": 20}
    rules = runtime_options(load_settings(overrides=given).settings).limits.wake
    assert rules == WakeRules(("hey computer", "okay computer"), ("go to sleep",), 20.0)
    assert WakeRules(("x",)) == WakeRules(("x",), WakeSettings().sleep_phrases, WakeSettings().sleep_after_s)


def test_the_defaults_of_the_settings_are_those_of_what_they_set():
    """One default in two places would drift apart."""
    options = composed(Settings())
    for field in fields(ServerOptions):
        if field.name in ("keys_file", "overload"):
            continue  # whoever makes a server by hand says where its keys are, and what is too much
        assert options[f"server.{field.name}"] == getattr(ServerOptions(), field.name), field.name
    recording = RecordingOptions(Settings().recording.folder)
    for field in fields(RecordingOptions):
        if field.name not in ("program", "engine"):
            assert options[f"recording.{field.name}"] == getattr(recording, field.name), field.name
    for field in fields(OverloadOptions):
        if field.name not in ("turn_latency_s", "lag_s", "memory_bytes"):
            assert options[f"server.overload.{field.name}"] == getattr(OverloadOptions(), field.name), (
                field.name
            )


def test_nine_tenths_of_the_memory_there_is_are_bearable_and_0_is_any():
    assert server_options(Settings()).overload.memory_bytes == int(0.9 * machine_bytes()) > 2**28
    without = load_settings(
        overrides={"overload.memory_mib": 0, "overload.turn_latency_s": 0, "overload.lag_ms": 0}
    )
    assert not Overload(server_options(without.settings).overload, float).enabled
