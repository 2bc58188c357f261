"""How settings are found: the order of the layers, the origins, and what is shown."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from hearsight.config import layers
from hearsight.config.conversation import ALL_TOOLS
from hearsight.config.errors import ConfigError
from hearsight.config.settings import Settings, load_settings, setting_keys, show_value


@pytest.fixture
def toml(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_without_anything_the_default_preset_and_the_defaults_hold():
    loaded = load_settings()
    assert loaded.settings.engine.name == "embedded"
    assert loaded.origins["engine.name"] == "preset default.toml"
    assert loaded.settings.server.port == 8765
    assert loaded.origins["server.port"] == "default"


def test_every_key_has_an_origin_and_is_shown_in_order():
    loaded = load_settings()
    assert tuple(loaded.origins) == setting_keys() == tuple(loaded.shown())


def test_each_layer_overrides_the_ones_before_it(toml, monkeypatch):
    path = toml("[openai]\nmodel = 'from file'\n[server]\nport = 1001\nmax_sessions = 2\n")
    assert load_settings(preset="vllm").settings.server.max_sessions == 256

    loaded = load_settings(preset="vllm", config_file=path)
    assert (loaded.settings.server.max_sessions, loaded.settings.server.port) == (2, 1001)

    monkeypatch.setenv("HEARSIGHT_SERVER__PORT", "1002")
    loaded = load_settings(preset="vllm", config_file=path)
    assert loaded.settings.server.port == 1002
    assert loaded.origins["server.port"] == "environment HEARSIGHT_SERVER__PORT"

    loaded = load_settings(preset="vllm", config_file=path, overrides={"server.port": 1003})
    assert loaded.settings.server.port == 1003
    assert loaded.origins["server.port"] == "command line"
    assert loaded.origins["server.max_sessions"] == loaded.origins["openai.model"] == f"file {path}"
    assert loaded.origins["engine.name"] == "preset vllm.toml"
    assert loaded.origins["server.host"] == "default"


def test_flags_that_were_not_given_change_nothing():
    loaded = load_settings(overrides={"server.port": None, "server.host": None})
    assert loaded.settings == load_settings().settings
    assert loaded.origins["server.port"] == "default"


def test_preset_and_file_can_be_named_by_the_environment(toml, monkeypatch):
    monkeypatch.setenv("HEARSIGHT_PRESET", "gemma3n")
    monkeypatch.setenv("HEARSIGHT_CONFIG", str(toml("[log]\nlevel = 'debug'\n")))
    loaded = load_settings()
    assert loaded.settings.engine.name == "gemma3n"
    assert loaded.settings.log.level == "debug"


def test_arguments_win_over_preset_and_file_of_the_environment(toml, monkeypatch):
    monkeypatch.setenv("HEARSIGHT_PRESET", "gemma3n")
    monkeypatch.setenv("HEARSIGHT_CONFIG", "/nowhere.toml")
    loaded = load_settings(preset="vllm", config_file=toml(""))
    assert loaded.settings.engine.name == "openai"


@pytest.mark.parametrize("name", layers.PRESETS)
def test_shipped_presets_load_and_say_only_what_is_a_setting(name):
    loaded = load_settings(preset=name)
    text = (Path(layers.__file__).parent / f"{name}.toml").read_text(encoding="utf-8")
    for section, table in tomllib.loads(text).items():
        for key in table:
            assert loaded.origins[f"{section}.{key}"] == f"preset {name}.toml"


def test_no_preset_file_is_forgotten():
    shipped = {path.stem for path in Path(layers.__file__).parent.glob("*.toml")} - {"models"}
    assert shipped == set(layers.PRESETS)


def test_an_empty_variable_counts_as_unset(monkeypatch):
    monkeypatch.setenv("HEARSIGHT_SERVER__PORT", "")
    assert load_settings().origins["server.port"] == "default"


def test_variables_are_read_whatever_their_case(monkeypatch):
    monkeypatch.setenv("hearsight_server__port", "1234")
    assert load_settings().settings.server.port == 1234


@pytest.mark.parametrize(
    "text",
    [
        '["https://a.example", "https://b.example"]',
        "https://a.example,https://b.example",
        " https://a.example , https://b.example,",
    ],
)
def test_lists_in_the_environment_are_json_or_separated_by_commas(text, monkeypatch):
    monkeypatch.setenv("HEARSIGHT_SERVER__ALLOWED_ORIGINS", text)
    assert load_settings().settings.server.allowed_origins == ("https://a.example", "https://b.example")


@given(st.lists(st.text(st.characters(exclude_characters=",[", categories=["L", "N", "P"]), min_size=1)))
def test_any_list_of_names_survives_the_comma_form(names):
    assert Settings(server={"allowed_origins": ",".join(names)}).server.allowed_origins == tuple(names)


def test_settings_made_directly_ignore_the_environment(monkeypatch):
    monkeypatch.setenv("HEARSIGHT_SERVER__PORT", "1234")
    assert Settings().server.port == 8765


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError):
        Settings().server.port = 1


def test_secrets_are_readable_in_code_and_masked_when_shown(monkeypatch):
    monkeypatch.setenv("HEARSIGHT_SERVER__API_KEYS", "hunter2,swordfish")
    monkeypatch.setenv("HEARSIGHT_OPENAI__API_KEY", "correct-horse")
    loaded = load_settings()
    assert [key.get_secret_value() for key in loaded.settings.server.api_keys] == ["hunter2", "swordfish"]
    shown = loaded.shown()
    assert shown["server.api_keys"] == "•••, •••"
    assert shown["openai.api_key"] == "•••"
    for secret in ("hunter2", "swordfish", "correct-horse"):
        assert secret not in repr(loaded)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "unset"),
        (True, "true"),
        (0.5, "0.5"),
        ((), "none"),
        (("a", "b"), "a, b"),
        (SecretStr("x"), "•••"),
    ],
)
def test_values_are_shown_as_people_write_them(value, shown):
    assert show_value(value) == shown


def test_paths_may_begin_with_the_home_folder(toml, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    loaded = load_settings(config_file=toml("[models]\ncache_dir = '~/models'\n"))
    assert loaded.settings.models.cache_dir == tmp_path / "models"


def test_default_paths_follow_the_users_folders(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    settings = load_settings().settings
    assert settings.models.cache_dir == tmp_path / "cache" / "hearsight" / "models"
    assert settings.tools.memory_path.parent == tmp_path / "data" / "hearsight"
    assert settings.server.keys_file == tmp_path / "data" / "hearsight" / "keys.json"


def test_every_key_is_described_with_its_unit():
    for section in Settings.model_fields.values():
        for name, field in layers.section_class(section).model_fields.items():
            assert field.description and field.description.endswith("."), name
            for suffix, unit in (("_ms", "illiseconds"), ("_bytes", "bytes"), ("_tokens", "okens")):
                if name.endswith(suffix) and name != "audio_tokens":
                    assert unit in field.description, name
            if name.endswith("_s") and not name.endswith("_per_s"):
                assert "econds" in field.description, name


def test_the_embedded_preset_leaves_out_what_confuses_its_small_model_and_nothing_else():
    enabled = load_settings().settings.tools.enabled
    assert set(ALL_TOOLS) - set(enabled) == {"watch", "stop_watching"}
    assert load_settings(preset="gemma3n").settings.tools.enabled == ALL_TOOLS


@pytest.mark.parametrize("phrase", ["hey", "a b", "1234567"])
def test_a_wake_phrase_must_be_told_from_other_words(phrase):
    with pytest.raises(ConfigError, match="too short to be told from other words"):
        load_settings(overrides={"wake.phrases": [phrase]})
