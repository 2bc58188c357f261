"""The terminal's keys reach the program, and the terminal is left as it was."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import sys
import termios

import pytest

from hearsight.keyboard import keyboard


class Terminal:
    """A real pseudo-terminal in place of standard input."""

    def __init__(self) -> None:
        self.hand, self.program = pty.openpty()
        self.received = b""
        self.changed = asyncio.Event()

    def take(self, data: bytes) -> None:
        self.received += data
        self.changed.set()

    async def press(self, keys: bytes, received: bytes) -> None:
        os.write(self.hand, keys)
        async with asyncio.timeout(5):
            while self.received != received:
                self.changed.clear()
                await self.changed.wait()

    def flags(self) -> int:
        return termios.tcgetattr(self.program)[3]


@pytest.fixture
async def terminal(monkeypatch):
    terminal = Terminal()
    with os.fdopen(terminal.program, "r", closefd=False) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield terminal
    os.close(terminal.program)
    os.close(terminal.hand)


async def test_every_key_comes_at_once_and_is_not_echoed(terminal):
    before = terminal.flags()
    with keyboard(terminal.take, by_key=True):
        assert not terminal.flags() & (termios.ICANON | termios.ECHO)
        await terminal.press(b"h", b"h")
        await terminal.press(b"i", b"hi")
    assert terminal.flags() == before


async def test_whole_lines_come_where_the_terminal_edits_them(terminal):
    with keyboard(terminal.take, by_key=False):
        assert terminal.flags() & termios.ICANON
        os.write(terminal.hand, b"helo")
        await terminal.press(b"\x7flo\n", b"hello\n")


async def test_the_terminal_is_left_as_it_was_whatever_happens(terminal):
    before = terminal.flags()
    with pytest.raises(RuntimeError), keyboard(terminal.take, by_key=True):
        raise RuntimeError
    assert terminal.flags() == before


async def test_the_end_of_the_input_is_told_once(terminal):
    with keyboard(terminal.take, by_key=False):
        await terminal.press(b"\x04", b"\x04")
        await asyncio.sleep(0.05)
        assert terminal.received == b"\x04"


async def test_without_a_terminal_nothing_is_read(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("text"))
    with keyboard(pytest.fail, by_key=True):
        await asyncio.sleep(0.01)
