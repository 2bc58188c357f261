"""Do remarks, noises and the service's own echo leave an answer alone, and do words stop it?

Each scene is played several times against the whole service, in real time, over a real socket.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import service_process
import soxr
from child import Child
from repertoire import AFTER, BEFORE, TEXTS, Scene, around_consent, around_tools, scenes
from report import Result, Table, percentile, save, show
from rich.console import Console
from room import Room
from seen import Seen
from voices import read_by_hibari, read_by_pico

from hearsight.addresses import REALTIME_PATH
from hearsight.agent.voice.hibari import HibariVoice
from hearsight.streams.events import INPUT_RATE_HZ, OUTPUT_RATE_HZ, Samples

RUNS = 20
HERE = Path(__file__).parent


async def read(*, another_voice: bool = True) -> dict[str, Samples]:
    """All that is said in the scenes, at 24 kHz.

    Args:
        another_voice: Take one that is not the service's own, where there is one.
    """
    pico = another_voice and shutil.which("pico2wave")
    recordings = await (asyncio.to_thread(read_by_pico, TEXTS) if pico else read_by_hibari(TEXTS))
    spoken = {one.name: soxr.resample(one.samples, INPUT_RATE_HZ, OUTPUT_RATE_HZ) for one in recordings}
    return spoken | await _halves()


async def _halves() -> dict[str, Samples]:
    """A sentence that was spoken in one go, cut between two words: the first half does not sound finished."""
    voice = HibariVoice()
    try:
        whole = await voice.synthesize(f"{BEFORE} {AFTER}", speed=1.0)
    finally:
        await voice.aclose()
    cut = round(whole.words[len(BEFORE.split()) - 1].end_ms * OUTPUT_RATE_HZ / 1000)
    return {BEFORE: whole.samples[:cut], AFTER: whole.samples[cut:]}


class Household:
    """Settings of an assistant that keeps to ``repertoire.toml``, and what its tools have done."""

    def __init__(self, folder: Path) -> None:
        self._done = folder / "done.txt"
        self._known: dict[str, int] = {}
        server = {
            "command": sys.executable,
            "args": [str(HERE / "household.py")],
            "env": {"DONE": str(self._done)},
        }
        self.overrides: Mapping[str, Any] = {
            "engine.name": "scripted",
            "engine.script": HERE / "repertoire.toml",
            "tools.mcp": {"photos": server},
        }

    def done(self, verb: str) -> list[str]:
        """What has been done that begins with this word, since the last time that was asked; a line each."""
        lines = self._done.read_text(encoding="utf-8").splitlines() if self._done.exists() else []
        mine = [line for line in lines if line.split()[0] == verb]
        known, self._known[verb] = self._known.get(verb, 0), len(mine)
        return mine[known:]


async def play(scene: Scene, url: str, number: int, household: Household | None = None) -> Seen:
    """Play a scene once.

    Args:
        scene: Which.
        url: Of the service.
        number: Of the run; what is said may differ from one to the next.
        household: Whose tools the service has.
    """
    room = Room(url, scene.said(number), scene.question, scene.echo, scene.session)
    seen = await room.run(lasts_s=scene.lasts_s, done=scene.over)
    if household is not None and scene.verb is not None:
        seen.made = household.done(scene.verb)
    return seen


@dataclass(slots=True)
class Played:
    """What came of all runs of all scenes."""

    rows: list[list[str]] = field(default_factory=list)
    stops_s: list[float] = field(default_factory=list)
    resumes_s: list[float] = field(default_factory=list)
    decided_s: list[float] = field(default_factory=list)
    good: dict[str, int] = field(default_factory=dict)
    problems: dict[str, dict[str, int]] = field(default_factory=dict)

    def measure(self, scene: Scene, number: int, seen: Seen, marks: Sequence[Any]) -> None:
        """Note how fast an answer stopped or went on."""
        first = scene.said(number)[0]
        cue_s = seen.moments.get(first.after)
        if cue_s is None:
            return
        if scene.stops and seen.interrupted:
            self.stops_s.append(seen.last_audio_s(cue_s + first.begins_s))
        if scene.resumes and not seen.interrupted:
            again_s = seen.next_audio_s(cue_s + first.ends_s)
            self.resumes_s += [again_s] if again_s is not None else []
            self.decided_s += _from_decision_to_audio(marks)


def _from_decision_to_audio(marks: Sequence[Any]) -> list[float]:
    """How long after a false alarm was recognised the service sent audio again."""
    decided = [mark.ended_s for mark in marks if mark.what == "dismissed"]
    sent = [mark.ended_s for mark in marks if mark.what == "audio"]
    return [
        min(at - decision for at in sent if at >= decision) for decision in decided if sent[-1] >= decision
    ]


async def run(console: Console, *, runs: int = RUNS, only: str = "") -> Result:
    """Play every scene so many times.

    Args:
        console: Shows how far it is.
        runs: Of each scene.
        only: Plays those only whose names hold this.
    """
    spoken = await read()
    played = Played()
    with TemporaryDirectory() as folder:
        await _play_casts([scenes(spoken)], None, runs, only, played, console)
        # The two do different things in the household, so that either can tell what it has done.
        casts = [around_tools(spoken), around_consent(spoken)]
        await _play_casts(casts, Household(Path(folder)), runs, only, played, console)
    if not played.good:
        raise SystemExit(f"No scene has '{only}' in its name.")
    return _result(played)


async def _play_casts(
    casts: Sequence[Sequence[Scene]],
    household: Household | None,
    runs: int,
    only: str,
    played: Played,
    console: Console,
) -> None:
    """Play several lists of scenes side by side against one service."""
    chosen = [[scene for scene in cast if only.lower() in scene.name.lower()] for cast in casts]
    if not any(chosen):
        return
    with Child(service_process.main, household.overrides if household else {}) as child:
        url = f"ws://127.0.0.1:{child.hear()}{REALTIME_PATH}"
        async with asyncio.TaskGroup() as tasks:
            for cast in chosen:
                tasks.create_task(_play_all(cast, child, url, household, runs, played, console))
    for scene in [scene for cast in chosen for scene in cast]:
        played.rows.append([scene.name, scene.expected, f"{played.good[scene.name]} of {runs}"])


async def _play_all(
    cast: Sequence[Scene],
    child: Child,
    url: str,
    household: Household | None,
    runs: int,
    played: Played,
    console: Console,
) -> None:
    for scene in cast:
        problems: Counter[str] = Counter()
        good = 0
        for number in range(runs):
            child.ask("take")
            seen = await play(scene, url, number, household)
            played.measure(scene, number, seen, child.ask("take"))
            wrong = scene.problems(seen)
            good += not wrong
            problems.update(wrong)
            if wrong:
                console.print(f"{scene.name}, run {number}: not so: {'; '.join(wrong)}\n{_told(seen)}")
        console.print(f"{scene.name}: {good} of {runs}")
        played.good[scene.name] = good
        played.problems[scene.name] = dict(problems)


def _told(seen: Seen) -> str:
    """What somebody needs to know who asks why."""
    shown = {
        "heard": [*seen.heard.values()],
        "spoken": [*seen.spoken.values()],
        "answers": seen.statuses,
        "calls": seen.calls,
        "done": seen.made,
        "errors": seen.errors,
    }
    return json.dumps(shown, ensure_ascii=False)


def _result(played: Played) -> Result:
    method = """\
Every scene is played in real time against the whole service over a real socket. The client plays the
answer as it comes, silences its speaker when it is told that the user speaks, and its microphone never
closes. What is said is read by another synthesiser; the cough is a burst of noise; the echo comes 120 ms
late. Answers, echoes and pauses are played with the `embedded` engine, whose answer is a long story; after
1.5 s of it something is heard in the room. Tools and questions before a call are played, two scenes at a
time, with real ears and a real voice, a real MCP server whose slow tool takes 3.5 s, and written answers
(`bench/repertoire.toml`), so that what comes of them does not hang on a small model's choice of tool. In
every scene, nothing may be said twice, no answer may run beside another, and nothing may fail."""
    findings = [
        "From the first sound of whoever interrupts to the last audio that was sent: "
        f"{_ms(played.stops_s, 50)} (median), {_ms(played.stops_s, 90)} (90th percentile); aimed at: 200 ms.",
        f"From the end of a remark to the next audio of the answer: {_ms(played.resumes_s, 50)} (median), "
        f"{_ms(played.resumes_s, 90)} (90th percentile). It is held until the remark has been written down.",
        f"From the decision that it was a remark to the next audio: {_ms(played.decided_s, 50)} (median), "
        f"{_ms(played.decided_s, 90)} (90th percentile); aimed at: 300 ms.",
    ]
    table = Table("Scenes", ("in the room", "expected", "as expected"), played.rows)
    figures = {
        "good": played.good,
        "not_so": played.problems,
        "stops_s": played.stops_s,
        "resumes_s": played.resumes_s,
        "resumes_after_decision_s": played.decided_s,
    }
    return Result("scenes", "Interruptions", method, [table], findings, figures)


def _ms(values: list[float], percent: float) -> str:
    return f"{1000 * percentile(values, percent):.0f} ms" if values else "not measured"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="Of each scene.")
    parser.add_argument("--only", default="", help="Play only the scenes whose names hold this.")
    parser.add_argument("--dry", action="store_true", help="Do not write docs/benchmarks.md.")
    arguments = parser.parse_args()
    console = Console()
    result = asyncio.run(run(console, runs=arguments.runs, only=arguments.only))
    show(result, console)
    if not arguments.dry and not arguments.only:
        save(result)


if __name__ == "__main__":
    main()
