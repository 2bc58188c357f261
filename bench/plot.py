"""Small line charts as SVG, so that no plotting library is needed for them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 60, 240, 40, 50
COLOURS = ("#c0392b", "#d68910", "#1f7a8c", "#2e7d32")
_STYLE = "font-family='sans-serif' font-size='13' fill='#333'"


def draw_lines(
    path: Path, title: str, x_label: str, xs: Sequence[float], lines: Mapping[str, Sequence[float]]
) -> None:
    """Draw lines over common places, from zero upwards, each named at its end.

    Args:
        path: The SVG file.
        title: Above it, with the unit of the values.
        x_label: Below it.
        xs: The places, ascending.
        lines: Values at the places, by name.
    """
    top = max(max(values) for values in lines.values()) * 1.05
    across, up = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(value: float) -> float:
        return LEFT + across * value / max(xs)

    def y(value: float) -> float:
        return TOP + up * (1 - value / top)

    parts = _frame(title, x_label)
    for number in range(5):
        value = top * number / 4
        parts += [
            f"<line x1='{LEFT}' x2='{LEFT + across}' y1='{y(value):.1f}' y2='{y(value):.1f}' stroke='#ddd'/>",
            f"<text x='{LEFT - 8}' y='{y(value) + 4:.1f}' {_STYLE} text-anchor='end'>{value:.0f}</text>",
        ]
    for place in xs:
        parts.append(
            f"<text x='{x(place):.1f}' y='{HEIGHT - 32}' {_STYLE} text-anchor='middle'>{place:g}</text>"
        )
    labels_end = TOP - 20.0
    order = sorted(lines, key=lambda name: -lines[name][-1])
    for name, colour in zip(order, COLOURS, strict=False):
        values = lines[name]
        points = " ".join(f"{x(place):.1f},{y(value):.1f}" for place, value in zip(xs, values, strict=True))
        labels_end = max(y(values[-1]) + 4, labels_end + 18)
        parts += [
            f"<polyline points='{points}' fill='none' stroke='{colour}' stroke-width='2.5'/>",
            f"<text x='{LEFT + across + 10}' y='{labels_end:.1f}' {_STYLE} style='fill:{colour}'>"
            f"{escape(name)}</text>",
        ]
    parts.append("</svg>")
    path.write_text("\n".join(parts) + "\n", encoding="utf-8")


def draw_curves(
    path: Path,
    title: str,
    x_label: str,
    curves: Mapping[str, Sequence[tuple[float, float]]],
    marks: Mapping[str, Mapping[str, tuple[float, float]]],
) -> None:
    """Draw curves from zero upwards on both axes, each with places of its own, and single points beside them.

    Args:
        path: The SVG file.
        title: Above it, with the unit of the values.
        x_label: Below it.
        curves: Points (x, y) in order, by name.
        marks: Points (x, y) by their names, by the curve whose colour they take.
    """
    points = [point for curve in curves.values() for point in curve]
    points += [point for marked in marks.values() for point in marked.values()]
    right, top = (max(values) * 1.05 for values in zip(*points, strict=True))
    across, up = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(value: float) -> float:
        return LEFT + across * value / right

    def y(value: float) -> float:
        return TOP + up * (1 - value / top)

    parts = _frame(title, x_label)
    for height in ticks(top):
        parts += [
            f"<path d='M{LEFT} {y(height):.1f}h{across}' stroke='#ddd'/>",
            f"<text x='{LEFT - 8}' y='{y(height) + 4:.1f}' {_STYLE} text-anchor='end'>{height:,g}</text>",
        ]
    for place in ticks(right):
        parts.append(
            f"<text x='{x(place):.1f}' y='{HEIGHT - 32}' {_STYLE} text-anchor='middle'>{place:,g}</text>"
        )
    # The names of neighbours' points stand on opposite sides, so that they do not cover each other.
    sides = {
        name: (-8, 16, "end") if index % 2 == 0 else (8, -5, "start") for index, name in enumerate(marks)
    }
    for index, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[index % len(COLOURS)]
        line = " ".join(f"{x(place):.1f},{y(value):.1f}" for place, value in curve)
        parts += [
            f"<polyline points='{line}' fill='none' stroke='{colour}' stroke-width='2.5'/>",
            f"<text x='{LEFT + across + 10}' y='{TOP + 14 + 20 * index}' {_STYLE} style='fill:{colour}'>"
            f"{escape(name)}</text>",
        ]
        for label, (place, value) in marks.get(name, {}).items():
            along, down, anchor = sides[name]
            parts += [
                f"<circle cx='{x(place):.1f}' cy='{y(value):.1f}' r='5' fill='{colour}' stroke='white'/>",
                f"<text x='{x(place) + along:.1f}' y='{y(value) + down:.1f}' {_STYLE} "
                f"text-anchor='{anchor}'>{escape(label)}</text>",
            ]
    parts.append("</svg>")
    path.write_text("\n".join(parts) + "\n", encoding="utf-8")


def ticks(highest: float) -> list[float]:
    """Round numbers from 0 to at most ``highest``, three to seven of them."""
    power = 10.0 ** math.floor(math.log10(highest))
    step = next(step for step in (0.2, 0.25, 0.5, 1.0, 2.0) if highest / (step * power) < 7) * power
    return [number * step for number in range(int(highest / step) + 1)]


def _frame(title: str, x_label: str) -> list[str]:
    return [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{HEIGHT}' role='img' "
        f"aria-label='{escape(title, quote=True)}'>",
        f"<rect width='{WIDTH}' height='{HEIGHT}' fill='white'/>",
        f"<text x='{LEFT}' y='22' {_STYLE} font-weight='bold'>{escape(title)}</text>",
        f"<text x='{LEFT + (WIDTH - LEFT - RIGHT) / 2:.0f}' y='{HEIGHT - 12}' {_STYLE} text-anchor='middle'>"
        f"{escape(x_label)}</text>",
    ]
