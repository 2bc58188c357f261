"""Devices that are there, that are not, and that are in the way."""

import os
import stat
import sys

import pytest

from hearsight import device_checks
from hearsight.config.local_devices import LocalSettings
from hearsight.findings import Finding

TWO_DEVICES = """
PortAudioError = RuntimeError
def query_devices(kind=None):
    devices = [dict(name='Webcam', max_input_channels=1, max_output_channels=0),
               dict(name='Headset', max_input_channels=1, max_output_channels=2)]
    devices = [dict(device, index=at, default_samplerate=48000.0) for at, device in enumerate(devices)]
    return devices if kind is None else devices[1]
"""


@pytest.fixture
def sounddevice(tmp_path, monkeypatch):
    """Puts a module of that name before the real one."""

    def write(text: str):
        (tmp_path / "sounddevice.py").write_text(text)
        monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
        monkeypatch.syspath_prepend(tmp_path)

    yield write
    sys.modules.pop("sounddevice", None)


def test_microphones_and_speakers_are_listed(sounddevice):
    sounddevice(TWO_DEVICES)
    assert list(device_checks.check_audio(LocalSettings())) == [
        Finding("microphone", "ok", "0 'Webcam', 1 'Headset'; `hearsight talk` uses 1"),
        Finding("speaker", "ok", "1 'Headset'; `hearsight talk` uses 1"),
    ]


def test_those_that_the_settings_name_are_looked_for(sounddevice):
    sounddevice(TWO_DEVICES)
    microphone, speaker = device_checks.check_audio(LocalSettings(microphone="cam", speaker="Piano"))
    assert microphone.found.endswith("`hearsight talk` uses 0")
    assert (speaker.status, speaker.found) == ("note", "There is no speaker 'Piano'. Found: 1 'Headset'.")
    microphone, speaker = device_checks.check_audio(LocalSettings(microphone="none"))
    assert microphone.found == "0 'Webcam', 1 'Headset'; `hearsight talk` uses none"


def test_a_machine_without_sound(sounddevice):
    sounddevice("PortAudioError = RuntimeError\ndef query_devices(): return []")
    findings = list(device_checks.check_audio(LocalSettings()))
    assert [(f.check, f.status, f.found) for f in findings] == [
        ("microphone", "note", "none found"),
        ("speaker", "note", "none found"),
    ]
    assert "A server needs none" in findings[0].mend


@pytest.mark.parametrize(
    ("module", "mend"),
    [
        ("raise ImportError", "pip install 'hearsight[local]'"),
        ("raise OSError('PortAudio library not found')", "portaudio"),
        (
            "PortAudioError = RuntimeError\ndef query_devices(): raise RuntimeError('host error')",
            "host error",
        ),
    ],
)
def test_sound_that_cannot_be_asked_for(sounddevice, module, mend):
    sounddevice(module)
    [finding] = device_checks.check_audio(LocalSettings())
    assert (finding.status, finding.check) == ("note", "microphone, speaker")
    assert mend in finding.mend


def test_what_libraries_write_to_standard_error_stays_there(sounddevice, capfd):
    sounddevice(
        "import os\nPortAudioError = RuntimeError\n"
        "os.write(2, b'ALSA lib: noise')\ndef query_devices(): return []"
    )
    list(device_checks.check_audio(LocalSettings()))
    assert capfd.readouterr().err == ""
    os.write(2, b"heard again")
    assert capfd.readouterr().err == "heard again"


def test_cameras(tmp_path, capfd):
    assert device_checks.check_camera(LocalSettings(), tmp_path).found == "none found"
    (tmp_path / "video0").write_bytes(b"no camera")
    finding = device_checks.check_camera(LocalSettings(), tmp_path)
    assert (finding.status, finding.found) == ("note", "none found")
    finding = device_checks.check_camera(LocalSettings(camera="Logi"), tmp_path)
    assert finding.found.startswith("There is no camera 'Logi'. Found: none.")
    assert capfd.readouterr() == ("", "")


def test_cameras_that_work_are_listed(tmp_path, monkeypatch):
    for name in ("video0", "video1", "video2"):
        (tmp_path / name).write_bytes(b"")
    monkeypatch.setattr(
        device_checks, "_frame_size", lambda node: None if node.endswith("video1") else "640x480"
    )
    finding = device_checks.check_camera(LocalSettings(camera=2), tmp_path)
    assert finding.status == "ok"
    assert finding.found.endswith("`hearsight talk` uses 2") and "video1" not in finding.found


def test_a_camera_that_belongs_to_others(tmp_path, monkeypatch):
    (tmp_path / "video0").write_bytes(b"")
    monkeypatch.setattr(os, "access", lambda node, mode: False)
    finding = device_checks.check_camera(LocalSettings(), tmp_path)
    assert finding.found == f"not allowed to open {tmp_path / 'video0'}"
    assert "group video" in finding.mend


@pytest.mark.parametrize(
    ("output", "status", "found"),
    [
        ("echo 'NVIDIA H100'; echo 'NVIDIA T4'", "ok", "nvidia-smi sees NVIDIA H100, NVIDIA T4"),
        ("echo 'no driver'; exit 9", "note", "none found"),
        (None, "note", "none found"),
    ],
)
def test_gpus_without_torch(tmp_path, monkeypatch, output, status, found):
    if output is not None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{output}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(device_checks, "find_spec", lambda name: None)
    finding = device_checks.check_gpu()
    assert (finding.status, finding.found) == (status, found)
