"""What docs/scaling.md says can be set and run, can be."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import yaml
from typer.main import get_command

from hearsight.agent.models.openai.conversation import SESSION_HEADER
from hearsight.agent.models.openai.media import MAX_BYTES
from hearsight.agent.models.openai.read_ahead import FORGOTTEN_AFTER_S, WORTH_READING_TOKENS
from hearsight.cli import app
from hearsight.config.settings import load_settings, setting_keys

PAGE = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_its_settings_are_accepted(tmp_path):
    for block in blocks("toml"):
        tomllib.loads(block)
        (tmp_path / "mine.toml").write_text(block)
        assert load_settings(config_file=tmp_path / "mine.toml").settings.engine.name == "openai"


def test_settings_that_it_names_exist():
    named = set(re.findall(r"`((?:openai|server|conversations)\.[a-z_]+)[` =]", PAGE))
    assert len(named) > 6
    assert named <= set(setting_keys())


def test_its_commands_exist():
    lines = [line for block in blocks("sh") for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`(hearsight [^`]+)`", PAGE)
    commands = [words for line in lines if (words := shlex.split(line, comments=True))[:1] == ["hearsight"]]
    assert len(commands) >= 4
    for words in commands:
        command = get_command(app).commands[words[1]]
        flags = {flag for parameter in command.params for flag in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= flags


def test_its_numbers_are_the_program_s():
    assert f"if {WORTH_READING_TOKENS} tokens or more" in PAGE
    assert f"for {FORGOTTEN_AFTER_S:g} s" in PAGE
    assert f"within {MAX_BYTES // 2**20} MiB" in PAGE
    assert f"`{SESSION_HEADER}`" in PAGE


def test_the_rule_of_the_adapter_is_yaml():
    [rule] = blocks("yaml")
    [series] = yaml.safe_load(rule)["rules"]
    assert series["seriesQuery"].startswith("hearsight_sessions{")
