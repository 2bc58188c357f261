"""The devices of a local session, from the settings and the files that stand in for some of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hearsight.config.local_devices import LocalSettings
from hearsight.streams.events import INPUT_RATE_HZ, Samples
from hearsight.streams.local import portaudio
from hearsight.streams.local.camera import Camera, Frames, choose_cameras, list_cameras
from hearsight.streams.local.devices import Microphone, SoundDevice, Speaker
from hearsight.streams.local.feed import SoundFeed
from hearsight.streams.local.playback_queue import PlaybackQueue
from hearsight.streams.local.recordings import RecordedMicrophone, SilentSpeaker
from hearsight.streams.local.screen import Screen, is_screen
from hearsight.streams.local.session import Canceller, Devices
from hearsight.streams.local.sound import Sound
from hearsight.streams.local.system import DEFAULT, NONE, DeviceError
from hearsight.wav import read_wav


@dataclass(frozen=True, slots=True)
class Files:
    """What stands in for devices.

    Attributes:
        speech: Heard in place of a microphone, 16 kHz.
        speech_name: Its file.
        film: Seen in place of a camera.
    """

    speech: Samples | None = None
    speech_name: str = ""
    film: Path | None = None


def read_files(audio: Path | None, video: Path | None) -> Files:
    """Read what stands in for devices.

    Raises:
        HearsightError: A file cannot be used.
    """
    if video is not None and not video.is_file():
        raise DeviceError(f"'{video}' cannot be read: there is no such file.")
    speech = read_wav(audio, INPUT_RATE_HZ) if audio is not None else None
    return Files(speech, str(audio or ""), video)


def check_devices(settings: LocalSettings, files: Files) -> None:
    """Insist that the microphone and the speaker are there, before anything is loaded.

    Raises:
        DeviceError: One is not, or cannot be asked for.
    """
    if files.speech is None and settings.microphone != NONE:
        portaudio.find_device(settings.microphone, "microphone")
    if has_speaker(settings, files):
        portaudio.find_device(settings.speaker, "speaker")
    if files.film is None and settings.camera != NONE and not is_screen(settings.camera):
        choose_cameras(settings.camera, list_cameras())


def has_speaker(settings: LocalSettings, files: Files) -> bool:
    """Whether anybody hears the answers: with a recording, only on a speaker that was named."""
    return settings.speaker != NONE and (files.speech is None or settings.speaker != DEFAULT)


def make_devices(settings: LocalSettings, files: Files) -> Devices:
    """Microphone, speaker and what lies between them and the session; nothing is opened yet."""
    loop = asyncio.get_running_loop()
    feed, queue = SoundFeed(loop), PlaybackQueue()
    microphone: SoundDevice | None = None
    if files.speech is not None:
        microphone = RecordedMicrophone(files.speech, files.speech_name, feed)
    elif settings.microphone != NONE:
        microphone = Microphone(settings.microphone, feed)
    audible = has_speaker(settings, files)
    speaker = Speaker(settings.speaker, feed, queue) if audible else SilentSpeaker(feed, queue)
    canceller = None
    if settings.echo_cancellation and audible and isinstance(microphone, Microphone):
        canceller = _new_canceller()
    return Devices(Sound(microphone, speaker, portaudio.refresh), queue, feed, Frames(loop), canceller)


def _new_canceller() -> Canceller:
    try:
        from hearsight.streams.local.echo_canceller import EchoCanceller
    except ImportError:
        raise DeviceError(
            "Echo cancellation needs a package that is not installed (pywebrtc-audio): "
            "run `pip install 'hearsight[local]'`."
        ) from None
    return EchoCanceller()


def open_camera(
    settings: LocalSettings, files: Files, frames: Frames, notify: Callable[[str], None]
) -> Camera | Screen | None:
    """The camera that is meant, the screen or the film, opened; None to go without. May take seconds.

    Args:
        settings: Which.
        files: A film in its place.
        frames: Where its pictures go.
        notify: Told, from another thread, when it is gone and when it is back.

    Raises:
        DeviceError: What was named, or the film, cannot be opened.
    """
    per_s = settings.camera_frames_per_s
    if files.film is not None:
        film = Camera(str(files.film), str(files.film), frames, per_s=per_s, notify=notify, is_film=True)
        film.start()
        return film
    if settings.camera == NONE:
        return None
    if is_screen(settings.camera):
        screen = Screen(settings.camera, frames, per_s=per_s, notify=notify)
        screen.start()
        return screen
    for device in choose_cameras(settings.camera, list_cameras()):
        camera = Camera(device.node, device.name, frames, per_s=per_s, notify=notify)
        try:
            camera.start()
        except DeviceError:
            if settings.camera != DEFAULT:
                raise
        else:
            return camera
    return None
