"""Devices are named by words or by numbers, in every layer of the settings."""

from __future__ import annotations

import pytest

from hearsight.config.errors import ConfigError
from hearsight.config.settings import load_settings


def test_by_default_the_system_chooses_and_the_echo_is_taken_out():
    local = load_settings().settings.local
    assert (local.microphone, local.speaker, local.camera) == ("default",) * 3
    assert local.echo_cancellation


def test_numbers_may_be_written_as_numbers(tmp_path, monkeypatch):
    file = tmp_path / "mine.toml"
    file.write_text('[local]\nmicrophone = 3\nspeaker = "USB Headset"\n')
    monkeypatch.setenv("HEARSIGHT_LOCAL__CAMERA", "2")
    local = load_settings(config_file=file).settings.local
    assert (local.microphone, local.speaker, local.camera) == ("3", "USB Headset", "2")


def test_a_flag_that_was_not_given_changes_nothing(monkeypatch):
    monkeypatch.setenv("HEARSIGHT_LOCAL__SPEAKER", "none")
    overrides = {"local.speaker": None, "local.microphone": "Webcam"}
    local = load_settings(overrides=overrides).settings.local
    assert (local.microphone, local.speaker) == ("Webcam", "none")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("microphone", ""),
        ("microphone", True),
        ("camera_frames_per_s", 0),
        ("camera_frames_per_s", 31),
        ("echo_cancellation", "perhaps"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_name(key, value):
    with pytest.raises(ConfigError, match=f"local.{key}"):
        load_settings(overrides={f"local.{key}": value})


def test_a_misspelt_key_is_answered_by_the_right_one(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("[local]\nmicrofone = 3\n")
    with pytest.raises(ConfigError, match="microphone"):
        load_settings(config_file=file)
