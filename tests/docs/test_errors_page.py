"""The messages that the page explains are those that are shown."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from hearsight.config.settings import setting_keys

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "errors.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| message")]
QUOTED = [line.removeprefix("| ").partition(" | ")[0] for line in ROWS]


@cache
def messages() -> str:
    """All texts in the code; what is filled in stands as an ellipsis."""
    texts = []
    for folder in ("agent", "config", "streams", "tools"):
        for path in (ROOT / folder).rglob("*.py"):
            texts += texts_in(path)
    for path in (ROOT / "hearsight").glob("*.py"):
        texts += texts_in(path)
    return "\n".join(texts)


def texts_in(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            found.append("".join(v.value if isinstance(v, ast.Constant) else "…" for v in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found


@pytest.mark.parametrize("quoted", QUOTED)
def test_a_message_is_quoted_as_it_is_shown(quoted):
    pieces = [piece.strip() for piece in quoted.split("…") if len(piece.strip()) >= 3]
    assert pieces and sum(map(len, pieces)) >= 12, "too little to be found by"
    for piece in pieces:
        assert piece in messages(), piece


def test_it_explains_enough_of_them():
    assert len(QUOTED) >= 25 and len(set(QUOTED)) == len(QUOTED)


def test_every_row_says_what_to_do():
    for row in ROWS:
        assert len(row.split(" | ")[-1]) > 20, row


def test_its_settings_exist():
    keys = set(setting_keys())
    sections = "|".join({key.partition(".")[0] for key in keys})
    named = set(re.findall(rf"`((?:{sections})\.[a-z0-9_]+)(?: = [^`]*)?`", PAGE))
    assert named and named <= keys, named - keys
