"""Runs the benchmarks, and writes docs/benchmarks.md."""

from __future__ import annotations

import argparse
import asyncio
import inspect

import latency
import sessions
import speech
import tool_choice
from report import PARTS, Result, save, show
from rich.console import Console

RUN = {"latency": latency.run, "tool_choice": tool_choice.run, "speech": speech.run, "sessions": sessions.run}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="Which; all of them by default.")
    chosen = parser.parse_args().parts or PARTS
    console = Console()
    for part in PARTS:
        if part not in chosen:
            continue
        console.rule(part)
        outcome = RUN[part](console)
        result: Result = asyncio.run(outcome) if inspect.iscoroutine(outcome) else outcome
        show(result, console)
        save(result)


if __name__ == "__main__":
    main()
