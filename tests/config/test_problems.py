"""What a person reads when a setting is wrong."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.config.errors import ConfigError
from hearsight.config.settings import load_settings, setting_keys
from hearsight.config.suggest import did_you_mean, listed


@pytest.fixture
def refused(tmp_path):
    """Load a TOML text that must be refused, and give back the problems and the file's path."""

    def load(text: str, **arguments) -> tuple[list[str], Path]:
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            load_settings(config_file=path, **arguments)
        return list(caught.value.problems), path

    return load


def test_a_misspelt_key_names_key_file_and_likely_meaning(refused):
    (problem,), path = refused("[server]\nprot = 9000\n")
    assert problem.startswith(f"server.prot (file {path}) is not a setting; did you mean server.port?")
    assert "allowed_origins" in problem


def test_a_key_in_the_wrong_section_is_found_where_it_belongs(refused):
    (problem,), _ = refused("[camera]\nport = 9000\n")
    assert "did you mean server.port?" in problem
    assert "[camera] can hold max_pixels" in problem


def test_a_key_without_its_section_is_found_where_it_belongs(refused):
    (problem,), _ = refused("port = 9000\n")
    assert problem.startswith("port (file ")
    assert "did you mean server.port?" in problem


def test_a_misspelt_section_is_named(refused):
    (problem,), _ = refused("[sever]\nport = 9000\n")
    assert "did you mean server.port?" in problem
    assert "The sections are engine, server" in problem


def test_a_section_that_is_no_table_is_told_so(refused):
    (problem,), path = refused("server = 9000\n")
    assert problem == f"server (file {path}) must be a table: write [server] and its settings below it."


def test_every_problem_is_told_at_once(refused):
    problems, _ = refused("[server]\nport = 99999\nmax_sessions = 0\n[log]\nlevel = 'loud'\n")
    assert [problem.split(" ")[0] for problem in problems] == [
        "server.port",
        "server.max_sessions",
        "log.level",
    ]


def test_a_value_out_of_range_names_value_origin_and_bound(refused):
    (problem,), path = refused("[server]\nport = 99999\n")
    assert problem == f"server.port = 99999 (from file {path}) should be less than or equal to 65535."


def test_a_value_of_the_wrong_kind_is_quoted(refused):
    (problem,), _ = refused("[turn]\nspeculative = 'maybe'\n")
    assert problem.startswith("turn.speculative = 'maybe' (from file ")
    assert "valid boolean" in problem


def test_a_choice_lists_the_others_and_the_nearest(refused):
    (problem,), _ = refused("[engine]\nname = 'gema3n'\n")
    assert "should be 'embedded', 'gemma3n', 'openai' or 'scripted'; did you mean gemma3n?" in problem


def test_a_wrong_member_of_a_list_is_named(refused):
    (problem,), _ = refused("[tools]\nenabled = ['get_time', 'lok']\n")
    assert problem.startswith("tools.enabled = 'lok'")
    assert problem.endswith("did you mean look?")


def test_an_override_is_called_the_command_line(refused):
    (problem,), _ = refused("", overrides={"server.prt": 1})
    assert problem.startswith("server.prt (command line) is not a setting; did you mean server.port?")


def test_an_unknown_variable_is_refused(monkeypatch):
    monkeypatch.setenv("HEARSIGHT_SERVER__PROT", "1")
    with pytest.raises(ConfigError, match=r"SERVER__PROT is not a .* mean HEARSIGHT_SERVER__PORT\?"):
        load_settings()


def test_a_variable_with_one_underscore_too_few_is_refused(monkeypatch):
    monkeypatch.setenv("HEARSIGHT_SERVER_PORT", "1")
    with pytest.raises(ConfigError, match=r"did you mean HEARSIGHT_SERVER__PORT\?"):
        load_settings()


def test_a_wrong_value_in_the_environment_names_the_variable(monkeypatch):
    monkeypatch.setenv("HEARSIGHT_SERVER__PORT", "many")
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert "server.port = 'many' (from environment HEARSIGHT_SERVER__PORT)" in str(caught.value)


@pytest.mark.parametrize("value", ["[1, 2", '["hunter2"', '[{"hunter2": 1}]'])
def test_a_secret_is_never_quoted(value, monkeypatch):
    monkeypatch.setenv("HEARSIGHT_SERVER__API_KEYS", value)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert "server.api_keys (from environment HEARSIGHT_SERVER__API_KEYS)" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_an_unknown_preset_lists_the_shipped_ones():
    with pytest.raises(ConfigError, match="did you mean gemma3n.*default, gemma3n or vllm"):
        load_settings(preset="gemma")


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_settings(config_file=tmp_path / "none.toml")


def test_broken_toml_names_the_place(refused):
    (problem,), path = refused("[server]\nport == 1\n")
    assert problem.startswith(f"The configuration file {path} is not valid TOML: ")
    assert "line 2" in problem


def test_a_file_that_is_no_text_is_told(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load_settings(config_file=path)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("[engine]\nname = 'scripted'\n", ["engine.name", "engine.script"]),
        ("[turn]\nshort_silence_ms = 900\n", ["turn.short_silence_ms", "turn.long_silence_ms"]),
        ("[turn]\nspeculate_after_ms = 400\n", ["turn.speculate_after_ms", "turn.short_silence_ms"]),
        ("[camera]\nduplicate_threshold = 0.5\n", ["camera.duplicate_threshold", "camera.change_threshold"]),
        ("[context]\nreserve_tokens = 20000\n", ["context.reserve_tokens", "context.max_tokens"]),
        (
            "[assistant]\nmax_output_tokens = 2000\n",
            ["assistant.max_output_tokens", "context.reserve_tokens"],
        ),
    ],
)
def test_settings_that_contradict_each_other_name_both_and_their_origins(text, keys, refused):
    (problem,), path = refused(text)
    for key in keys:
        assert f"{key} from file {path}" in problem or f"{key} by default" in problem


@given(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12))
def test_no_unknown_key_passes(name):
    key = f"server.{name}"
    if key not in setting_keys():
        with pytest.raises(ConfigError):
            load_settings(overrides={key: 1})


@given(st.sampled_from(setting_keys()), st.data())
def test_a_key_with_one_letter_lost_is_recognised(key, data):
    section, _, name = key.partition(".")
    at = data.draw(st.integers(0, len(name) - 1))
    slip = f"{section}.{name[:at]}{name[at + 1 :]}"
    if slip not in setting_keys():
        with pytest.raises(ConfigError, match="did you mean"):
            load_settings(overrides={slip: 1})


def test_lists_read_as_sentences():
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b or c"


def test_nothing_is_proposed_where_nothing_is_near():
    assert did_you_mean("zebra", ["port", "host"]) == ""
