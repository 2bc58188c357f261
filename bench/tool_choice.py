"""Does the service choose the right tool, with the right arguments, for what it hears?

The held-out requests, spoken in several voices, go through the whole service over a real socket. Nothing is
tuned on them, and their texts stand in no result.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import service_process
import soxr
from child import Child
from report import ROOT, Result, Table, percentile, save, show
from rich.console import Console
from rich.progress import track
from voices import read_in_voices

from hearsight.addresses import REALTIME_PATH
from hearsight.asking import AskedCall, Question, Reply, ask
from hearsight.config.settings import load_settings
from hearsight.streams.events import INPUT_RATE_HZ, OUTPUT_RATE_HZ
from hearsight.tools.calls import ToolCall

sys.path.insert(0, str(ROOT / "tests" / "data"))
from spoken_requests import DEV, HELD_OUT, SpokenRequest, Verdict, judge, load  # noqa: E402

RIGHT_TOOL, RIGHT_CALL, FALSE_CALLS = 0.92, 0.90, 0.02
"""Aimed at: the right tool (or none), tool and arguments, and calls where none was wanted."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One request, and what became of it."""

    request: SpokenRequest
    reply: Reply
    verdict: Verdict


async def put(
    url: str, requests: Sequence[SpokenRequest], questions: Sequence[Question], name: str
) -> list[Judged]:
    """Ask every question in a session of its own."""
    judged = []
    for request, question in track(list(zip(requests, questions, strict=True)), description=name):
        reply = await ask(url, question)
        judged.append(Judged(request, reply, judge(request, _first_call(reply.calls))))
    return judged


def _first_call(calls: Sequence[AskedCall]) -> ToolCall | None:
    if not calls:
        return None
    return ToolCall("call", calls[0].name, json.loads(calls[0].arguments))


async def run(
    console: Console,
    *,
    requests_file: Path = HELD_OUT,
    spoken: bool = True,
    limit: int = 1000,
    overrides: dict[str, Any] | None = None,
) -> Result:
    """Measure all requests, typed and, unless told otherwise, spoken in every voice."""
    requests = load(requests_file)[:limit]
    ways = {"typed": [Question(text=request.text) for request in requests]}
    if spoken:
        with console.status("Reading the requests out …"):
            voices = await read_in_voices([request.text for request in requests])
        for voice, recordings in voices.items():
            ways[voice] = [
                Question(soxr.resample(one.samples, INPUT_RATE_HZ, OUTPUT_RATE_HZ)) for one in recordings
            ]
    with Child(service_process.main, overrides or {}) as child:
        url = f"ws://127.0.0.1:{child.hear()}{REALTIME_PATH}"
        judged = {name: await put(url, requests, questions, name) for name, questions in ways.items()}
    return _result(judged, requests_file, load_settings(overrides=overrides).settings.engine.name)


def _result(judged: dict[str, list[Judged]], path: Path, engine: str) -> Result:
    columns = (
        "voice",
        "requests",
        "right tool",
        "right tool and arguments",
        "of those that want a tool",
        "false calls",
        "seconds, median",
    )
    figures = {name: _figures(found) for name, found in judged.items()}
    rows = [
        [
            name,
            str(found["requests"]),
            f"{100 * found['right_tool']:.0f} %",
            f"{100 * found['right']:.0f} %",
            f"{100 * found['right_calls']:.0f} %",
            f"{100 * found['false_calls']:.1f} %",
            f"{found['first_audio_s']:.2f}",
        ]
        for name, found in figures.items()
    ]
    method = f"""\
The requests of `{path.name}` go through the whole service ({engine} engine) over a real socket, each
in a session of its own: typed, and spoken in several voices. Judged is the first call. *Right tool*:
the one that was expected, or rightly none. *And arguments*: the arguments as well, of all requests and
*of those that want a tool*. *False calls*: of all requests, those that wanted no tool and got one.
*Seconds*: from the end of the request to the first sound of the answer, without any silence to wait
for. Aimed at: {100 * RIGHT_TOOL:.0f} %, {100 * RIGHT_CALL:.0f} %, at most {100 * FALSE_CALLS:.0f} %.
The held-out requests were used in no prompt and to choose between none."""
    findings = [
        f"{name}: {'all three aims reached' if _reached(found) else 'the aims are missed'}."
        for name, found in figures.items()
    ]
    data = {"figures": figures, "wrong": {name: _wrong(found) for name, found in judged.items()}}
    return Result(
        "tool_choice", "Choice of tools", method, [Table("Spoken requests", columns, rows)], findings, data
    )


def _figures(judged: list[Judged]) -> dict[str, float]:
    count = len(judged)
    wanted = [one for one in judged if one.request.tool is not None]
    false_calls = sum(one.request.tool is None and bool(one.reply.calls) for one in judged)
    waits = [one.reply.first_audio_s for one in judged if one.reply.first_audio_s is not None]
    return {
        "requests": count,
        "right_tool": sum(one.verdict.right_tool for one in judged) / count,
        "right": sum(one.verdict.right for one in judged) / count,
        "right_calls": sum(one.verdict.right for one in wanted) / max(1, len(wanted)),
        "false_calls": false_calls / count,
        "first_audio_s": percentile(waits, 50),
    }


def _reached(figures: dict[str, float]) -> bool:
    return (
        figures["right_tool"] >= RIGHT_TOOL
        and figures["right"] >= RIGHT_CALL
        and figures["false_calls"] <= FALSE_CALLS
    )


def _wrong(judged: list[Judged]) -> list[str]:
    """Ids alone: nobody is to tune on the texts."""
    return [one.request.id for one in judged if not one.verdict.right]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spoken", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--dev", action="store_true", help="The development set, with what went wrong.")
    parser.add_argument("--limit", type=int, default=1000, help="Requests.")
    parser.add_argument("--dry", action="store_true", help="Do not write docs/benchmarks.md.")
    arguments = parser.parse_args()
    console = Console()
    path = DEV if arguments.dev else HELD_OUT
    result = asyncio.run(run(console, requests_file=path, spoken=arguments.spoken, limit=arguments.limit))
    show(result, console)
    if not arguments.dry and not arguments.dev:
        save(result)


if __name__ == "__main__":
    main()
