"""`hearsight config` as a person and as a script sees it."""

import io

import pytest
from rich.console import Console

from hearsight.config.settings import load_settings, setting_keys
from hearsight.config_command import show_config


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in ("HEARSIGHT_PRESET", "HEARSIGHT_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def printed(loaded, *, terminal=False, **options) -> str:
    stream = io.StringIO()
    show_config(
        loaded, Console(file=stream, force_terminal=terminal, width=120, color_system=None), **options
    )
    return stream.getvalue()


def test_a_script_gets_one_line_a_setting():
    lines = printed(load_settings()).splitlines()
    assert [line.split("\t")[0] for line in lines] == list(setting_keys())
    assert {len(line.split("\t")) for line in lines} == {3}
    assert "server.port\t8765\tdefault" in lines
    assert "engine.name\tembedded\tpreset default.toml" in lines


def test_a_value_of_several_lines_stays_one_line_for_a_script():
    lines = printed(load_settings(overrides={"assistant.instructions": "one\ntwo"})).splitlines()
    assert "assistant.instructions\tone\\ntwo\tcommand line" in lines


def test_origins_follow_the_layers(monkeypatch):
    monkeypatch.setenv("HEARSIGHT_SERVER__PORT", "9001")
    lines = printed(load_settings(overrides={"log.level": "debug"})).splitlines()
    assert "server.port\t9001\tenvironment HEARSIGHT_SERVER__PORT" in lines
    assert "log.level\tdebug\tcommand line" in lines


def test_only_what_differs_can_be_asked_for():
    lines = printed(load_settings(preset="vllm"), changed_only=True).splitlines()
    assert lines
    assert all(line.endswith("preset vllm.toml") for line in lines)


def test_a_terminal_gets_a_table_of_everything():
    text = printed(load_settings(), terminal=True)
    assert text.split()[:3] == ["setting", "value", "from"]
    for key in setting_keys():
        assert key in text
    assert "preset default.toml" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_secrets_are_masked(terminal):
    loaded = load_settings(overrides={"server.api_keys": ["hunter2"], "openai.api_key": "swordfish"})
    text = printed(loaded, terminal=terminal)
    assert "hunter2" not in text and "swordfish" not in text
    assert "•••" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_brackets_in_a_value_are_no_markup(terminal):
    loaded = load_settings(overrides={"assistant.instructions": "say [red]this[/red] [/]"})
    assert "[red]this[/red] [/]" in printed(loaded, terminal=terminal)
