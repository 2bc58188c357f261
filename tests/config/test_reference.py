"""The reference names every setting, and says of each what it is."""

from __future__ import annotations

import re

import pytest

from hearsight.config import mcp
from hearsight.config.layers import section_class
from hearsight.config.reference import SERVER_NAME, Chapter, Setting, chapters, reference
from hearsight.config.settings import Settings, load_settings, setting_keys

ALL: list[Setting] = [setting for chapter in chapters() for setting in chapter.settings]
BY_KEY = {setting.key: setting for setting in ALL}
PAGE = reference()


def test_every_setting_is_in_the_reference_and_no_other():
    servers = f"{mcp.TABLE}.{SERVER_NAME}."
    assert {key for key in BY_KEY if not key.startswith(servers)} == set(setting_keys())
    own = {key.removeprefix(servers) for key in BY_KEY if key.startswith(servers)}
    assert own == set(mcp.McpServerSettings.model_fields)
    for key in BY_KEY:
        assert f"| `{key}`<br>" in PAGE


@pytest.mark.parametrize("setting", ALL, ids=lambda setting: setting.key)
def test_every_setting_says_what_it_means_what_it_may_be_and_what_it_is(setting):
    assert re.fullmatch(r"[A-Z`].*[.]", setting.meaning), setting.meaning
    assert setting.kind and setting.default
    assert "None" not in setting.kind + setting.default and "Path(" not in setting.default
    assert setting.variable == "HEARSIGHT_" + setting.key.upper().replace(".", "__")


def test_every_section_says_what_it_is_about():
    for chapter in chapters():
        assert isinstance(chapter, Chapter) and chapter.about.endswith("."), chapter.name
        assert f"## `{chapter.name}`" in PAGE


@pytest.mark.parametrize(
    ("key", "kind", "default"),
    [
        ("server.port", "whole number, 0 to 65,535", "`8765`"),
        ("turn.speculative", "true or false", "`true`"),
        ("turn.vad_threshold", "number, more than 0, less than 1", "`0.5`"),
        ("log.format", "one of `console`, `json`", "`console`"),
        ("server.tls", "`self-signed`", "unset"),
        ("server.api_keys", "list: secret", "none"),
        ("openai.api_key", "secret", "unset"),
        ("engine.script", "path", "unset"),
        ("server.allowed_origins", "list: text", "none"),
        ("recording.keep", "list: one of `audio`, `pictures`", "`audio, pictures`"),
        ("context.reserve_tokens", "whole number, at least 64", "`1024`"),
        (f"tools.mcp.{SERVER_NAME}.headers", "table of secrets", "none"),
    ],
)
def test_types_and_bounds_are_in_words(key, kind, default):
    assert (BY_KEY[key].kind, BY_KEY[key].default) == (kind, default)


def test_the_bounds_are_those_that_are_enforced():
    """Of every whole number with an upper bound, one more is refused."""
    checked = 0
    for setting in ALL:
        if found := re.search(r"whole number, [\d,]+ to ([\d,]+)", setting.kind):
            section, _, name = setting.key.rpartition(".")
            model = section_class(Settings.model_fields[section])
            with pytest.raises(ValueError, match="less than or equal"):
                model.model_validate({name: int(found[1].replace(",", "")) + 1})
            checked += 1
    assert checked > 10


def test_paths_are_those_of_whoever_reads_it():
    assert BY_KEY["models.cache_dir"].default.startswith("`~/")


def test_long_defaults_are_cut():
    assert len(BY_KEY["assistant.instructions"].default) < 70
    assert BY_KEY["assistant.instructions"].default.endswith("…`")


def test_no_cell_breaks_its_table():
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert len(rows) == len(ALL)
    for row in rows:
        assert row.count(" | ") == 3 and row.endswith(" |"), row


def test_the_variable_of_the_introduction_works(monkeypatch):
    assert "HEARSIGHT_SERVER__PORT=9000" in PAGE
    monkeypatch.setenv("HEARSIGHT_SERVER__PORT", "9000")
    assert load_settings().settings.server.port == 9000
