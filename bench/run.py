"""Runs the benchmarks, and writes docs/benchmarks.md."""

from __future__ import annotations

import argparse
import asyncio
from importlib import import_module

import endpointing
import latency
import scenes
import sessions
import speech
import tool_choice
from report import PARTS, Result, save, show
from rich.console import Console


def run(part: str, console: Console, *, runs: int | None = None, only: str = "") -> Result:
    """Run one part.

    Args:
        part: Which.
        console: Shows how far it is.
        runs: Of each scene, other than usual.
        only: The scenes whose names hold this.
    """
    match part:
        case "latency":
            return asyncio.run(latency.run(console))
        case "endpointing":
            return asyncio.run(endpointing.run(console))
        case "scenes":
            return asyncio.run(scenes.run(console, runs=runs or scenes.RUNS, only=only))
        case "tool_choice":
            return asyncio.run(tool_choice.run(console))
        case "speech":
            return asyncio.run(speech.run(console))
        case "sessions":
            return sessions.run(console)
        case _:
            # Before torch, which the other parts do without: it says how torch takes memory.
            import_module("hearsight.agent.models.gemma3n")
            measured: Result = import_module(part).run()
            return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all by default.")
    parser.add_argument("--runs", type=int, help="Of each scene.")
    parser.add_argument(
        "--only", default="", help="Play only the scenes whose names hold this; keeps no result."
    )
    arguments = parser.parse_args()
    chosen = arguments.parts or list(PARTS)
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"There is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}.")
    console = Console()
    for part in chosen:
        console.rule(part)
        result = run(part, console, runs=arguments.runs, only=arguments.only)
        show(result, console)
        if not arguments.only:
            save(result)


if __name__ == "__main__":
    main()
