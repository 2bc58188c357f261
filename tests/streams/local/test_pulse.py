"""The devices as they are: PortAudio, through ALSA, on a PulseAudio with a speaker that its microphone hears.

Skipped where PulseAudio is not installed; CI installs it (Debian: pulseaudio, libasound2-plugins).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from hearsight.config.local_devices import LocalSettings
from hearsight.local_devices import Files, check_devices, make_devices
from hearsight.streams.events import PlaybackPosition
from hearsight.streams.local.feed import Heard, Played
from hearsight.streams.local.portaudio import refresh
from hearsight.streams.local.system import DeviceError
from hearsight.wav import read_wav

SPEECH = Path(__file__).parents[2] / "data" / "speech"
SCRIPT = """
load-module module-null-sink sink_name=speaker rate=48000 channels=1
load-module module-null-sink sink_name=room rate=48000 channels=1
load-module module-loopback source=speaker.monitor sink=room latency_msec=100
load-module module-native-protocol-unix socket={folder}/socket
set-default-sink speaker
set-default-source room.monitor
"""
pytestmark = pytest.mark.skipif(shutil.which("pulseaudio") is None, reason="PulseAudio is not installed")


@pytest.fixture(scope="module")
def pulse(tmp_path_factory):
    """A PulseAudio of its own, in which the microphone hears the speaker and nothing else."""
    folder = tmp_path_factory.mktemp("pulse")
    (folder / "default.pa").write_text(SCRIPT.format(folder=folder))
    before = {name: os.environ.get(name) for name in ("PULSE_SERVER", "XDG_RUNTIME_DIR")}
    os.environ |= {"PULSE_SERVER": f"unix:{folder}/socket", "XDG_RUNTIME_DIR": str(folder)}
    server = subprocess.Popen(
        ["pulseaudio", "-n", "-F", str(folder / "default.pa"), "--exit-idle-time=-1", "--daemonize=no",
         "--use-pid-file=no"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    patience_s = time.monotonic() + 20
    while not (folder / "socket").exists():
        assert server.poll() is None and time.monotonic() < patience_s, "PulseAudio does not start"
        time.sleep(0.05)
    refresh()  # PortAudio may have been started by an earlier test, and knows the devices of then
    yield server
    server.terminate()
    server.wait()
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


async def test_an_answer_is_played_heard_and_taken_out_again(pulse):
    settings = LocalSettings(microphone="pulse", speaker="pulse")
    check_devices(settings, Files())
    devices = make_devices(settings, Files())
    assert devices.canceller is not None
    names = ("cold_hearted", "amiable_woman")
    voice = np.concatenate([read_wav(SPEECH / f"{name}.wav", 24_000) for name in names])
    devices.queue.put("answer", voice)
    near, clean, positions = [], [], list[PlaybackPosition]()
    await devices.start()
    try:
        async with asyncio.timeout(60):
            while not devices.queue.idle:
                for block in await devices.feed.take():
                    match block:
                        case Played():
                            devices.canceller.play(block.samples, block.latency_s)
                            positions += devices.queue.heard(block.latency_s)
                        case Heard():
                            near.append(block.samples)
                            clean.append(devices.canceller.hear(block.samples, block.latency_s))
    finally:
        await devices.stop()
    played_ms = [position.played_ms for position in positions]
    assert played_ms == sorted(played_ms) and played_ms[-1] == pytest.approx(voice.size / 24)
    seconds = [
        np.concatenate(part).astype(float)[16_000 : 16_000 * 9].reshape(-1, 16_000) for part in (near, clean)
    ]
    before, after = (np.square(part).mean(axis=1) for part in seconds)
    assert np.sqrt(before.mean()) > 100, "the microphone hears the speaker"
    # How well, test_echo_canceller tells. Here, on a busy machine, every gap in the sound moves the echo
    # for a while, so no more is asked than that the two sides have found each other.
    losses_db = 10 * np.log10(before / after)
    assert np.percentile(losses_db, 75) > 12, losses_db


async def test_what_waits_is_not_heard_once_it_was_flushed(pulse):
    devices = make_devices(LocalSettings(microphone="pulse", speaker="pulse"), Files())
    devices.queue.put("answer", (8_000 * np.sin(np.arange(24_000 * 20) / 10)).astype(np.int16))
    await devices.start()
    levels = []
    try:
        async with asyncio.timeout(30):
            while devices.speaker_level.level_db < -20 or len(levels) < 25:
                await hear(devices, levels)
            (position,) = devices.queue.flush()
            assert 0 < position.played_ms < 15_000
            levels.clear()
            while not levels or levels[-1] > -50:
                await hear(devices, levels)
    finally:
        await devices.stop()
    assert len(levels) * 0.02 < 5, "what the system holds is all that is still heard"


async def hear(devices, levels: list[float]) -> None:
    for block in await devices.feed.take():
        if isinstance(block, Played):
            devices.speaker_level.feed(block.samples)
        else:
            power = float(np.square(block.samples / 32_768).mean())
            levels.append(10 * np.log10(power + 1e-12))


def test_a_device_that_is_not_there_is_answered_by_those_that_are(pulse):
    with pytest.raises(DeviceError, match="There is no microphone 'Webcam'. Found: .*'pulse'"):
        check_devices(LocalSettings(microphone="Webcam"), Files())


async def test_a_sound_system_that_goes_away_is_noticed(pulse):
    """Stopped, PulseAudio holds every stream still, as a cable does that is pulled."""
    devices = make_devices(LocalSettings(microphone="pulse", speaker="pulse"), Files())
    await devices.start()
    pulse.send_signal(19)
    try:
        async with asyncio.timeout(20):
            while (notice := devices.sound.watch(time.monotonic())) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
    finally:
        pulse.send_signal(18)
        await devices.stop()
    assert "gone" in notice
