"""Draws ``tour.svg``: what ``hearsight ask`` really shows when a running server is asked.

Run it from the top folder while ``hearsight serve`` is running: ``.venv/bin/python docs/images/tour.py``.
"""

from __future__ import annotations

import asyncio
import io
import re
import shlex
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from hearsight.addresses import realtime_url
from hearsight.ask_command import show_reply
from hearsight.asking import ask, read_question

DATA = Path("tests/data")
QUESTIONS: tuple[tuple[str | None, Path | None, tuple[Path, ...]], ...] = (
    ("Please time the eggs, six minutes.", None, ()),
    ("What animal is this?", None, (DATA / "pictures" / "cat.jpg",)),
    (None, DATA / "speech" / "amiable_woman.wav", ()),
)
"""Typed text, recording and pictures of each."""


def command(text: str | None, speech: Path | None, pictures: tuple[Path, ...]) -> str:
    """The question as it is put on the command line."""
    words = ["hearsight", "ask", *([str(speech)] if speech else []), *(["--text", text] if text else [])]
    return shlex.join([*words, *(word for path in pictures for word in ("--picture", str(path)))])


def main(server: str = "127.0.0.1:8765") -> None:
    """Ask the server at an address, and draw."""
    console = Console(record=True, width=100, file=io.StringIO())
    for text, speech, pictures in QUESTIONS:
        console.print(Text(f"$ {command(text, speech, pictures)}"), style="bold green")
        show_reply(asyncio.run(ask(realtime_url(server), read_question(speech, text, pictures))), console)
        console.print()
    drawn = console.export_svg(title="hearsight ask")
    # The picture stands by itself: a reader's own monospace font will do.
    Path(__file__).with_suffix(".svg").write_text(re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL))


if __name__ == "__main__":
    main(*sys.argv[1:])
