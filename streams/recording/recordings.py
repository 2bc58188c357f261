"""Recordings of a service: one of every session, within what the disk is granted."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from hearsight.streams.camera.frames import FrameStore
from hearsight.streams.events import SessionConfig
from hearsight.streams.ids import SeededIds
from hearsight.streams.recording.files import RecordingFiles
from hearsight.streams.recording.folder import make_room
from hearsight.streams.recording.model import MEDIA, VERSION, Header, Medium
from hearsight.streams.recording.recorder import MAX_WAITING_BYTES, RecordedSession, Recorder
from hearsight.streams.session.session import Session
from hearsight.streams.session.settings import SessionLimits

CLOSE_TIMEOUT_S: Final = 5.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RecordingOptions:
    """Where recordings go, and how much of them."""

    folder: Path
    keeps: tuple[Medium, ...] = MEDIA
    max_session_bytes: int = 256 * 1024 * 1024
    max_total_bytes: int = 4 * 1024 * 1024 * 1024
    max_age_s: float = 30 * 24 * 3600
    max_waiting_bytes: int = MAX_WAITING_BYTES
    program: str = "hearsight"
    engine: str = ""


def local_time() -> datetime:
    """Now, with the offset of where the service runs."""
    return datetime.now().astimezone()


class Recordings:
    """Records sessions. Nothing that goes wrong with it reaches them.

    Args:
        options: Where and how much.
        wall_clock: Date and time.
    """

    def __init__(self, options: RecordingOptions, wall_clock: Callable[[], datetime] = local_time) -> None:
        self._options = options
        self._wall_clock = wall_clock
        self._opening = threading.Lock()
        self._live: dict[Recorder, Path] = {}
        self._told: set[str] = set()

    def new_session(
        self, session_id: str, config: SessionConfig, limits: SessionLimits, frames: FrameStore, now: float
    ) -> Session:
        """A session that is recorded; see `Session`.

        Args:
            session_id: For the log only: whoever knows it can resume the session, so it is not recorded.
            config: See `Session`.
            limits: See `Session`.
            frames: See `Session`.
            now: See `Session`.
        """
        options = self._options
        began = self._wall_clock()
        header = Header(
            version=VERSION,
            program=options.program,
            began=began.isoformat(timespec="milliseconds"),
            began_s=now,
            id_seed=SeededIds().seed,
            config=config,
            limits=limits,
            max_frames=frames.max_frames,
            max_frame_bytes=frames.max_bytes,
            keeps=options.keeps,
            engine=options.engine,
        )
        folder = options.folder / f"{began:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"

        def failed(why: str) -> None:
            self._tell(session_id, why)

        recorder = Recorder(
            lambda: self._begin(folder, header), failed, self._forget, options.max_waiting_bytes
        )
        self._live[recorder] = folder
        recorder.start()
        _log.info("session is recorded", session_id=session_id, folder=str(folder))
        return RecordedSession(recorder, header, frames)

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Wait until the recordings of the sessions that have ended are written, though not forever."""
        until = time.monotonic() + timeout_s
        for recorder in list(self._live):
            recorder.close()
        for recorder in list(self._live):
            if not recorder.join(max(0.0, until - time.monotonic())):
                _log.warning("a recording is not written to its end", waited_s=timeout_s)

    # --- in the threads of the recorders -----------------------------------------------------------------

    def _begin(self, folder: Path, header: Header) -> RecordingFiles:
        options = self._options
        with self._opening:
            options.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            gone = make_room(
                options.folder,
                wanted_bytes=options.max_session_bytes,
                max_bytes=options.max_total_bytes,
                max_age_s=options.max_age_s,
                now_s=self._wall_clock().timestamp(),
                live=[path for path in list(self._live.values()) if path != folder],
            )
            if gone:
                _log.info("old recordings deleted", count=len(gone))
            return RecordingFiles(folder, header, options.max_session_bytes)

    def _forget(self, recorder: Recorder) -> None:
        self._live.pop(recorder, None)

    def _tell(self, session_id: str, why: str) -> None:
        """Log a reason; as a warning only the first time, for it will be the same for many sessions."""
        tell = _log.debug if why in self._told else _log.warning
        self._told.add(why)
        tell("the session is not recorded, or not to its end", session_id=session_id, reason=why)
