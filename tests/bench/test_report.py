"""The page of results."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))

import report  # noqa: E402


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(report, "PAGE", tmp_path / "benchmarks.md")
    return tmp_path / "benchmarks.md"


def result(part: str, heading: str) -> report.Result:
    table = report.Table("Cats | dogs", ("pet", "legs"), [("cat | lynx", "4")])
    return report.Result(part, heading, "Counted.", [table], ["All have four."], {"legs": 4})


def test_a_part_replaces_its_own_section_and_keeps_the_others(page: Path) -> None:
    report.save(result("sessions", "Sessions"))
    report.save(result("latency", "Latency before"))
    report.save(result("latency", "Latency now"))
    text = page.read_text(encoding="utf-8")
    assert text.index("## Latency now") < text.index("## Sessions")
    assert "before" not in text
    assert "| cat \\| lynx | 4 |" in text
    assert "- All have four." in text
    assert "cores" in text
    assert json.loads((page.parent / "results" / "latency.json").read_text())["data"] == {"legs": 4}


def test_percentiles_lie_between_neighbours() -> None:
    assert report.percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert report.percentile([1.0, 2.0], 50) == 1.5
    assert report.percentile([5.0], 99) == 5.0
    assert math.isnan(report.percentile([], 50))
