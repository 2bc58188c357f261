"""A real Postgres that a test starts for itself, kills, and starts again."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


def binaries() -> Path | None:
    """Where Debian or a PATH has Postgres."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return versions[-1].parent if versions else None


class PostgresServer:
    """A database server of its own. It refuses to be root, as Postgres does."""

    def __init__(self, folder: Path) -> None:
        postgres = binaries()
        assert postgres is not None
        self._postgres = postgres
        self._folder = folder
        self._data = folder / "data"
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("postgres")
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            for parent in folder.parents[:3]:
                parent.chmod(parent.stat().st_mode | 0o011)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        start = [str(postgres / "initdb"), "-D", str(self._data), "-U", "hearsight", "-A", "trust"]
        self._run([*start, "--no-sync"])

    @property
    def url(self) -> str:
        return f"postgresql://hearsight@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Start it, again perhaps, and wait until it takes connections."""
        # What it has committed outlives its process all the same; a power failure is another matter.
        options = f"-p {self._port} -k {self._folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._run([*self._control(), "-o", options, "start"])

    def kill(self) -> None:
        """End it as a crash would: every connection is cut, and the next start recovers."""
        self._run([*self._control(), "-m", "immediate", "stop"])

    def _control(self) -> list[str]:
        return [
            str(self._postgres / "pg_ctl"),
            "-D",
            str(self._data),
            "-w",
            "-l",
            str(self._folder / "log"),
        ]

    def _run(self, command: list[str]) -> None:
        subprocess.run(command, check=True, capture_output=True, **self._where())

    def _where(self) -> dict[str, Any]:
        return {"cwd": self._folder, **self._as}


@contextmanager
def running(folder: Path) -> Iterator[PostgresServer]:
    """One that runs, and is gone afterwards."""
    server = PostgresServer(folder)
    server.start()
    try:
        yield server
    finally:
        with suppress(subprocess.CalledProcessError):  # it may be gone already
            server.kill()
