"""PortAudio through sounddevice: which devices there are, and streams of them.

No other module knows sounddevice.
"""

from __future__ import annotations

import ctypes
import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from hearsight.streams.local.system import DEFAULT, DeviceError, silent_stderr

Direction: TypeAlias = Literal["microphone", "speaker"]

BLOCK_S: Final = 0.02
"""What a device asks for, or brings, at a time."""
LATENCY_S: Final = 0.1
"""What is asked of the system. Through PulseAudio, 0.06 s already has gaps on a machine that is idle."""
MAX_LATENCY_S: Final = 0.4
"""What a speaker gets at most that has gaps while the models keep the cores busy."""
_IGNORE: Final = ctypes.CFUNCTYPE(None)(lambda: None)
"""Takes ALSA's messages; lives as long as the library, which calls it from then on."""


@dataclass(frozen=True, slots=True)
class AudioDevice:
    """A microphone or speaker of this machine."""

    number: int
    name: str
    default_rate_hz: int

    def __str__(self) -> str:
        return f"{self.number} '{self.name}'"


def load_sounddevice() -> Any:
    """The sounddevice module, quietly.

    Raises:
        DeviceError: It, or the library below it, is not installed.
    """
    try:
        with silent_stderr():
            module = importlib.import_module("sounddevice")
            _silence_alsa()
            return module
    except ImportError:
        raise DeviceError(
            "Microphone and speaker need sounddevice, which is not installed: "
            "run `pip install 'hearsight[local]'`."
        ) from None
    except OSError:
        how = "brew install portaudio" if sys.platform == "darwin" else "sudo apt install libportaudio2"
        raise DeviceError(f"Microphone and speaker need the PortAudio library: `{how}`.") from None


def _silence_alsa() -> None:
    """Have ALSA, below PortAudio, not write to the terminal of every gap, which PortAudio reports as well."""
    if sys.platform == "linux":
        ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(_IGNORE)


def list_devices(direction: Direction) -> tuple[list[AudioDevice], int | None]:
    """The devices of one direction.

    Returns:
        All of them, and the number of the system's default.

    Raises:
        DeviceError: They cannot be asked for.
    """
    sound = load_sounddevice()
    kind = "input" if direction == "microphone" else "output"
    try:
        with silent_stderr():
            found = list(sound.query_devices())
            default = sound.query_devices(kind=kind)["index"] if found else None
    except sound.PortAudioError as error:
        raise DeviceError(f"The sound system cannot be asked for its devices: {_plain(error)}.") from error
    except ValueError:  # sounddevice's way to say that there is no default
        default = None
    devices = [
        AudioDevice(number, device["name"], round(device["default_samplerate"]))
        for number, device in enumerate(found)
        if device[f"max_{kind}_channels"] > 0
    ]
    return devices, default


def choose(
    wanted: str, devices: Sequence[AudioDevice], default: int | None, direction: Direction
) -> AudioDevice:
    """The device that is meant.

    Args:
        wanted: ``default``, a number, a name, or a part of a name that only one has.
        devices: All of that direction.
        default: The number of the system's default.
        direction: For the messages.

    Raises:
        DeviceError: There is none, or more than one.
    """
    if not devices:
        raise DeviceError(f"This machine has no {direction}. {_without(direction)}")
    listed = ", ".join(map(str, devices))
    if wanted == DEFAULT:
        return next((device for device in devices if device.number == default), devices[0])
    if wanted.isdecimal():
        matches = [device for device in devices if device.number == int(wanted)]
    else:
        name = wanted.casefold()
        matches = [device for device in devices if device.name.casefold() == name]
        matches = matches[:1] or [device for device in devices if name in device.name.casefold()]
    if not matches:
        raise DeviceError(f"There is no {direction} '{wanted}'. Found: {listed}.")
    if len(matches) > 1:
        several = ", ".join(map(str, matches))
        raise DeviceError(f"More than one {direction} is called '{wanted}': {several}. Give its number.")
    return matches[0]


def find_device(wanted: str, direction: Direction) -> AudioDevice:
    """The device of this machine that is meant; see `choose`.

    Raises:
        DeviceError: There is none.
    """
    devices, default = list_devices(direction)
    return choose(wanted, devices, default, direction)


def usable_rate(device: AudioDevice, direction: Direction, rate_hz: int) -> int:
    """The rate that is wanted, or the device's own where it cannot be opened at that one."""
    sound = load_sounddevice()
    check = sound.check_input_settings if direction == "microphone" else sound.check_output_settings
    try:
        with silent_stderr():
            check(device=device.number, channels=1, dtype="int16", samplerate=rate_hz)
    except sound.PortAudioError:
        return device.default_rate_hz
    return rate_hz


def open_stream(
    device: AudioDevice,
    direction: Direction,
    rate_hz: int,
    callback: Callable[..., None],
    latency_s: float = LATENCY_S,
) -> Any:
    """Open and start a stream of int16 mono.

    Args:
        device: Of which.
        direction: Which way.
        rate_hz: See `usable_rate`.
        callback: As sounddevice calls it, from a thread of PortAudio's.
        latency_s: What the system is asked for.

    Raises:
        DeviceError: It cannot be opened.
    """
    sound = load_sounddevice()
    make = sound.InputStream if direction == "microphone" else sound.OutputStream
    try:
        with silent_stderr():
            stream = make(
                device=device.number,
                channels=1,
                dtype="int16",
                samplerate=rate_hz,
                blocksize=round(rate_hz * BLOCK_S),
                latency=latency_s,
                callback=callback,
            )
            stream.start()
    except sound.PortAudioError as error:
        raise DeviceError(
            f"The {direction} '{device.name}' cannot be opened: {_plain(error)}. "
            "Another program may be using it."
        ) from error
    return stream


def close_stream(stream: Any) -> None:
    """End a stream at once, without playing what it holds; one whose device is gone, too."""
    sound = load_sounddevice()
    with silent_stderr():
        for step in (stream.abort, stream.close):
            try:
                step()
            except sound.PortAudioError:
                continue  # the device is gone, and with it what there was to close


def refresh() -> None:
    """Look for devices anew: PortAudio does so only when it starts. No stream may be open."""
    sound = load_sounddevice()
    with silent_stderr():
        # The documented functions do this at import and exit only; sounddevice's own advice is to call them.
        sound._terminate()
        sound._initialize()


def _plain(error: Exception) -> str:
    """PortAudio's own words, without its numbers."""
    text = str(error.args[0] if error.args else error)
    return text.partition(" [PaErrorCode")[0].rstrip(".")


def _without(direction: Direction) -> str:
    if direction == "microphone":
        return "Type instead (`--microphone none`), or play a recording to it (`--audio-file`)."
    return "Go without (`--speaker none`); `--save answer.wav` keeps what is said."
