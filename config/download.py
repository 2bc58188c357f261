"""Fetches the files of a payload: source after source, resumed, hashed, and put in place at one stroke."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import filelock
import structlog
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from hearsight.config.errors import DiskFull, PayloadCorrupt, PayloadError, PayloadUnreachable
from hearsight.config.manifest import Manifest, PackageSource, Payload, PayloadFile, UrlSource
from hearsight.config.registry import FetchFailed, FetchRefused, sha256_of
from hearsight.config.sources import Wanted, read_source

ATTEMPTS = 3
"""Tries of one source before the next is asked."""
SPARE_BYTES = 64 * 1024 * 1024
"""Room that is left on the disk."""

Source: TypeAlias = PackageSource | UrlSource

log = structlog.get_logger(__name__)


class Downloader:
    """Fetches files into one cache folder.

    Args:
        cache_dir: The folder of all payloads.
        manifest: Pins the packages.
        sleep: Waits between two tries, in seconds.
        free_bytes: Room on the disk that holds a folder, in bytes.
    """

    def __init__(
        self,
        cache_dir: Path,
        manifest: Manifest,
        *,
        sleep: Callable[[float], None] = time.sleep,
        free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        self._cache_dir = cache_dir
        self._manifest = manifest
        self._sleep = sleep
        self._free_bytes = free_bytes

    def lock(self, payload: Payload) -> filelock.BaseFileLock:
        """The lock under which one process at a time fetches a payload; entering it waits for the others.

        Raises:
            PayloadUnreachable: If the cache folder cannot be written.
        """
        folder = self._cache_dir / ".locks"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._not_writable(payload, error) from error
        return filelock.FileLock(folder / payload.name)

    def half_done_bytes(self, payload: Payload) -> int:
        """Bytes of files of the payload that an interrupted call has left."""
        return sum(path.stat().st_size for path in self._downloads(payload).glob("*.partial"))

    def fetch(self, payload: Payload, files: Sequence[PayloadFile], report: Callable[[int], None]) -> None:
        """Fetch files of a payload.

        Args:
            payload: The payload.
            files: Those of its files that are to be fetched, in order.
            report: Told how many bytes of the payload are here.

        Raises:
            PayloadCorrupt: If every source delivers other bytes than the pinned ones.
            PayloadUnreachable: If no source delivers.
            DiskFull: If there is no room.
        """
        try:
            self._fetch(payload, files, report)
        except OSError as error:
            raise self._not_writable(payload, error) from error

    def _fetch(self, payload: Payload, files: Sequence[PayloadFile], report: Callable[[int], None]) -> None:
        downloads = self._downloads(payload)
        downloads.mkdir(parents=True, exist_ok=True)
        self._check_room(payload, files)
        done = payload.bytes - sum(file.bytes for file in files)
        for number, file in enumerate(files):
            keep = frozenset[str]().union(*(later.packages for later in files[number + 1 :]))
            self._fetch_file(_Task(payload, file, downloads, keep, done, report))
            done += file.bytes
        shutil.rmtree(downloads)

    def _downloads(self, payload: Payload) -> Path:
        return self._cache_dir / ".downloads" / payload.name

    def _check_room(self, payload: Payload, files: Sequence[PayloadFile]) -> None:
        packages = [self._manifest.package(name) for file in files for name in file.packages]
        largest = max((package.bytes for package in packages), default=0)
        wanted = sum(file.bytes for file in files) - self.half_done_bytes(payload) + largest + SPARE_BYTES
        free = self._free_bytes(self._cache_dir)
        if free < wanted:
            raise DiskFull(
                payload.name,
                f"{payload.name} needs {_megabytes(wanted)} of room in {self._cache_dir}, where "
                f"{_megabytes(free)} are free; make room or set models.cache_dir to another disk.",
            )

    def _fetch_file(self, task: _Task) -> None:
        failures: list[str] = []
        corrupt = False
        for source in task.file.sources:
            try:
                if self._fill_and_check(task, source):
                    self._put_in_place(task)
                    return
                corrupt = True
                failures.append("the bytes are not the pinned ones (SHA-256 differs)")
            except FetchFailed as failure:
                log.info("source failed", payload=task.payload.name, file=task.file.name, reason=str(failure))
                failures.append(str(failure))
        told = f"{task.file.name} of {task.payload.name} could not be fetched: {'; '.join(failures)}."
        raise (PayloadCorrupt if corrupt else PayloadUnreachable)(task.payload.name, told)

    def _fill_and_check(self, task: _Task, source: Source) -> bool:
        """Complete the half-done file; where its hash is another, remove it and return False."""
        resumed = task.partial.exists()
        self._fill(task, source)
        if sha256_of(task.partial) == task.file.sha256:
            return True
        task.partial.unlink()
        # What an earlier call left may have been at fault: the source gets one chance to deliver it all.
        return resumed and self._fill_and_check(task, source)

    def _fill(self, task: _Task, source: Source) -> None:
        """Let the half-done file grow to its full size, trying again where that may help."""
        for attempt in Retrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(multiplier=1, max=10),
            retry=retry_if_exception(_worth_a_retry),
            sleep=self._sleep,
            reraise=True,
        ):
            with attempt:
                self._append(task, source)

    def _append(self, task: _Task, source: Source) -> None:
        size = task.partial.stat().st_size if task.partial.exists() else 0
        wanted = Wanted(size, task.keep, task.report_here)
        with task.partial.open("ab") as output:
            for block in read_source(source, self._manifest, task.downloads, wanted):
                output.write(block)
                size += len(block)
                task.report_here(size)
                if size > task.file.bytes:
                    break
        if size < task.file.bytes:
            raise FetchFailed(f"{task.file.name} broke off after {size} of {task.file.bytes} bytes")

    def _put_in_place(self, task: _Task) -> None:
        target = self._cache_dir / task.payload.name / task.file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        with task.partial.open("rb") as stream:
            os.fsync(stream.fileno())
        task.partial.replace(target)

    def _not_writable(self, payload: Payload, error: OSError) -> PayloadError:
        folder = f"the folder {self._cache_dir} (models.cache_dir)"
        if error.errno == errno.ENOSPC:
            return DiskFull(payload.name, f"{payload.name} does not fit: the disk of {folder} is full.")
        return PayloadUnreachable(
            payload.name, f"{payload.name} cannot be kept: {folder} cannot be written ({error.strerror})."
        )


@dataclass(frozen=True, slots=True)
class _Task:
    """One file on its way."""

    payload: Payload
    file: PayloadFile
    downloads: Path
    keep: frozenset[str]
    """Packages that later files need."""
    before: int
    """Bytes of the payload that were here before this file."""
    report: Callable[[int], None]

    @property
    def partial(self) -> Path:
        """The file while it is half done."""
        return self.downloads / f"{self.file.name}.partial"

    def report_here(self, size: int) -> None:
        """Tell how much of the payload is here, now that this much of the file is."""
        self.report(self.before + min(size, self.file.bytes))


def _worth_a_retry(error: BaseException) -> bool:
    return isinstance(error, FetchFailed) and not isinstance(error, FetchRefused)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"
