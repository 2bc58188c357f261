"""What the page on tools says of MCP servers is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hearsight.config.layers import ENV_DELIMITER, ENV_PREFIX
from hearsight.config.mcp import McpServerSettings, from_variables
from hearsight.config.settings import load_settings
from hearsight.tools.calls import MAX_CONTENT_BYTES

PAGE = (Path(__file__).parents[2] / "docs" / "tools.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in ("HEARSIGHT_PRESET", "HEARSIGHT_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def test_the_settings_that_it_shows_are_accepted(tmp_path):
    [block] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "mine.toml").write_text(block, encoding="utf-8")
    servers = load_settings(config_file=tmp_path / "mine.toml").settings.tools.mcp
    assert [bool(server.command) for server in servers.values()] == [True, False]


def test_every_setting_has_its_place_in_the_table():
    [table] = re.findall(r"\| setting \|.*?\n\n", PAGE, re.DOTALL)
    rows = table.strip().splitlines()[2:]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named == set(McpServerSettings.model_fields)
    assert f"| {McpServerSettings.model_fields['connect_timeout_s'].default} |" in table


def test_the_variable_that_it_shows_is_one():
    [(name, value)] = re.findall(r"`(HEARSIGHT_\w+)='(.*?)'`", PAGE)
    [key] = from_variables({name: value}, ENV_PREFIX, ENV_DELIMITER)
    assert key == "tools.mcp.home.headers"


def test_the_bound_of_a_result_is_the_one_that_holds():
    assert f"at most {MAX_CONTENT_BYTES // 1024} KiB" in PAGE
