"""The time of day may be set forward and back under a running service: nothing that waits goes by it."""

from __future__ import annotations

import ast
import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hearsight.tools.timers import Timer, Timers
from hearsight.virtual_loop import run_virtually

ROOT = Path(__file__).parents[2]
FOLDERS = ("agent", "config", "streams", "tools", "hearsight")
TIME_OF_DAY = {
    ("time", "time"),
    ("time", "time_ns"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
}
MAY_ASK = {
    "agent/agent.py": "what the user asks for is the time of day",
    "streams/recording/recordings.py": "when a recording was made, in its name",
    "hearsight/turn_traces.py": "when the stages of a turn began, in traces",
    "streams/access.py": "until when a key is valid",
    "streams/client_secrets.py": "likewise, a client secret",
    "hearsight/keys_command.py": "likewise",
    "hearsight/guard.py": "likewise",
    "hearsight/certificates.py": "until when a certificate is valid",
    "hearsight/conversation_store.py": "which conversations are older than days",
    "hearsight/sessions_command.py": "likewise",
    "agent/payloads.py": "which files are too new to be swept",
}
"""Modules that read the time of day, and what for."""


def asking(path: Path) -> list[int]:
    """Lines in which the time of day is read."""
    calls = [
        node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call | ast.Attribute)
    ]
    found = []
    for node in calls:
        target = node.func if isinstance(node, ast.Call) else node
        if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
            if (target.value.id, target.attr) in TIME_OF_DAY:
                found.append(node.lineno)
    return sorted(set(found))


def modules() -> list[Path]:
    folders = [ROOT / folder for folder in FOLDERS]
    return [
        path
        for folder in folders
        for path in sorted(folder.rglob("*.py") if folder.name != "hearsight" else folder.glob("*.py"))
    ]


def test_only_who_is_asked_for_the_time_of_day_reads_it():
    places = {str(path.relative_to(ROOT)): lines for path in modules() if (lines := asking(path))}
    assert places.keys() <= MAY_ASK.keys(), {
        name: lines for name, lines in places.items() if name not in MAY_ASK
    }


def test_the_check_finds_what_it_looks_for(tmp_path):
    guilty = tmp_path / "guilty.py"
    guilty.write_text("import time\nclock = time.time\nnow = time.time()\n")
    assert asking(guilty) == [2, 3]


@pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(hours=1), timedelta(days=400)])
def test_a_timer_is_due_when_its_time_has_passed_whatever_the_time_of_day_does(monkeypatch, jump):
    went_off: list[float] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()

        async def note(timer: Timer) -> None:
            went_off.append(loop.time())

        timers = Timers(note)
        timers.set(600, "tea")
        await asyncio.sleep(100)
        wrong = time.time() + jump.total_seconds()
        monkeypatch.setattr(time, "time", lambda: wrong)
        await asyncio.sleep(600)
        await timers.aclose()

    run_virtually(run())
    assert went_off == [600]


@pytest.mark.parametrize(
    ("jump", "due_s"),
    [
        (timedelta(0), 500),
        (timedelta(days=400), 0),
        (timedelta(minutes=-5), 600),
        (timedelta(days=-400), 600),
    ],
)
def test_a_timer_that_is_gone_on_with_runs_no_longer_than_it_was_set_for(jump, due_s):
    async def run() -> float:
        loop = asyncio.get_running_loop()
        began = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)
        before = Timers(lambda timer: asyncio.sleep(0))
        before.set(600, "tea")
        await asyncio.sleep(100)
        state = before.state(began + timedelta(seconds=100))
        await before.aclose()
        after = Timers(lambda timer: asyncio.sleep(0))
        after.restore(state, began + timedelta(seconds=100) + jump)
        left_s = after.remaining_s(after.running()[0])
        await after.aclose()
        assert loop.time() == 100
        return left_s

    assert run_virtually(run()) == due_s
