"""Clients in JavaScript: their packages, as the lock file pins them, and how to run one."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import platformdirs
import pytest
from filelock import FileLock

SOURCES = Path(__file__).parents[1] / "node"
LOCK = SOURCES / "package-lock.json"


def installed() -> Path:
    """A folder with the packages and the programs; made on first use, and kept for the next run."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: the clients in JavaScript cannot run")
    shelf = platformdirs.user_cache_path("hearsight") / "node-clients"
    shelf.mkdir(parents=True, exist_ok=True)
    folder = shelf / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    with FileLock(shelf / ".lock"):
        if not (folder / ".complete").exists():
            _install(folder)
        for program in SOURCES.glob("*.mjs"):
            shutil.copy(program, folder)
    return folder


def _install(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(SOURCES / name, folder)
    subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True, timeout=280
    )
    (folder / ".complete").touch()


async def run(folder: Path, program: str, *arguments: str, timeout_s: float = 120, **variables: str) -> Any:
    """Run a program to its end; returns what it has printed last, which is JSON."""
    process = await asyncio.create_subprocess_exec(
        "node",
        program,
        *arguments,
        cwd=folder,
        env={**os.environ, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(timeout_s):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, f"{program} ended with {process.returncode}:\n{err.decode()[-4000:]}"
    return json.loads(out.decode().strip().splitlines()[-1])
