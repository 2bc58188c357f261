"""MCP servers in the settings: tables of a depth that no other setting has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.config import mcp
from hearsight.config.errors import ConfigError
from hearsight.config.mcp import McpServerSettings, name_problem, public_url, split_key
from hearsight.config.settings import load_settings

WEATHER = "[tools.mcp.weather]\nurl = 'http://127.0.0.1:8000/mcp'\n"


@pytest.fixture
def load(tmp_path):
    """Load a TOML text; where it is refused, the error names the file as FILE."""

    def load(text: str = "", **overrides):
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        try:
            return load_settings(config_file=path, overrides=overrides)
        except ConfigError as error:
            raise ConfigError(*(problem.replace(str(path), "FILE") for problem in error.problems)) from None

    return load


@pytest.fixture
def refused(load):
    def load_refused(text: str = "", **overrides) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text, **overrides)
        return list(caught.value.problems)

    return load_refused


def test_there_are_none_by_default():
    loaded = load_settings()
    assert loaded.settings.tools.mcp == {}
    assert loaded.shown()["tools.mcp"] == "none" and loaded.origins["tools.mcp"] == "default"


def test_a_command_with_arguments_and_variables(load):
    loaded = load(
        "[tools.mcp.files]\ncommand = 'npx'\nargs = ['-y', 'server', 8]\nenv = { TOKEN = 'hunter2', N = 4 }\n"
        "enabled = ['read']\ntimeout_s = 60\nconnect_timeout_s = 90\n"
    )
    files = loaded.settings.tools.mcp["files"]
    assert (files.command, files.args, files.enabled) == ("npx", ("-y", "server", "8"), ("read",))
    assert {name: value.get_secret_value() for name, value in files.env.items()} == {
        "TOKEN": "hunter2",
        "N": "4",
    }
    assert (files.timeout_s, files.connect_timeout_s, files.url) == (60, 90, None)


def test_what_is_shown_has_no_secrets(load):
    loaded = load(
        "[tools.mcp.a]\nurl = 'https://me:hunter2@example.org/mcp?key=hunter2'\n"
        "headers = { Authorization = 'hunter2' }\n"
        "[tools.mcp.b]\ncommand = 'x'\nenv = { TOKEN = 'hunter2' }\n"
    )
    shown = {key: value for key, value in loaded.shown().items() if key.startswith("tools.mcp")}
    assert shown == {
        "tools.mcp.a.url": "https://example.org/mcp?•••",
        "tools.mcp.a.headers": "Authorization: •••",
        "tools.mcp.a.confirm": "destructive",
        "tools.mcp.a.connect_timeout_s": "20.0",
        "tools.mcp.b.command": "x",
        "tools.mcp.b.env": "TOKEN: •••",
        "tools.mcp.b.confirm": "destructive",
        "tools.mcp.b.connect_timeout_s": "20.0",
    }
    assert "hunter2" not in repr(loaded)


def test_layers_add_to_each_other(load, monkeypatch):
    monkeypatch.setenv("HEARSIGHT_TOOLS__MCP__WEATHER__HEADERS", '{"Authorization": "Bearer abc"}')
    monkeypatch.setenv("HEARSIGHT_TOOLS__MCP__WEATHER__ENABLED", "today, tomorrow")
    monkeypatch.setenv("hearsight_tools__mcp__home_office__command", "office")
    monkeypatch.setenv("HEARSIGHT_TOOLS__MCP__HOME_OFFICE__ARGS", '["--port", "80"]')
    monkeypatch.setenv("HEARSIGHT_TOOLS__MCP__HOME_OFFICE__TIMEOUT_S", "")
    monkeypatch.setenv("HEARSIGHT_TOOLS__TIMEOUT_S", "7")
    loaded = load(WEATHER, **{"tools.mcp.weather.timeout_s": 5})
    weather, office = loaded.settings.tools.mcp.values()
    assert weather.url == "http://127.0.0.1:8000/mcp" and weather.enabled == ("today", "tomorrow")
    assert weather.headers["Authorization"].get_secret_value() == "Bearer abc"
    assert (weather.timeout_s, office.timeout_s) == (5, None)
    assert (office.command, office.args) == ("office", ("--port", "80"))
    assert loaded.settings.tools.timeout_s == 7
    assert loaded.origins["tools.mcp.weather.url"].startswith("file ")
    assert loaded.origins["tools.mcp.weather.timeout_s"] == "command line"
    variable = "environment HEARSIGHT_TOOLS__MCP__WEATHER__ENABLED"
    assert loaded.origins["tools.mcp.weather.enabled"] == variable
    assert loaded.origins["tools.mcp.weather.connect_timeout_s"] == "default"
    assert "tools.mcp" not in loaded.origins


def test_the_whole_table_can_be_given_at_once(load):
    loaded = load(WEATHER, **{"tools.mcp": {"clock": {"command": "clock"}}})
    assert set(loaded.settings.tools.mcp) == {"weather", "clock"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[tools.mcp.x]\n",
            "The MCP server x needs a command that starts it, or the url of one that runs already "
            "(tools.mcp.x.command by default, tools.mcp.x.url by default).",
        ),
        (
            "[tools.mcp.x]\ntimeout_s = 3\n",
            "The MCP server x needs a command that starts it, or the url of one that runs already "
            "(tools.mcp.x.command by default, tools.mcp.x.url by default).",
        ),
        (
            "[tools.mcp.x]\ncommand = 'c'\nurl = 'http://u'\n",
            "The MCP server x has both a command, which starts it, and the url of one that runs already; "
            "leave one of them out (tools.mcp.x.command from file FILE, tools.mcp.x.url from file FILE).",
        ),
        (
            "[tools.mcp.x]\nurl = 'http://u'\nargs = ['a']\n",
            "tools.mcp.x.args belong to a command (tools.mcp.x.args from file FILE, "
            "tools.mcp.x.url from file FILE).",
        ),
        (
            "[tools.mcp.x]\nurl = 'http://u'\nenv = { A = 'hunter2' }\n",
            "tools.mcp.x.env belong to a command (tools.mcp.x.env from file FILE, "
            "tools.mcp.x.url from file FILE).",
        ),
        (
            "[tools.mcp.x]\ncommand = 'c'\nheaders = { A = 'hunter2' }\n",
            "tools.mcp.x.headers belong to a url (tools.mcp.x.headers from file FILE, "
            "tools.mcp.x.command from file FILE).",
        ),
        (
            "[tools]\nmcp = 'http://u'\n",
            "tools.mcp (file FILE) holds MCP servers: write [tools.mcp.weather] and its settings below it.",
        ),
        (
            "[tools.mcp]\nurl = 'http://hunter2'\n",
            "tools.mcp.url (file FILE) must be a table: [tools.mcp] holds one for each MCP server, such as "
            "[tools.mcp.weather], and the server's settings stand below it.",
        ),
        (
            "[tools.mcp.Brave-Search]\nurl = 'http://u'\n",
            "tools.mcp.Brave-Search (file FILE): the name of an MCP server has at most 32 small letters, "
            "digits and single underscores, a letter first, because the names of its tools begin with it; "
            "brave_search would do.",
        ),
        (
            "[tools.mcp.x]\nurl = 'ftp://hunter2'\n",
            "tools.mcp.x.url (from file FILE) must be an address that begins with http:// or https://.",
        ),
        (
            "[tools.mcp.x]\ncommand = ''\n",
            "tools.mcp.x.command = '' (from file FILE) String should have at least 1 character.",
        ),
        (
            "[tools.mcp.x]\ncommand = 'c'\nargs = '-m server'\n",
            'tools.mcp.x.args = \'-m server\' (from file FILE) must be a list such as ["--port", "80"].',
        ),
        (
            "[tools.mcp.x]\ncommand = 'c'\nenv = 'hunter2'\n",
            'tools.mcp.x.env (from file FILE) must be a table of texts such as {"NAME": "value"}.',
        ),
        (
            "[tools.mcp.x]\nurl = 'http://u'\nheaders = { A = ['hunter2'] }\n",
            'tools.mcp.x.headers (from file FILE) must be a table of texts such as {"NAME": "value"}.',
        ),
        (
            "[tools.mcp.x]\ncommand = 'c'\nenv = { A = true }\n",
            "tools.mcp.x.env (from file FILE) should be a valid string.",
        ),
        (
            "[tools.mcp.x]\ncommand = 'c'\ntimeout_s = 0\n",
            "tools.mcp.x.timeout_s = 0 (from file FILE) should be greater than 0.",
        ),
        (
            "[tools.mcp.x]\ncommand = 'c'\nconnect_timeout_s = 10000\n",
            "tools.mcp.x.connect_timeout_s = 10000 (from file FILE) should be less than or equal to 600.",
        ),
        (
            "[tools.mcp.x]\ncommand = 'c'\nenabled = 3\n",
            "tools.mcp.x.enabled = 3 (from file FILE) should be a valid tuple.",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(text, problem, refused):
    assert refused(text) == [problem]
    assert "hunter2" not in problem


def test_a_misspelt_setting_is_recognised(refused):
    [problem] = refused("[tools.mcp.weather]\nulr = 'http://u'\n")
    assert problem.startswith(
        "tools.mcp.weather.ulr (file FILE) is not a setting; did you mean tools.mcp.weather.url? "
        "[tools.mcp.weather] can hold command, args, env, url, headers, enabled, confirm, timeout_s"
    )


@pytest.mark.parametrize("name", ["a.b", "", "1st", "a__b", "_a", "a_", "ä", "a b", "x" * 33])
def test_names_that_tools_could_not_begin_with_are_refused(name, refused):
    [problem] = refused(f"[tools.mcp.'{name}']\nurl = 'http://u'\n")
    assert problem.startswith(f"tools.mcp.{name} (file FILE): the name of an MCP server has")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HEARSIGHT_TOOLS__MCP", '{"x": {"url": "http://u"}}'),
        ("HEARSIGHT_TOOLS__MCP__WEATHER", '{"url": "http://u"}'),
        ("HEARSIGHT_TOOLS__MCP__WEATHER__ENV__TOKEN", "hunter2"),
        ("HEARSIGHT_TOOLS__MCP____URL", "http://u"),
    ],
)
def test_a_variable_of_another_shape_is_told_which_there_are(name, value, load, monkeypatch):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        load()
    assert str(caught.value) == (
        f"The environment variable {name} is not a setting; those of an MCP server are called like "
        "HEARSIGHT_TOOLS__MCP__WEATHER__URL. `hearsight config` lists all settings."
    )


def test_a_misspelt_variable_is_named(load, monkeypatch):
    monkeypatch.setenv("HEARSIGHT_TOOLS__MCP__WEATHER__ULR", "http://u")
    with pytest.raises(ConfigError, match="WEATHER__ULR.* is not a setting; did you mean .*weather.url"):
        load(WEATHER)


@pytest.mark.parametrize("setting", ["ENV", "HEADERS"])
def test_a_secret_in_a_variable_is_never_quoted(setting, load, monkeypatch):
    monkeypatch.setenv(f"HEARSIGHT_TOOLS__MCP__WEATHER__{setting}", '{"A": "hunter2"')
    with pytest.raises(ConfigError) as caught:
        load(WEATHER)
    assert "must be a table of texts" in str(caught.value) and "hunter2" not in str(caught.value)


@given(st.text(max_size=40))
def test_a_name_that_is_proposed_is_one_that_is_taken(name):
    problem = name_problem(name)
    if problem and "; " in problem:
        better = problem.rpartition("; ")[2].removesuffix(" would do")
        assert name_problem(better) is None


@given(
    st.from_regex(r"[a-z]+(_[a-z0-9]+){0,2}", fullmatch=True),
    st.sampled_from([*McpServerSettings.model_fields]),
)
def test_keys_come_apart_as_they_were_put_together(name, setting):
    [key] = mcp.flatten({name: {setting: 1}})
    assert split_key(key) == (name, setting)
    variable = "HEARSIGHT_" + key.upper().replace(".", "__")
    assert mcp.from_variables({variable: "v"}, "HEARSIGHT_", "__") == {key: (variable, "v")}


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("http://127.0.0.1:8000/mcp", "http://127.0.0.1:8000/mcp"),
        ("https://user:secret@example.org", "https://example.org"),
        ("https://example.org/mcp/?key=secret#secret", "https://example.org/mcp/?•••"),
    ],
)
def test_addresses_are_shown_without_keys(url, public):
    assert public_url(url) == public
