"""From the end of the user's speech to the first sound of the answer, stage by stage.

Requests are spoken in real time over a real socket to the whole service in another process, with and without
thinking on trial in the silence (``turn.speculative``), turn about, in one run.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import service_process
from child import Child
from machine import OtherLoad, raised_priority
from report import ROOT, Result, Table, percentile, save, show
from rich.console import Console
from stages import Mark
from talker import Talker, Turn
from voices import Recording, read_by_hibari

from hearsight.addresses import REALTIME_PATH
from hearsight.config.settings import Settings, load_settings
from hearsight.models_command import open_store
from hearsight.streams.audio.vad import SileroModel

sys.path.insert(0, str(ROOT / "tests" / "data"))
from spoken_requests import DEV, SpokenRequest, load  # noqa: E402

WITH_TOOL, WITHOUT_TOOL = 14, 10
CONVERSATION = 4
"""Requests in one session."""
TARGET_S = {False: 0.8, True: 0.4}
"""Median aimed at, without and with speculation."""
NEEDS_CAMERA = ("look", "read_text")


@dataclass(frozen=True, slots=True)
class Measured:
    """One request, timed by the client and by the service."""

    request: str
    turn: Turn
    marks: list[Mark]
    short_s: float
    long_s: float
    threshold: float

    def _last(self, what: str, before_s: float) -> Mark | None:
        found = [mark for mark in self.marks if mark.what == what and mark.ended_s <= before_s]
        return found[-1] if found else None

    @property
    def suspended(self) -> bool:
        """Whether the service was stopped from outside meanwhile."""
        return any(mark.what == "suspended" for mark in self.marks)

    @property
    def answered(self) -> bool:
        return self.turn.first_audio_s is not None and self._audio is not None and self.stopped_s is not None

    @property
    def _audio(self) -> Mark | None:
        return next((mark for mark in self.marks if mark.what == "audio"), None)

    @property
    def stopped_s(self) -> float | None:
        """When the session said that the turn was over."""
        mark = self._last("stopped", self._audio.ended_s) if self._audio else None
        return mark.ended_s if mark else None

    @property
    def configured_s(self) -> float:
        """Silence that ends this turn by the settings: the short one where the model found it finished."""
        mark = self._last("end_of_turn", self.stopped_s or 0.0)
        return self.short_s if mark is not None and mark.value >= self.threshold else self.long_s

    @property
    def total_s(self) -> float:
        """From the end of speech to the first sound, at the client."""
        return (self.turn.first_audio_s or 0.0) - self.turn.speech_ended_s

    def stages(self) -> dict[str, float]:
        """Seconds by stage."""
        audio = self._audio
        assert audio is not None and self.stopped_s is not None and self.turn.first_audio_s is not None
        end_of_turn = self._last("end_of_turn", self.stopped_s)
        heard = self._last("speech_to_text", audio.ended_s)
        since_s = heard.began_s if heard else self.turn.speech_ended_s
        path = [mark for mark in self.marks if since_s <= mark.began_s and mark.ended_s <= audio.ended_s]
        tokens = [mark for mark in path if mark.what == "first_token"]
        voice = next((mark for mark in path if mark.what == "voice"), None)
        found = {
            "end of speech to end of turn": self.stopped_s - self.turn.speech_ended_s,
            "of it, beyond the configured silence": self.stopped_s
            - self.turn.speech_ended_s
            - self.configured_s,
            "end-of-turn model": end_of_turn.seconds if end_of_turn else None,
            "speech to text": heard.seconds if heard else None,
            "first token": tokens[0].seconds if tokens else None,
            "tool": next((mark.seconds for mark in path if mark.what == "tool"), None),
            "first token after the tool": tokens[1].seconds if len(tokens) > 1 else None,
            "first token to first clause": voice.began_s - tokens[-1].ended_s if voice and tokens else None,
            "voice": voice.seconds if voice else None,
            "wire": self.turn.first_audio_s - audio.ended_s,
            COMPUTE: self.total_s - self.configured_s,
            TOTAL: self.total_s,
        }
        return {stage: seconds for stage, seconds in found.items() if seconds is not None}


COMPUTE = "all beyond the configured silence"
TOTAL = "end of speech to first sound"


def choose_requests() -> list[SpokenRequest]:
    """A mix of tools and small talk, spread over the development set."""
    requests = [request for request in load(DEV) if request.tool not in NEEDS_CAMERA]
    with_tool = [request for request in requests if request.tool]
    without = [request for request in requests if not request.tool]
    chosen = _spread(with_tool, WITH_TOOL) + _spread(without, WITHOUT_TOOL)
    return [chosen[index * 7 % len(chosen)] for index in range(len(chosen))]  # 7 and 24 have no common factor


def _spread(requests: Sequence[SpokenRequest], count: int) -> list[SpokenRequest]:
    return [requests[index * len(requests) // count] for index in range(count)]


async def run(console: Console, *, overrides: dict[str, Any] | None = None, limit: int = 100) -> Result:
    """Measure every request in both ways."""
    settings = load_settings(overrides=overrides).settings
    requests = choose_requests()[:limit]
    recordings = await read_by_hibari([request.text for request in requests])
    vad = SileroModel(open_store(settings).file("silero-vad"))
    others = OtherLoad()
    measured: dict[bool, list[Measured]] = {False: [], True: []}
    with (
        console.status("Loading the service …") as status,
        Child(service_process.main, overrides or {}) as child,
    ):
        url = f"ws://127.0.0.1:{child.hear()}{REALTIME_PATH}"
        await Talker(url, vad).ask(recordings[:1])  # everything has run once before it counts
        for at in range(0, len(requests), CONVERSATION):
            for speculative in (False, True):
                status.update(f"Requests {at + 1} to {at + CONVERSATION}, {_way(speculative)} speculation …")
                child.ask("speculate" if speculative else "wait")
                part = recordings[at : at + CONVERSATION]
                measured[speculative] += await _converse(child, Talker(url, vad), part, settings)
    return _result(measured, settings, others.cores(0.0))


async def _converse(
    child: Child, talker: Talker, recordings: list[Recording], settings: Settings
) -> list[Measured]:
    marks: list[list[Mark]] = []

    def take(_: Turn) -> None:
        marks.append(child.ask("take"))

    child.ask("take")
    turns = await talker.ask(recordings, take)
    turn = settings.turn
    return [
        Measured(
            recording.words,
            said,
            noted,
            turn.short_silence_ms / 1000,
            turn.long_silence_ms / 1000,
            turn.endpoint_threshold,
        )
        for recording, said, noted in zip(recordings, turns, marks, strict=True)
    ]


def _way(speculative: bool) -> str:
    return "with" if speculative else "without"


def _result(measured: dict[bool, list[Measured]], settings: Settings, busy_cores: float) -> Result:
    usable = {way: [one for one in found if not one.suspended] for way, found in measured.items()}
    ways = {way: [one for one in found if one.answered] for way, found in usable.items()}
    kinds: dict[str, Callable[[Measured], bool]] = {
        "All requests": lambda one: True,
        "Requests that call a tool": lambda one: bool(one.turn.calls),
        "Small talk": lambda one: not one.turn.calls,
    }
    tables = [
        _table(title, {way: list(filter(is_kind, found)) for way, found in ways.items()})
        for title, is_kind in kinds.items()
        if any(map(is_kind, (one for found in ways.values() for one in found)))
    ]
    findings = []
    for way, found in ways.items():
        medians = percentile([one.total_s - one.configured_s for one in found], 50)
        totals = percentile([one.total_s for one in found], 50)
        verdict = "reached" if medians < TARGET_S[way] else "missed"
        findings.append(
            f"{_way(way).capitalize()} speculation the first sound comes {medians:.2f} s after the "
            f"configured silence (median; aimed at: below {TARGET_S[way]:g} s, {verdict}), "
            f"{totals:.2f} s after the end of speech."
        )
    short = sum(one.configured_s == one.short_s for found in ways.values() for one in found)
    answered = sum(map(len, ways.values()))
    findings.append(
        f"{short} of {answered} turns ended with the short silence of {settings.turn.short_silence_ms} ms, "
        f"the others with the long one of {settings.turn.long_silence_ms} ms."
    )
    findings.append(f"{busy_cores:.1f} cores were busy on average, whatever kept them so.")
    findings += filter(None, [raised_priority()])
    if unanswered := sum(map(len, usable.values())) - answered:
        findings.append(f"{unanswered} requests got no spoken answer.")
    if suspended := sum(one.suspended for found in measured.values() for one in found):
        findings.append(f"{suspended} requests do not count: the service was suspended meanwhile.")
    method = f"""\
{len(measured[True])} requests of the development set, with and without a tool, read out by hibari and
sent in real time over the OpenAI Realtime protocol to the whole service ({settings.engine.name}
engine) in another process, in conversations of {CONVERSATION}; each conversation once without and once
with speculation (`turn.speculative`), turn about. *End of speech*: when the last chunk in which Silero
hears speech was sent. *Configured silence*: {settings.turn.short_silence_ms} ms where the end-of-turn
model finds the request finished, {settings.turn.long_silence_ms} ms where it does not. With
speculation, speech to text and thinking begin during that silence, so the stages overlap with it.
Median / 90th percentile, in seconds."""
    data = {
        _way(way): [{**one.stages(), "request": one.request, "calls": one.turn.calls} for one in found]
        for way, found in ways.items()
    }
    return Result("latency", "Latency", method, tables, findings, data)


def _table(title: str, ways: dict[bool, list[Measured]]) -> Table:
    columns = ["stage", *(f"{_way(way)} speculation ({len(found)})" for way, found in ways.items())]
    seconds = {way: [one.stages() for one in found] for way, found in ways.items()}
    names = list(dict.fromkeys(name for found in seconds.values() for stages in found for name in stages))
    order = [name for name in STAGES if name in names]
    rows = [
        [name, *(_cell([stages[name] for stages in seconds[way] if name in stages]) for way in ways)]
        for name in order
    ]
    return Table(title, columns, rows)


def _cell(seconds: list[float]) -> str:
    if not seconds:
        return "–"
    return f"{percentile(seconds, 50):.2f} / {percentile(seconds, 90):.2f}"


STAGES = (
    "end of speech to end of turn",
    "of it, beyond the configured silence",
    "end-of-turn model",
    "speech to text",
    "first token",
    "tool",
    "first token after the tool",
    "first token to first clause",
    "voice",
    "wire",
    COMPUTE,
    TOTAL,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dry", action="store_true", help="Do not write docs/benchmarks.md.")
    parser.add_argument("--limit", type=int, default=100, help="Requests.")
    arguments = parser.parse_args()
    console = Console()
    result = asyncio.run(run(console, limit=arguments.limit))
    show(result, console)
    if not arguments.dry:
        save(result)


if __name__ == "__main__":
    main()
