from __future__ import annotations

import sys
import types

import pytest


class FakeStream:
    """Stands where a device would be: its callback is called by the test."""

    def __init__(self, **options) -> None:
        self.options = options
        self.state: list[str] = []

    def start(self) -> None:
        self.state.append("started")

    def abort(self) -> None:
        self.state.append("aborted")

    def close(self) -> None:
        self.state.append("closed")


class FakeSoundDevice(types.ModuleType):
    """PortAudio of a machine with some devices, as sounddevice shows it; no container has any."""

    def __init__(self) -> None:
        super().__init__("sounddevice")
        self.devices = [
            {"name": "Webcam: USB", "max_input_channels": 1, "max_output_channels": 0},
            {"name": "Headset", "max_input_channels": 1, "max_output_channels": 2},
            {"name": "Monitor", "max_input_channels": 0, "max_output_channels": 2},
        ]
        self.default = 1
        self.rates = {16_000, 24_000, 48_000}
        self.busy: str | None = None
        self.streams: list[FakeStream] = []
        self.restarts = 0

    class PortAudioError(Exception):
        pass

    def query_devices(self, kind=None):
        devices = [
            {"index": index, "default_samplerate": 48_000.0, **device}
            for index, device in enumerate(self.devices)
        ]
        if kind is None:
            return devices
        if not self.devices:
            raise ValueError("no default device")
        return devices[self.default]

    def _check(self, *, device, channels, dtype, samplerate):
        if samplerate not in self.rates:
            raise self.PortAudioError("Invalid sample rate [PaErrorCode -9997]", -9997)

    check_input_settings = check_output_settings = _check

    def _open(self, **options):
        if self.busy:
            raise self.PortAudioError(f"Error opening stream: {self.busy} [PaErrorCode -9985]", -9985)
        self.streams.append(FakeStream(**options))
        return self.streams[-1]

    InputStream = OutputStream = _open

    def _terminate(self):
        self.restarts += 1

    def _initialize(self):
        pass


@pytest.fixture
def machine(monkeypatch) -> FakeSoundDevice:
    """A machine with sound devices."""
    module = FakeSoundDevice()
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module
