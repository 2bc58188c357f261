"""What doctor says of MCP servers, asking real ones."""

from __future__ import annotations

import json

import pytest
from mcp_http import STDIO
from typer.testing import CliRunner

import hearsight.tools.mcp  # noqa: F401  (bound to the standard error of all tests, not to one command's)
from hearsight.cli import app
from hearsight.config.settings import load_settings
from hearsight.findings import Finding
from hearsight.mcp_checks import check_mcp


def check(**servers) -> list[Finding]:
    return list(check_mcp(load_settings(overrides={"tools.mcp": servers}).settings))


def test_without_servers_there_is_nothing_to_say():
    assert check() == []


def test_a_server_that_is_there_is_shown_with_its_tools():
    assert check(home={**STDIO, "enabled": ["forecast", "pid"]}) == [
        Finding("mcp, home", "ok", "2 of 15 tools: home_forecast, home_pid")
    ]


def test_every_server_has_its_line(unused_tcp_port):
    url = f"http://me:hunter2@127.0.0.1:{unused_tcp_port}/mcp?key=hunter2"
    findings = check(
        all={**STDIO},
        gone={"command": "no-such-program", "args": ["--of", "this machine"]},
        off={"url": url},
        odd={**STDIO, "enabled": ["pid", "forcast"]},
        none={**STDIO, "enabled": []},
    )
    assert [finding.check.removeprefix("mcp, ") for finding in findings] == [
        "all",
        "gone",
        "off",
        "odd",
        "none",
    ]
    everything, gone, off, odd, none = findings
    assert everything.status == "ok" and everything.found.startswith("15 tools: all_forecast, ")
    assert gone == Finding(
        "mcp, gone",
        "note",
        "not available: its command was not found",
        "Run it by hand to see what it says: `no-such-program --of 'this machine'`; its settings are "
        "tools.mcp.gone.command and .args.",
    )
    assert off == Finding(
        "mcp, off",
        "note",
        "not available: nothing answers at its url",
        f"See that it runs at http://127.0.0.1:{unused_tcp_port}/mcp?•••, or correct tools.mcp.off.url and "
        ".headers.",
    )
    assert (odd.status, odd.mend) == ("note", "See tools.mcp.odd.enabled.")
    assert odd.found.endswith("odd_pid; the server has no tool forcast; did you mean forecast?")
    assert (none.status, none.found) == ("note", "no tools")


def test_without_the_packages_nobody_is_asked(installation):
    installation("langchain-mcp-like; extra == 'mcp'")
    assert check(home={**STDIO}) == [
        Finding("mcp, home", "note", "not asked: packages are missing", "Run `pip install 'hearsight[mcp]'`.")
    ]


@pytest.mark.parametrize("command", [STDIO["command"], "no-such-program"])
def test_doctor_asks_them_and_a_missing_one_is_no_failure(command, model_cache, tmp_path):
    (tmp_path / "mine.toml").write_text(
        f"[server]\nport = 0\n[tools.mcp.home]\ncommand = '{command}'\nargs = {json.dumps(STDIO['args'])}\n"
    )
    result = CliRunner().invoke(app, ["doctor", "--json", "--config", str(tmp_path / "mine.toml")])
    assert result.exit_code == 0, result.output
    [line] = [each for each in json.loads(result.stdout)["findings"] if each["check"] == "mcp, home"]
    assert line["status"] == ("note" if command == "no-such-program" else "ok")
