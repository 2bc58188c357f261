"""The file of the API keys: read again whenever it has changed, and written whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

import structlog
from filelock import FileLock

from hearsight.config.errors import ConfigError
from hearsight.streams.keys import KeyRing

OTHERS_MAY_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH

_Stamp: TypeAlias = tuple[int, int, int]

_log = structlog.get_logger(__name__)


class KeyFile:
    """Keys on disk. To look at them costs one `stat` while nothing has changed.

    Args:
        path: Where; it need not be there.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self._stamp: _Stamp | None = None
        self._ring = KeyRing()

    def load(self) -> KeyRing:
        """The keys that are in the file now; none where there is no file.

        Raises:
            ConfigError: It cannot be read or understood, or others may write to it.
        """
        stamp = self._look()
        if stamp is None:
            self._stamp, self._ring = None, KeyRing()
        elif stamp != self._stamp:
            self._ring = self._read()
            self._stamp = stamp
        return self._ring

    def current(self) -> KeyRing:
        """Likewise, for a server that runs: a file that is gone or spoilt leaves things as they were.

        Else a slip of an editor would lock everybody out, and a lost file would let everybody in.
        """
        try:
            stamp = self._look()
            if stamp is not None and stamp != self._stamp:
                self._stamp = stamp  # of a file that is spoilt, too: it is told of once
                self._ring = self._read()
                _log.info("keys read", keys=len(self._ring.keys))
        except ConfigError as error:
            _log.error("keys not read", reason=str(error), then="the keys of before go on")
        return self._ring

    def change(self, edit: Callable[[KeyRing], KeyRing]) -> KeyRing:
        """Edit the keys, one process at a time.

        Args:
            edit: Given the keys, returns those that are to be; what it raises leaves the file as it is.

        Raises:
            ConfigError: The file cannot be read or written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with FileLock(f"{self.path}.lock", mode=0o600):
                ring = edit(self.load())
                self._write(ring)
        except OSError as error:
            raise ConfigError(f"The keys cannot be written to {self.path}: {error.strerror}.") from error
        return self.load()

    def _look(self) -> _Stamp | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(f"The keys in {self.path} cannot be read: {error.strerror}.") from error
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> KeyRing:
        try:
            with self.path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                text = file.read()
        except OSError as error:
            raise ConfigError(f"The keys in {self.path} cannot be read: {error.strerror}.") from error
        if mode & OTHERS_MAY_WRITE:
            # To read them is of no use to anybody; to write them opens the door.
            raise ConfigError(f"Others may write to the keys in {self.path}: run `chmod 600 {self.path}`.")
        try:
            return KeyRing.parse(text)
        except ValueError as error:
            raise ConfigError(
                f"The keys in {self.path} cannot be understood: {error}. `hearsight keys` writes this file; "
                "mend it, or delete it and make the keys anew."
            ) from None

    def _write(self, ring: KeyRing) -> None:
        half = self.path.with_name(f"{self.path.name}.new")
        half.unlink(missing_ok=True)
        descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(ring.dump())
            file.flush()
            os.fsync(file.fileno())
        os.replace(half, self.path)
