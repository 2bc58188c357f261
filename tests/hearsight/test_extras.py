"""What is installed, told from the metadata of an installation."""

import sys
import tomllib
from pathlib import Path

import pytest
import structlog

from hearsight.config.engines import EngineSettings
from hearsight.config.errors import StartupError
from hearsight.config.settings import load_settings
from hearsight.extras import (
    CORE,
    ENGINES,
    Package,
    missing_from,
    packages_of,
    require_engine,
    require_tools,
    traces_wanted,
)


def test_packages_are_told_apart_by_extra(installation):
    installation(
        "numpy-like>=2,<3",
        "tz-like; sys_platform != 'emptiness'",
        "ocr-like==3.10.0; extra == 'embedded'",
        "sound-like>=1; extra == 'local'",
        "windows-like; sys_platform == 'emptiness'",
        numpy_like="2.5",
        ocr_like="3.9.0",
    )
    assert packages_of(CORE) == [
        Package("numpy-like", "<3,>=2", "2.5", fits=True),
        Package("tz-like", "", None, fits=False),
    ]
    assert packages_of("embedded") == [Package("ocr-like", "==3.10.0", "3.9.0", fits=False)]
    assert packages_of("local") == [Package("sound-like", ">=1", None, fits=False)]
    assert packages_of("none") == []
    assert missing_from("local") == ["sound-like"]
    assert missing_from("embedded") == []


def test_an_engine_without_its_packages_comes_with_the_way_to_get_them(installation):
    installation("ear>=1; extra == 'embedded'", "mouth; extra == 'embedded'")
    with pytest.raises(StartupError) as caught:
        require_engine(load_settings().settings)
    assert str(caught.value) == (
        "The embedded engine needs packages that are not installed (ear, mouth): "
        "run `pip install 'hearsight[embedded]'`."
    )


def test_the_scripted_engine_needs_no_extra(installation, script, scripted):
    installation("ear>=1; extra == 'embedded'")
    require_engine(scripted(script()))


def test_mcp_servers_without_their_packages_come_with_the_way_to_get_them(installation):
    installation("protocol-like>=1; extra == 'mcp'")
    require_tools(load_settings().settings)
    with pytest.raises(StartupError) as caught:
        require_tools(load_settings(overrides={"tools.mcp.x.command": "x"}).settings)
    assert str(caught.value) == (
        "The MCP servers in the settings (tools.mcp) need packages that are not installed (protocol-like): "
        "run `pip install 'hearsight[mcp]'`."
    )


def test_every_engine_of_the_settings_is_known_and_its_extra_exists():
    names = EngineSettings.model_fields["name"].annotation.__args__
    assert set(ENGINES) == set(names)
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert set(filter(None, ENGINES.values())) <= set(project["project"]["optional-dependencies"])


def test_this_very_installation_has_its_core():
    assert "hearsight" not in sys.argv  # the metadata of the working tree, not of a fixture
    assert {"numpy", "websockets", "pydantic"} <= {package.name for package in packages_of(CORE)}
    assert missing_from(CORE) == []


COLLECTOR = {"traces.endpoint": "http://127.0.0.1:4318"}


def test_turns_are_traced_where_a_receiver_is_named(installation):
    installation("spans>=1; extra == 'traces'", spans="1.2")
    plain, named = load_settings().settings, load_settings(overrides=COLLECTOR).settings
    assert not traces_wanted(plain, {})
    assert traces_wanted(named, {})
    for variable in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        assert traces_wanted(plain, {variable: "http://127.0.0.1:4318"})
        assert not traces_wanted(plain, {variable: ""})
    for off in ({"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}):
        assert not traces_wanted(named, off)


def test_traces_without_their_packages_come_with_the_way_to_get_them(installation):
    installation("spans>=1; extra == 'traces'")
    with pytest.raises(StartupError) as caught:
        traces_wanted(load_settings(overrides=COLLECTOR).settings, {})
    assert str(caught.value) == (
        "Traces (traces.endpoint) need packages that are not installed (spans): "
        "run `pip install 'hearsight[traces]'`."
    )


def test_a_variable_that_may_be_meant_for_other_programs_keeps_nothing_from_starting(installation):
    installation("spans>=1; extra == 'traces'")
    with structlog.testing.capture_logs() as lines:
        assert not traces_wanted(load_settings().settings, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"})
    [line] = lines
    assert line["log_level"] == "warning" and "pip install 'hearsight[traces]'" in line["reason"]
