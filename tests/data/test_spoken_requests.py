from __future__ import annotations

import difflib
import importlib.util
import itertools
import re
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hearsight.config.settings import load_settings

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def _load() -> ModuleType:
    """The module beside this file; test folders are no packages, so it is loaded by its path."""
    spec = importlib.util.spec_from_file_location("spoken_requests", HERE / "spoken_requests.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


requests = _load()
HELD_OUT = requests.load(requests.HELD_OUT)
DEV = requests.load(requests.DEV)
ALL = [*HELD_OUT, *DEV]


def plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


def request(tool: str | None, check: dict[str, str] | None = None, **arguments: Any) -> Any:
    return requests.SpokenRequest("x", "said", tool, arguments, check or {})


def call(tool: str, /, **arguments: Any) -> Any:
    return requests.ToolCall("call-1", tool, arguments)


class TestTheSets:
    @pytest.mark.parametrize(("rows", "with_tool", "without"), [(HELD_OUT, 60, 40), (DEV, 91, 258)])
    def test_sizes(self, rows: Any, with_tool: int, without: int) -> None:
        assert sum(row.tool is not None for row in rows) == with_tool
        assert sum(row.tool is None for row in rows) == without

    @pytest.mark.parametrize(("rows", "least"), [(HELD_OUT, 3), (DEV, 2)])
    def test_every_tool_is_asked_for(self, rows: Any, least: int) -> None:
        counts = Counter(row.tool for row in rows if row.tool)
        # Those that the default preset leaves out are asked for nowhere.
        assert set(counts) == set(load_settings().settings.tools.enabled)
        assert min(counts.values()) >= least

    def test_ids_are_unique(self) -> None:
        assert len({row.id for row in ALL}) == len(ALL)

    def test_no_two_requests_are_nearly_the_same(self) -> None:
        for one, other in itertools.combinations(ALL, 2):
            matcher = difflib.SequenceMatcher(None, plain(one.text), plain(other.text))
            if matcher.quick_ratio() > 0.9:
                assert matcher.ratio() <= 0.9, f"{one.id} and {other.id} are nearly the same"

    @pytest.mark.parametrize("row", ALL, ids=lambda row: row.id)
    def test_the_expected_call_is_itself_right(self, row: Any) -> None:
        expected = None if row.tool is None else call(row.tool, **row.arguments)
        assert requests.judge(row, expected) == requests.Verdict(True, True)
        assert set(row.check) <= set(row.arguments) | {"label"}

    @pytest.mark.parametrize("row", ALL, ids=lambda row: row.id)
    def test_any_other_choice_is_wrong(self, row: Any) -> None:
        for tool in requests.SPECS:
            if tool != row.tool:
                assert not requests.judge(row, call(tool)).right_tool
        if row.tool is not None:
            assert not requests.judge(row, None).right_tool

    def test_the_held_out_set_is_found_nowhere_else(self) -> None:
        # Short ones are what anyone would write anywhere; leaking the set would leak the long ones too.
        telling = [text for row in HELD_OUT if len(text := plain(row.text)) >= 25]
        assert len(telling) > 60
        for folder in ("agent", "bench", "config", "docs", "hearsight", "streams", "tools", "web"):
            for path in (ROOT / folder).rglob("*"):
                if "node_modules" in path.parts:
                    continue
                if path.suffix in {".py", ".toml", ".md", ".json", ".txt", ".jinja", ".ts", ".js", ".html"}:
                    content = plain(path.read_text(encoding="utf-8", errors="ignore"))
                    leaked = [text for text in telling if text in content]
                    assert not leaked, f"{path.relative_to(ROOT)} holds held-out requests"


class TestJudging:
    def test_talking_where_talk_is_wanted(self) -> None:
        assert requests.judge(request(None), None).right
        verdict = requests.judge(request(None), call("get_time"))
        assert not verdict.right_tool and verdict.problems == ("called get_time needlessly",)

    def test_the_wrong_tool_and_no_tool(self) -> None:
        wanted = request("get_time", {"place": "zone"}, place="")
        assert requests.judge(wanted, call("get_date")).problems == ("called get_date instead of get_time",)
        assert requests.judge(wanted, None).problems == ("called nothing instead of get_time",)

    def test_the_right_tool_with_wrong_arguments_is_half_right(self) -> None:
        wanted = request("set_timer", {"seconds": "equal"}, seconds=600)
        verdict = requests.judge(wanted, call("set_timer", seconds=10))
        assert verdict.right_tool and not verdict.right_arguments and not verdict.right
        assert verdict.problems == ("seconds=10 instead of 600",)

    def test_arguments_are_coerced_as_the_registry_does(self) -> None:
        wanted = request("set_timer", {"seconds": "equal"}, seconds=600)
        assert requests.judge(wanted, call("set_timer", seconds="600")).right
        assert not requests.judge(wanted, call("set_timer", seconds="ten minutes")).right
        assert not requests.judge(wanted, call("set_timer", minutes=10)).right

    def test_a_default_may_be_left_out_but_nothing_may_be_made_up(self) -> None:
        wanted = request("get_date", {"days_from_today": "equal"}, days_from_today=0)
        assert requests.judge(wanted, call("get_date")).right
        assert not requests.judge(wanted, call("get_date", days_from_today=1)).right
        unlabelled = request("set_timer", {"seconds": "equal"}, seconds=5)
        assert not requests.judge(unlabelled, call("set_timer", seconds=5, label="tea")).right

    @pytest.mark.parametrize(
        ("check", "wanted", "actual", "right"),
        [
            ("value", "17*23", "23 * 17", True),
            ("value", "17*23", "seventeen times twenty three", True),
            ("value", "0.15*80", "15% of 80", True),
            ("value", "391", "390", False),
            ("value", "391", "what", False),
        ],
    )
    def test_values(self, check: str, wanted: str, actual: str, right: bool) -> None:
        expected = request("calculate", {"expression": check}, expression=wanted)
        assert requests.judge(expected, call("calculate", expression=actual)).right is right

    @pytest.mark.parametrize(
        ("wanted", "actual", "right"),
        [("Tokyo", "Japan", True), ("Tokyo", "tokyo, japan", True), ("Tokyo", "Paris", False), ("", "", True),
         ("", "here", True), ("", "Paris", False), ("Tokyo", "", False), ("Tokyo", "Narnia", False)],
    )  # fmt: skip
    def test_zones(self, wanted: str, actual: str, right: bool) -> None:
        expected = request("get_time", {"place": "zone"}, place=wanted)
        assert requests.judge(expected, call("get_time", place=actual)).right is right

    @pytest.mark.parametrize(
        ("check", "wanted", "actual", "right"),
        [
            ("label", "", "", True),
            ("label", "", "the timer", True),
            ("label", "", "tea", False),
            ("label", "tea", "the Tea timer", True),
            ("contains:all|every", "all", "All timers", True),
            ("contains:all|every", "all", "tea", False),
            ("contains_optional:tea", "tea", "", True),
            ("contains_optional:tea", "tea", "green tea", True),
            ("contains_optional:tea", "tea", "coffee", False),
            ("contains:green,tea|brew", "x", "brewing green leaves", True),
            ("contains:green,tea|brew", "x", "tea", False),
            ("contains:fifty two", "x", "fifty-two", True),
            ("any", "tea", "whatever", True),
        ],
    )
    def test_words(self, check: str, wanted: str, actual: str, right: bool) -> None:
        expected = request("cancel_timer", {"label": check}, label=wanted)
        assert requests.judge(expected, call("cancel_timer", label=actual)).right is right
