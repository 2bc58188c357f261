"""Starts and ends the MCP server of the tests as a process that listens on loopback."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path

PROGRAM = str(Path(__file__).with_name("mcp_tools.py"))
STDIO = {"command": sys.executable, "args": [PROGRAM]}
"""Settings of the same server over its input and output."""


class HttpServer:
    """One server, which may be ended and started again at the same port."""

    def __init__(self) -> None:
        self.port = 0
        self._process: Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, PROGRAM, str(self.port), stdout=PIPE, stderr=DEVNULL
        )
        assert self._process.stdout is not None
        self.port = int(await self._process.stdout.readline())

    async def kill(self) -> None:
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()
            self._process = None
