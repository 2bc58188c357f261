"""The user's store of model files: what is there, whether it is intact, and fetching what is not.

Layout of the folder::

    silero-vad/silero_vad.onnx      one folder per payload, its files below
    silero-vad/.verified.json       which of them have been hashed (`hearsight.config.stamps`)
    .downloads/silero-vad/          half-done files and the packages they are made from
    .locks/silero-vad               held by the process that fetches the payload
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from hearsight.config import stamps
from hearsight.config.download import Downloader
from hearsight.config.errors import PayloadCorrupt, PayloadError, PayloadMissing
from hearsight.config.manifest import Manifest, Payload, PayloadFile, load_manifest
from hearsight.config.registry import sha256_of
from hearsight.config.settings import Settings
from hearsight.config.suggest import did_you_mean, listed

State = Literal["ready", "unverified", "incomplete", "missing"]


class Progress(Protocol):
    """Told how far a payload has come."""

    def __call__(self, payload: str, bytes_done: int, bytes_total: int) -> None:
        """Take note; called often, from the thread that fetches."""


@dataclass(frozen=True, slots=True)
class PayloadStatus:
    """How much of a payload is on this machine, judged without reading it.

    Attributes:
        payload: The payload.
        state: ``ready`` if complete and hashed before, ``unverified`` if complete by name and size,
            ``incomplete`` if files are missing, half done or of a wrong size, ``missing`` if none is there.
        bytes_present: Size of what is there, half-done files included.
    """

    payload: Payload
    state: State
    bytes_present: int


def required_payloads(settings: Settings, manifest: Manifest | None = None) -> list[str]:
    """Names of the payloads that the configured engine needs, in the order of the manifest."""

    def needed(payload: Payload) -> bool:
        if payload.engines and settings.engine.name not in payload.engines:
            return False
        return _holds(settings, payload.when) and not (payload.unless and _holds(settings, payload.unless))

    return [payload.name for payload in (manifest or load_manifest()).payloads if needed(payload)]


class PayloadStore:
    """The model files in one folder of this machine.

    Args:
        cache_dir: The folder; made when the first payload is fetched.
        offline: Fetch nothing.
        manifest: What there is; None takes the shipped manifest.
        downloader: Fetches single files; None makes one for the folder.
    """

    def __init__(
        self,
        cache_dir: Path,
        *,
        offline: bool = False,
        manifest: Manifest | None = None,
        downloader: Downloader | None = None,
    ) -> None:
        self.cache_dir = cache_dir
        self._offline = offline
        self.manifest = manifest or load_manifest()
        self._downloader = downloader or Downloader(cache_dir, self.manifest)

    def path(self, name: str) -> Path:
        """The folder of a payload, all of whose files are there and intact.

        A file is hashed when it is used for the first time, and again only after it was changed.

        Raises:
            PayloadMissing: If it is not, or not completely, on this machine.
            PayloadCorrupt: If a file has other bytes than the pinned ones.
        """
        payload = self._payload(name)
        for file in payload.files:
            self._check(payload, file, rehash=False)
        return self.cache_dir / name

    def file(self, name: str, file_name: str | None = None) -> Path:
        """A file of a payload, intact; without a name, the payload's first.

        Raises:
            PayloadMissing: If the payload is not, or not completely, on this machine.
            PayloadCorrupt: If a file has other bytes than the pinned ones.
        """
        return self.path(name) / (file_name or self._payload(name).files[0].name)

    def status(self) -> list[PayloadStatus]:
        """How much of every payload is here, in the order of the manifest."""
        return [self._status(payload) for payload in self.manifest.payloads]

    def verify(self, name: str, progress: Progress | None = None) -> None:
        """Read and hash every file of a payload, whatever is remembered of it.

        Raises:
            PayloadMissing: If it is not, or not completely, on this machine.
            PayloadCorrupt: If a file has other bytes than the pinned ones.
        """
        payload = self._payload(name)
        before = 0
        for file in payload.files:
            self._check(payload, file, rehash=True, on_bytes=_reporter(payload, progress, before))
            before += file.bytes

    def pull(self, names: Iterable[str], progress: Progress | None = None) -> list[PayloadError]:
        """Fetch what is not here, and hash what has never been hashed.

        What an interrupted call has fetched is kept for the next one. Two processes that pull the same
        payload take turns, and the second finds the work done.

        Args:
            names: Payloads to have.
            progress: Told how far each has come.

        Returns:
            The failures of payloads that are optional.

        Raises:
            PayloadMissing: If something has to be fetched and the store is offline.
            PayloadCorrupt: If all that its sources deliver are other bytes than the pinned ones.
            PayloadUnreachable: If none of its sources delivers.
            DiskFull: If there is no room for it.
        """
        skipped: list[PayloadError] = []
        for name in names:
            payload = self._payload(name)
            try:
                self._pull(payload, progress)
            except PayloadError as error:
                if not payload.optional:
                    raise
                skipped.append(error)
        return skipped

    def _pull(self, payload: Payload, progress: Progress | None) -> None:
        report = _reporter(payload, progress)
        if all(self._intact(payload, file) for file in payload.files):
            report(payload.bytes)
            return
        if self._offline:
            raise PayloadMissing(
                payload.name,
                f"{payload.name} is not complete on this machine and models.offline forbids to fetch it.",
            )
        with self._downloader.lock(payload):
            absent = [file for file in payload.files if not self._intact(payload, file)]
            for file in absent:
                stamps.forget(self.cache_dir / payload.name / file.name)
            self._downloader.fetch(payload, absent, report)
            for file in absent:
                stamps.stamp(self.cache_dir / payload.name / file.name, file.sha256)
        report(payload.bytes)

    def _intact(self, payload: Payload, file: PayloadFile) -> bool:
        try:
            self._check(payload, file, rehash=False)
        except PayloadError:
            return False
        return True

    def _check(
        self,
        payload: Payload,
        file: PayloadFile,
        *,
        rehash: bool,
        on_bytes: Callable[[int], None] | None = None,
    ) -> None:
        path = self.cache_dir / payload.name / file.name
        if not path.is_file():
            raise PayloadMissing(
                payload.name,
                f"{payload.name}, which {payload.purpose}, is not on this machine; "
                f"run `hearsight models pull {payload.name}`.",
            )
        if not rehash and stamps.is_stamped(path, file.sha256):
            return
        if path.stat().st_size != file.bytes or sha256_of(path, on_bytes) != file.sha256:
            stamps.forget(path)
            raise PayloadCorrupt(
                payload.name,
                f"{path} is damaged or not the file it should be; "
                f"run `hearsight models pull {payload.name}` to fetch it again.",
            )
        stamps.stamp(path, file.sha256)

    def _status(self, payload: Payload) -> PayloadStatus:
        present = self._downloader.half_done_bytes(payload)
        whole = stamped = 0
        for file in payload.files:
            path = self.cache_dir / payload.name / file.name
            if path.is_file():
                present += path.stat().st_size
                whole += path.stat().st_size == file.bytes
                stamped += stamps.is_stamped(path, file.sha256)
        state: State = "incomplete" if present else "missing"
        if whole == len(payload.files):
            state = "ready" if stamped == whole else "unverified"
        return PayloadStatus(payload, state, present)

    def _payload(self, name: str) -> Payload:
        names = [payload.name for payload in self.manifest.payloads]
        if name not in names:
            meant = did_you_mean(name, names)
            raise PayloadMissing(name, f"There is no payload {name!r};{meant} It can be {listed(names)}.")
        return self.manifest.payload(name)


def _reporter(payload: Payload, progress: Progress | None, before: int = 0) -> Callable[[int], None]:
    def report(done: int) -> None:
        if progress is not None:
            progress(payload.name, min(before + done, payload.bytes), payload.bytes)

    return report


def _holds(settings: Settings, values: Mapping[str, str | bool]) -> bool:
    return all(_setting(settings, key) == value for key, value in values.items())


def _setting(settings: Settings, key: str) -> object:
    section, _, name = key.partition(".")
    return getattr(getattr(settings, section), name)
