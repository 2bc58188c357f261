"""Which device is meant, and what is said where it cannot be had."""

from __future__ import annotations

import sys

import pytest

from hearsight.streams.local import portaudio
from hearsight.streams.local.portaudio import AudioDevice, choose, find_device, list_devices
from hearsight.streams.local.system import DeviceError

DEVICES = [
    AudioDevice(0, "HDA Intel PCH: ALC257 Analog (hw:0,0)", 48_000),
    AudioDevice(3, "USB Headset", 48_000),
    AudioDevice(4, "USB Webcam", 44_100),
    AudioDevice(5, "USB Headset Pro", 48_000),
]


@pytest.mark.parametrize(
    ("wanted", "number"),
    [
        ("default", 4),
        ("3", 3),
        ("usb headset", 3),
        ("Pro", 5),
        ("alc257", 0),
        ("webcam", 4),
    ],
)
def test_by_number_by_name_or_by_a_part_of_it(wanted, number):
    assert choose(wanted, DEVICES, 4, "microphone").number == number


def test_without_a_default_the_first_is_taken():
    assert choose("default", DEVICES, None, "speaker").number == 0


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        ("7", "There is no microphone '7'. Found: 0 'HDA Intel"),
        ("bluetooth", "There is no microphone 'bluetooth'. Found: 0 'HDA Intel"),
        ("usb", "More than one microphone is called 'usb': 3 'USB Headset', 4 'USB Webcam', 5"),
    ],
)
def test_what_is_not_there_is_answered_by_what_is(wanted, complaint):
    with pytest.raises(DeviceError) as refused:
        choose(wanted, DEVICES, 4, "microphone")
    assert complaint in refused.value.message


@pytest.mark.parametrize(
    ("direction", "way_out"), [("microphone", "--audio-file"), ("speaker", "--speaker none")]
)
def test_a_machine_without_any_is_told_how_to_do_without(direction, way_out):
    with pytest.raises(DeviceError, match=f"This machine has no {direction}.*{way_out}"):
        choose("default", [], None, direction)


def test_only_devices_of_the_direction_are_listed(machine):
    assert [device.name for device in list_devices("microphone")[0]] == ["Webcam: USB", "Headset"]
    assert [device.name for device in list_devices("speaker")[0]] == ["Headset", "Monitor"]
    assert list_devices("speaker")[1] == 1
    assert find_device("default", "speaker") == AudioDevice(1, "Headset", 48_000)


def test_a_machine_without_devices(machine):
    machine.devices = []
    assert list_devices("microphone") == ([], None)


def test_a_sound_system_that_does_not_answer(machine, monkeypatch):
    def fail(kind=None):
        raise machine.PortAudioError("PulseAudio is not running [PaErrorCode -9999]", -9999)

    monkeypatch.setattr(machine, "query_devices", fail)
    with pytest.raises(DeviceError, match="cannot be asked for its devices: PulseAudio is not running.$"):
        list_devices("microphone")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("raise ImportError", "pip install 'hearsight\\[local\\]'"),
        ("raise OSError('PortAudio library not found')", "libportaudio2|brew install portaudio"),
    ],
)
def test_what_is_not_installed_is_named(tmp_path, monkeypatch, content, complaint):
    (tmp_path / "sounddevice.py").write_text(content)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DeviceError, match=complaint):
        portaudio.load_sounddevice()


def test_a_device_is_opened_at_the_rate_that_it_knows(machine):
    device = AudioDevice(0, "Webcam", 44_100)
    assert portaudio.usable_rate(device, "microphone", 16_000) == 16_000
    machine.rates = {44_100}
    assert portaudio.usable_rate(device, "microphone", 16_000) == 44_100


def test_a_stream_is_opened_and_closed(machine):
    stream = portaudio.open_stream(AudioDevice(1, "Headset", 48_000), "speaker", 48_000, print)
    assert stream.state == ["started"]
    assert (stream.options["device"], stream.options["blocksize"]) == (1, 960)
    portaudio.close_stream(stream)
    assert stream.state == ["started", "aborted", "closed"]


def test_a_device_that_is_in_use(machine):
    machine.busy = "Device unavailable"
    with pytest.raises(DeviceError) as refused:
        portaudio.open_stream(AudioDevice(1, "Headset", 48_000), "microphone", 16_000, print)
    assert refused.value.message == (
        "The microphone 'Headset' cannot be opened: Error opening stream: Device unavailable. "
        "Another program may be using it."
    )


def test_a_stream_whose_device_is_gone_is_closed_all_the_same(machine):
    stream = portaudio.open_stream(AudioDevice(1, "Headset", 48_000), "speaker", 24_000, print)

    def fail():
        raise machine.PortAudioError("Stream is stopped")

    stream.abort = fail
    portaudio.close_stream(stream)
    assert stream.state[-1] == "closed"


def test_looking_for_devices_anew_starts_portaudio_again(machine):
    portaudio.refresh()
    assert machine.restarts == 1
