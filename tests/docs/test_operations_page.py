"""What the page on operations says is so."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from hearsight.compose import new_server
from hearsight.config.settings import load_settings, setting_keys
from hearsight.gpu_memory import NAME as GPU_MEMORY
from hearsight.options import server_options
from hearsight.streams.http import Readiness, readiness

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()


def section(title: str) -> str:
    return re.split(r"\n#{2,3} ", PAGE.split(f"# {title}\n")[1])[0]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def documented() -> dict[str, set[str]]:
    """Metrics of the table, and their labels."""
    found = {}
    for names, labels in re.findall(r"^\| (`hearsight_.*?) \| (.*?) \|", section("Metrics"), re.MULTILINE):
        for name in re.findall(r"`(\w+)`", names):
            found[name] = set(re.findall(r"`(\w+)`", labels))
    return found


def exported() -> dict[str, set[str]]:
    settings = load_settings().settings
    server = new_server(settings, server_options(settings), lambda *_: None)
    found = {GPU_MEMORY: {"device", "kind"}}
    for collector in server.metrics.registry._collector_to_names:
        if isinstance(collector, MetricWrapperBase):
            for metric in collector.describe():
                suffix = {"counter": "_total", "info": "_info"}.get(metric.type, "")
                found[metric.name + suffix] = set(collector._labelnames)
    found["hearsight_build_info"] |= {"version", "engine"}  # an info's labels are its values
    return found


def test_its_table_is_of_all_metrics_with_their_labels_and_of_no_other():
    assert documented() == exported()


def test_its_settings_exist():
    keys = set(setting_keys())
    sections = "|".join({key.partition(".")[0] for key in keys})
    named = set(re.findall(rf"`((?:{sections})\.[a-z0-9_]+)(?: = [^`]*)?`", PAGE))
    assert {"log.format", "log.level", "server.max_sessions"} <= named
    assert named <= keys, named - keys
    for block in blocks("toml"):
        for name, table in tomllib.loads(block).items():
            assert {f"{name}.{key}" for key in table} <= keys
    for name in re.findall(r"HEARSIGHT_[A-Z]+__[A-Z_]+", PAGE):
        assert name.removeprefix("HEARSIGHT_").replace("__", ".").lower() in keys


def test_the_answer_of_readyz_is_as_shown():
    state = Readiness()
    state.load("engine")
    shown = json.loads(next(block for block in blocks("json") if "ready" in block))
    assert json.loads(readiness(state, 0, 64).body) == shown
    table = section("Probes")
    for name in ("loading", "ready", "full", "overloaded", "draining"):
        assert f"| `{name}` |" in table


def loading_steps() -> set[str]:
    """What the composition says it loads."""
    tree = ast.parse((ROOT / "hearsight" / "compose.py").read_text())
    return {
        str(node.args[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "loading"
        if isinstance(node.args[0], ast.Constant)
    }


def test_it_names_everything_that_is_loaded():
    line = next(line for line in PAGE.splitlines() if line.startswith("| `loading` |"))
    named = set(re.findall(r"`(\w+)`", line)) - {"loading", "Retry"}
    assert named == loading_steps()


def stages_in_the_code() -> set[str]:
    found = {"endpointing", "first_clause"}
    for folder in ("agent", "streams", "hearsight"):
        for path in (ROOT / folder).glob("**/*.py"):
            found |= set(re.findall(r"\bstage\(\"(\w+)\"", path.read_text()))
    graph = (ROOT / "agent" / "graph.py").read_text()
    return found | set(re.findall(r"_as_stage\(\"(\w+)\"", graph))


def test_it_explains_every_stage():
    explained = set(re.findall(r"`(\w+)`", section("The stages of a turn")))
    assert stages_in_the_code() <= explained, stages_in_the_code() - explained


def test_its_files_exist():
    for name in re.findall(r"`(deploy/[\w/.]+|bench/[\w/.]+)`", PAGE):
        assert (ROOT / name).exists(), name
