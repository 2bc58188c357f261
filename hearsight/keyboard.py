"""The keyboard of the terminal that a command runs in."""

from __future__ import annotations

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

MAX_BYTES = 4_096


@contextmanager
def keyboard(on_bytes: Callable[[bytes], None], *, by_key: bool) -> Iterator[None]:
    """Read the terminal from inside the event loop; without a terminal, nothing is read.

    Args:
        on_bytes: Given what was typed; nothing at all once the terminal is gone.
        by_key: Whether every key counts at once and is not echoed; else the terminal edits whole lines.
    """
    if not sys.stdin.isatty():
        yield
        return
    terminal = sys.stdin.fileno()
    loop = asyncio.get_running_loop()

    def read() -> None:
        data = os.read(terminal, MAX_BYTES)
        if not data:
            loop.remove_reader(terminal)
        on_bytes(data or b"\x04")

    before = termios.tcgetattr(terminal)
    if by_key:
        tty.setcbreak(terminal)
    loop.add_reader(terminal, read)
    try:
        yield
    finally:
        loop.remove_reader(terminal)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
