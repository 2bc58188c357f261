"""A small line chart as SVG, so that no plotting library is needed for it."""

from __future__ import annotations

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

    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{HEIGHT}' role='img' "
        f"aria-label='{escape(title, quote=True)}'>",
        f"<rect width='{WIDTH}' height='{HEIGHT}' fill='white'/>",
        f"<text x='{LEFT}' y='22' {_STYLE} font-weight='bold'>{escape(title)}</text>",
        f"<text x='{LEFT + across / 2:.0f}' y='{HEIGHT - 12}' {_STYLE} text-anchor='middle'>"
        f"{escape(x_label)}</text>",
    ]
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
