"""Devices that are unplugged are noticed, told of once, and opened again when they are back."""

from __future__ import annotations

import pytest

from hearsight.streams.local.sound import RETRY_S, Sound
from hearsight.streams.local.system import DeviceError


class Device:
    """Stands where hardware would be: it can be unplugged."""

    def __init__(self, name: str, *, is_real: bool = True) -> None:
        self.name = name
        self.is_real = is_real
        self.here = True
        self.running = False
        self.starts = 0

    def start(self) -> None:
        if not self.here:
            raise DeviceError(f"There is no '{self.name}'.")
        self.running = True
        self.starts += 1

    def stop(self) -> None:
        self.running = False

    def is_lost(self) -> bool:
        return self.running and not self.here


def test_both_start_and_stop():
    microphone, speaker = Device("Webcam"), Device("Headset")
    sound = Sound(microphone, speaker)
    sound.start()
    assert microphone.running and speaker.running
    assert sound.watch(1.0) is None
    sound.stop()
    sound.stop()
    assert not microphone.running and not speaker.running


def test_where_one_cannot_be_opened_neither_stays_open():
    microphone, speaker = Device("Webcam"), Device("Headset")
    speaker.here = False
    with pytest.raises(DeviceError, match="There is no 'Headset'"):
        Sound(microphone, speaker).start()
    assert not microphone.running


def test_a_microphone_that_is_unplugged_comes_back():
    looked = []
    microphone, speaker = Device("Webcam"), Device("Headset")
    sound = Sound(microphone, speaker, lambda: looked.append(speaker.running))
    sound.start()
    microphone.here = False
    notice = sound.watch(10.0)
    assert notice is not None and notice.startswith("The microphone 'Webcam' is gone.")
    assert sound.watch(10.5) is None, "it is told once"
    assert sound.watch(10.0 + RETRY_S) is None and looked == [False], "devices are looked for with none open"
    assert speaker.running, "whatever is there goes on"
    microphone.here = True
    assert sound.watch(10.0 + RETRY_S + 1) is None, "not yet tried again"
    back = sound.watch(10.0 + 2 * RETRY_S)
    assert back == "Sound is back: microphone 'Webcam' and speaker 'Headset'."
    assert sound.watch(30.0) is None


def test_an_answer_that_is_being_played_is_not_cut_off_to_look_for_a_microphone():
    microphone, speaker = Device("Webcam"), Device("Headset")
    sound = Sound(microphone, speaker)
    sound.start()
    microphone.here = False
    sound.watch(0.0)
    microphone.here = True
    assert sound.watch(100.0, speaking=True) is None and speaker.starts == 1
    assert sound.watch(100.5) is not None and speaker.starts == 2


def test_a_speaker_that_is_gone_is_looked_for_whatever_waits_to_be_played():
    microphone, speaker = Device("Webcam"), Device("Headset")
    sound = Sound(microphone, speaker)
    sound.start()
    speaker.here = False
    assert "speaker 'Headset' is gone" in (sound.watch(0.0) or "")
    assert sound.speaker_is_lost
    speaker.here = True
    assert sound.watch(RETRY_S, speaking=True) is not None
    assert not sound.speaker_is_lost


def test_both_at_once():
    microphone, speaker = Device("Headset"), Device("Headset")
    sound = Sound(microphone, speaker)
    sound.start()
    microphone.here = speaker.here = False
    assert "microphone 'Headset' and speaker 'Headset' are gone" in (sound.watch(0.0) or "")


def test_a_recording_does_not_begin_anew():
    recording, speaker = Device("speech.wav", is_real=False), Device("Headset")
    sound = Sound(recording, speaker)
    sound.start()
    speaker.here = False
    sound.watch(0.0)
    speaker.here = True
    assert sound.watch(RETRY_S) == "Sound is back: speaker 'Headset'."
    assert recording.starts == 1


def test_without_a_microphone():
    speaker = Device("Headset")
    sound = Sound(None, speaker)
    sound.start()
    assert speaker.running and sound.watch(0.0) is None
    sound.stop()
