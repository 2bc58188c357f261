"""Settings of recordings."""

from __future__ import annotations

from pathlib import Path

import pytest

from hearsight.config.errors import ConfigError
from hearsight.config.settings import Settings, load_settings


def test_nothing_is_recorded_unless_it_is_asked_for():
    recording = Settings().recording
    assert recording.enabled is False and recording.keep == ("audio", "pictures")
    assert recording.folder.name == "recordings" and recording.folder.is_absolute()


def test_what_is_kept_can_be_a_list_of_names(monkeypatch):
    monkeypatch.setenv("HEARSIGHT_RECORDING__KEEP", "audio")
    monkeypatch.setenv("HEARSIGHT_RECORDING__ENABLED", "true")
    monkeypatch.setenv("HEARSIGHT_RECORDING__FOLDER", "~/talks")
    recording = load_settings().settings.recording
    assert (recording.enabled, recording.keep, recording.folder) == (True, ("audio",), Path.home() / "talks")


def test_nothing_has_to_be_kept(tmp_path):
    (tmp_path / "mine.toml").write_text("[recording]\nkeep = []\n")
    assert load_settings(config_file=tmp_path / "mine.toml").settings.recording.keep == ()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("keep", ["video"], "recording.keep"),
        ("max_session_bytes", 10, "recording.max_session_bytes"),
        ("max_age_days", 0, "recording.max_age_days"),
        ("folders", "x", "did you mean recording.folder?"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(key, value, message):
    with pytest.raises(ConfigError, match=message.replace(".", r"\.").replace("?", r"\?")):
        load_settings(overrides={f"recording.{key}": value})


def test_one_recording_has_to_fit_into_the_room_of_all():
    with pytest.raises(ConfigError, match="recording.max_session_bytes must be at most"):
        load_settings(overrides={"recording.max_total_bytes": 2_000_000})
