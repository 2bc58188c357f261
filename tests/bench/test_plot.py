"""Charts."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))

import plot  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("highest", [0.03, 0.9, 1.0, 7.0, 10.0, 101.5, 1_382.0, 2_500.0])
def test_ticks_are_few_and_within_the_chart(highest: float) -> None:
    found = plot.ticks(highest)
    assert found[0] == 0
    assert highest / 2 < found[-1] <= highest
    assert 3 <= len(found) <= 7


def test_curves_and_marks_lie_within_the_frame(tmp_path: Path) -> None:
    path = tmp_path / "chart.svg"
    curves = {"a < b": [(200.0, 90.0), (800.0, 0.0)], "c": [(100.0, 50.0)]}
    plot.draw_curves(path, "Share, in %", "ms", curves, {"c": {"here & there": (1_000.0, 100.0)}})
    svg = ElementTree.parse(path).getroot()
    names = [text.text for text in svg.iter(f"{SVG}text")]
    assert {"a < b", "c", "here & there", "ms", "Share, in %"} <= set(names)
    [circle] = svg.iter(f"{SVG}circle")
    assert plot.LEFT < float(circle.attrib["cx"]) < plot.WIDTH - plot.RIGHT
    assert plot.TOP < float(circle.attrib["cy"]) < plot.HEIGHT - plot.BOTTOM
    line = next(svg.iter(f"{SVG}polyline")).attrib["points"]
    assert line.split()[-1].endswith(f",{plot.HEIGHT - plot.BOTTOM:.1f}")
