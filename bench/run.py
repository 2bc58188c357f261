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


def run(part: str, console: Console) -> Result:
    """Run one part."""
    match part:
        case "latency":
            return asyncio.run(latency.run(console))
        case "endpointing":
            return asyncio.run(endpointing.run(console))
        case "scenes":
            return asyncio.run(scenes.run(console))
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
    chosen = parser.parse_args().parts or list(PARTS)
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"There is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}.")
    console = Console()
    for part in chosen:
        console.rule(part)
        result = run(part, console)
        show(result, console)
        save(result)


if __name__ == "__main__":
    main()
