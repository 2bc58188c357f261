"""From settings and files to devices."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from hearsight import local_devices
from hearsight.config.local_devices import LocalSettings
from hearsight.local_devices import (
    Files,
    check_devices,
    has_speaker,
    make_devices,
    open_camera,
    read_files,
)
from hearsight.streams.errors import HearsightError
from hearsight.streams.local.camera import Camera, CameraDevice
from hearsight.streams.local.devices import Microphone, Speaker
from hearsight.streams.local.echo_canceller import EchoCanceller
from hearsight.streams.local.recordings import RecordedMicrophone, SilentSpeaker
from hearsight.streams.local.system import DeviceError

WAV = Path(__file__).parents[1] / "data" / "speech" / "ten_of_clubs.wav"
RECORDED = Files(np.zeros(10, np.int16), "speech.wav")


@pytest.fixture
def no_sound(tmp_path, monkeypatch):
    """A machine without PortAudio."""
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (64, 48))
    for _ in range(5):
        writer.write(np.full((48, 64, 3), 99, np.uint8))
    writer.release()
    return path


async def test_without_files_there_are_devices_and_their_echo_is_taken_out():
    devices = make_devices(LocalSettings(), Files())
    assert isinstance(devices.sound.microphone, Microphone)
    assert isinstance(devices.sound.speaker, Speaker)
    assert isinstance(devices.canceller, EchoCanceller)


@pytest.mark.parametrize(
    ("settings", "files"),
    [
        ({"echo_cancellation": False}, Files()),
        ({"speaker": "none"}, Files()),
        ({"microphone": "none"}, Files()),
        ({}, RECORDED),
        ({"speaker": "Headset"}, RECORDED),
    ],
)
async def test_nothing_is_taken_out_where_there_is_no_echo(settings, files):
    assert make_devices(LocalSettings(**settings), files).canceller is None


async def test_a_recording_stands_in_for_a_microphone_and_silence_for_a_speaker():
    sound = make_devices(LocalSettings(), RECORDED).sound
    assert isinstance(sound.microphone, RecordedMicrophone) and sound.microphone.name == "speech.wav"
    assert isinstance(sound.speaker, SilentSpeaker)
    assert isinstance(make_devices(LocalSettings(speaker="3"), RECORDED).sound.speaker, Speaker)


async def test_without_a_microphone():
    assert make_devices(LocalSettings(microphone="none"), Files()).sound.microphone is None


def test_with_a_recording_only_a_speaker_that_was_named_is_used():
    assert has_speaker(LocalSettings(), Files())
    assert not has_speaker(LocalSettings(), RECORDED)
    assert has_speaker(LocalSettings(speaker="Headset"), RECORDED)
    assert not has_speaker(LocalSettings(speaker="none"), Files())


def test_files_need_no_sound_system(no_sound):
    check_devices(LocalSettings(), RECORDED)
    check_devices(LocalSettings(microphone="none", speaker="none"), Files())


def test_devices_do(no_sound):
    with pytest.raises(DeviceError, match="PortAudio library"):
        check_devices(LocalSettings(), Files())
    with pytest.raises(DeviceError, match="PortAudio library"):
        check_devices(LocalSettings(speaker="Headset"), RECORDED)


def test_a_camera_that_was_named_must_be_there(monkeypatch):
    monkeypatch.setattr(local_devices, "list_cameras", lambda: [CameraDevice(0, "Webcam", "/dev/video0")])
    check_devices(LocalSettings(), RECORDED)
    with pytest.raises(DeviceError, match="There is no camera 'Logi'. Found: 0 'Webcam'"):
        check_devices(LocalSettings(camera="Logi"), RECORDED)


def test_files_are_read(film):
    files = read_files(WAV, film)
    assert files.speech is not None and files.speech.size > 10_000
    assert (files.speech_name, files.film) == (str(WAV), film)
    assert read_files(None, None) == Files()


@pytest.mark.parametrize(
    ("audio", "video", "complaint"),
    [
        ("none.wav", None, "'none.wav' cannot be read: No such file or directory."),
        (None, "none.mp4", "'none.mp4' cannot be read: there is no such file."),
        (__file__, None, "is not a PCM WAV file"),
    ],
)
def test_files_that_are_none(audio, video, complaint):
    with pytest.raises(HearsightError) as refused:
        read_files(audio and Path(audio), video and Path(video))
    assert complaint in refused.value.message


async def test_a_film_stands_in_for_a_camera(film):
    devices = make_devices(LocalSettings(), RECORDED)
    camera = open_camera(LocalSettings(camera="none"), Files(film=film), devices.frames, print)
    assert camera is not None
    assert len(await devices.frames.take()) > 100
    camera.stop()


async def test_without_a_camera_there_is_none(monkeypatch):
    devices = make_devices(LocalSettings(), RECORDED)
    monkeypatch.setattr(local_devices, "list_cameras", list)
    assert open_camera(LocalSettings(camera="none"), RECORDED, devices.frames, print) is None
    assert open_camera(LocalSettings(), RECORDED, devices.frames, print) is None


async def test_the_first_camera_that_works_is_taken(monkeypatch, tmp_path, film):
    """A node of a camera may carry no pictures: here, the first is no video at all."""
    (tmp_path / "video0").write_bytes(b"metadata")
    found = [CameraDevice(0, "Metadata", str(tmp_path / "video0")), CameraDevice(1, "Webcam", str(film))]
    monkeypatch.setattr(local_devices, "list_cameras", lambda: found)
    devices = make_devices(LocalSettings(), RECORDED)
    camera = open_camera(LocalSettings(), RECORDED, devices.frames, lambda text: None)
    assert isinstance(camera, Camera) and camera.name == "Webcam"
    camera.stop()
    with pytest.raises(DeviceError, match="The camera 'Metadata' cannot be opened"):
        open_camera(LocalSettings(camera="0"), RECORDED, devices.frames, print)
