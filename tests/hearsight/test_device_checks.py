"""Devices that are there, that are not, and that are in the way."""

import os
import stat
import sys

import pytest

from hearsight import device_checks
from hearsight.findings import Finding


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
    sounddevice(
        "def query_devices():\n"
        "    return [dict(name='Webcam', max_input_channels=1, max_output_channels=0),\n"
        "            dict(name='Headset', max_input_channels=1, max_output_channels=2)]\n"
    )
    assert list(device_checks.check_audio()) == [
        Finding("microphone", "ok", "Webcam, Headset"),
        Finding("speaker", "ok", "Headset"),
    ]


def test_a_machine_without_sound(sounddevice):
    sounddevice("def query_devices(): return []")
    findings = list(device_checks.check_audio())
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
        ("def query_devices(): raise RuntimeError('host error')", "A server needs none"),
    ],
)
def test_sound_that_cannot_be_asked_for(sounddevice, module, mend):
    sounddevice(module)
    [finding] = device_checks.check_audio()
    assert (finding.status, finding.check) == ("note", "microphone, speaker")
    assert mend in finding.mend


def test_what_libraries_write_to_standard_error_stays_there(sounddevice, capfd):
    sounddevice("import os\nos.write(2, b'ALSA lib: noise')\ndef query_devices(): return []")
    list(device_checks.check_audio())
    assert capfd.readouterr().err == ""
    os.write(2, b"heard again")
    assert capfd.readouterr().err == "heard again"


def test_cameras(tmp_path, capfd):
    assert device_checks.check_camera(tmp_path).found == "none found"
    (tmp_path / "video0").write_bytes(b"no camera")
    finding = device_checks.check_camera(tmp_path)
    assert (finding.status, finding.found) == ("note", "none found")
    assert capfd.readouterr() == ("", "")


def test_a_camera_that_belongs_to_others(tmp_path, monkeypatch):
    (tmp_path / "video0").write_bytes(b"")
    monkeypatch.setattr(os, "access", lambda node, mode: False)
    finding = device_checks.check_camera(tmp_path)
    assert finding.found == "not allowed to open video0"
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
