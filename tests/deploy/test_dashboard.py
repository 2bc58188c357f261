"""What the dashboard and the alerts ask for is what a running service exports."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from live_server import LiveServer
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from hearsight.asking import Question, ask

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "hearsight.json").read_text())
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
SCRAPING = DEPLOY / "prometheus" / "prometheus.yml"

GIVEN_BY_PROMETHEUS = {"up"}
ONLY_ON_A_GPU = {"hearsight_gpu_memory_bytes"}
ADDED_BY_PROMETHEUS = {"instance", "job", "le"}
SUFFIXES = {
    "counter": ["_total"],
    "gauge": [""],
    "histogram": ["_bucket", "_sum", "_count"],
    "info": ["_info"],
}
GPU_LABELS = {"device", "kind"}


def panels() -> list[dict]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def dashboard_queries() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def alerts() -> list[dict]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


QUERIES = [*dashboard_queries(), *(rule["expr"] for rule in alerts())]


def metrics_in(query: str) -> dict[str, set[str]]:
    """Names of the metrics that a query asks for, and the labels by which each is selected."""
    found: dict[str, set[str]] = {}
    for name, selector in re.findall(r"\b((?:hearsight|process|python)_\w+|up)\b(?:\{([^}]*)\})?", query):
        found.setdefault(name, set()).update(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))
    return found


def grouping_labels(query: str) -> set[str]:
    return {
        label.strip()
        for labels in re.findall(r"\b(?:by|ignoring|on)\s*\(([^)]*)\)", query)
        for label in labels.split(",")
    }


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> tuple[set[str], dict[str, set[str]]]:
    """Names that a service exports once it has given an answer, and their labels."""
    folder = tmp_path_factory.mktemp("dashboard")
    script = folder / "script.json"
    script.write_text(json.dumps({"steps": [{"say": "Hello."}], "transcripts": [], "captions": []}))
    overrides = {
        "engine.name": "scripted",
        "engine.script": str(script),
        "tools.memory_path": str(folder / "memory.sqlite"),
    }
    with LiveServer(overrides) as server:
        asyncio.run(ask(server.realtime, Question(text="Hi")))
        text = server.call(server.server.metrics.render).decode()
        collectors = server.call(lambda: list(server.server.metrics.registry._collector_to_names))
    names = {
        family.name + suffix
        for family in text_string_to_metric_families(text)
        for suffix in SUFFIXES.get(family.type, [""])
    }
    labels: dict[str, set[str]] = {}
    for collector in collectors:
        if isinstance(collector, MetricWrapperBase):
            for metric in collector.describe():
                for suffix in SUFFIXES[metric.type]:
                    labels[metric.name + suffix] = set(collector._labelnames)
    return names, labels


def test_it_asks_for_something():
    assert len(dashboard_queries()) > 30 and len(alerts()) >= 6
    assert len({name for query in QUERIES for name in metrics_in(query)}) > 20


@pytest.mark.parametrize("query", QUERIES)
def test_every_metric_of_every_query_is_exported(query, exported):
    names, labels = exported
    wanted = metrics_in(query)
    assert wanted
    for name, selected in wanted.items():
        assert name in names | GIVEN_BY_PROMETHEUS | ONLY_ON_A_GPU, name
        if name in labels or name in ONLY_ON_A_GPU:
            known = labels.get(name, GPU_LABELS) | ADDED_BY_PROMETHEUS
            assert selected <= known, (name, selected - known)
            assert grouping_labels(query) <= known, (name, grouping_labels(query) - known)


def test_panels_have_what_grafana_needs():
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    for panel in panels():
        assert panel["title"] and panel["description"].endswith("."), panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        for target in panel["targets"]:
            assert target["legendFormat"]


def test_panels_do_not_overlap():
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_alert_says_what_is_wrong_and_what_to_do():
    names = [rule["alert"] for rule in alerts()]
    assert len(names) == len(set(names))
    for rule in alerts():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["for"] and rule["annotations"]["summary"] and rule["annotations"]["description"]


def test_what_is_scraped_is_what_the_dashboard_and_the_alerts_call_it():
    [job] = yaml.safe_load(SCRAPING.read_text())["scrape_configs"]
    named = {name for query in QUERIES for name in re.findall(r'job="([^"]*)"', query)}
    assert named == {job["job_name"]}


def test_grafana_is_told_of_the_datasource_and_the_dashboards():
    provisioning = DEPLOY / "grafana" / "provisioning"
    [source] = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["type"] == "prometheus"
    [provider] = yaml.safe_load((provisioning / "dashboards" / "hearsight.yml").read_text())["providers"]
    assert provider["options"]["path"]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed")
@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "config", str(SCRAPING)],
        ["check", "rules", "--lint-fatal", str(ALERTS)],
        ["test", "rules", str(Path(__file__).parent / "alerts_test.yml")],
    ],
    ids=["config", "rules", "when they go off"],
)
def test_prometheus_itself_takes_the_files(arguments):
    result = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
