"""Between a session and its recording: what the session takes and gives is queued, and a thread writes it.

The event loop never waits for the disk. A recording is always a whole beginning of its session: where the
disk cannot follow, or there is no more room, it stops there, counts what it loses, and says so in its last
line. A hole would make all that follows useless, for it could not be replayed.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import structlog

from hearsight.streams.camera.frames import FrameStore
from hearsight.streams.events import Input, Output
from hearsight.streams.ids import SeededIds
from hearsight.streams.recording.files import RecordingFiles, entry_bytes
from hearsight.streams.recording.model import Ending, Entry, Header, Reason, Restored, Taken
from hearsight.streams.recording.tracks import RecordingFull
from hearsight.streams.session.session import Session
from hearsight.streams.session.state import SessionState

MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
"""What may wait for the disk; two megabytes are a minute of an ordinary conversation."""

log = structlog.get_logger(__name__)


class Journal(Protocol):
    """Takes down what a session takes and gives."""

    def write(self, entry: Entry) -> None:
        """One input and its outputs. Does not block, and raises nothing."""
        ...

    def close(self) -> None:
        """The session has ended. Does not block."""
        ...


class RecordedSession(Session):
    """A session that is taken down.

    Args:
        journal: Where to.
        header: How it begins; its ids are made from the seed in it.
        frames: Where camera frames wait for a turn.
    """

    def __init__(self, journal: Journal, header: Header, frames: FrameStore) -> None:
        self._journal = journal
        self._began_s = header.began_s
        self._given: list[Output] = []
        ids = None if header.id_seed is None else SeededIds(header.id_seed)
        super().__init__(header.config, header.limits, frames, header.began_s, ids)

    def receive(self, event: Input, now: float) -> None:
        """See `Session.receive`; taken down even where it fails."""
        if self.closed:
            return
        with self._taken_down(event, now):
            super().receive(event, now)
        if self.closed:
            self._journal.close()

    def restore(self, state: SessionState, *, show: bool) -> None:
        """See `Session.restore`; taken down, too."""
        with self._taken_down(Restored(state, show), self._began_s):
            super().restore(state, show=show)

    def take_outputs(self) -> list[Output]:
        """See `Session.take_outputs`."""
        given, self._given = self._given, []
        return given

    @contextmanager
    def _taken_down(self, event: Taken, at_s: float) -> Iterator[None]:
        raised = None
        try:
            yield
        except Exception as error:
            raised = describe(error)
            raise
        finally:
            outputs = super().take_outputs()
            self._given += outputs
            self._journal.write(Entry(at_s, event, tuple(outputs), raised))


def describe(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {error}".partition("\n")[0]


class Recorder:
    """A journal in files, written by a thread of its own, which ends with the session.

    Args:
        open_files: Begins the recording; called in the thread.
        failed: Is told why there is no recording, or no more of it; called in the thread.
        ended: Is called in the thread when it is through.
        max_waiting_bytes: See `MAX_WAITING_BYTES`.
    """

    def __init__(
        self,
        open_files: Callable[[], RecordingFiles],
        failed: Callable[[str], None],
        ended: Callable[[Recorder], None] = lambda _: None,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self._open_files = open_files
        self._failed = failed
        self._ended = ended
        self._max_waiting_bytes = max_waiting_bytes
        self._queue: queue.SimpleQueue[tuple[Entry, int] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting_bytes = 0
        self._overflowed = False
        self._broken: Reason | None = None
        self._lost_before_queue = 0
        self._lost_after_queue = 0
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def write(self, entry: Entry) -> None:
        """See `Journal.write`."""
        if self._overflowed or self._broken is not None:
            self._lost_before_queue += _messages(entry)
            return
        size = entry_bytes(entry)
        with self._lock:
            self._overflowed = self._waiting_bytes + size > self._max_waiting_bytes
            self._waiting_bytes += 0 if self._overflowed else size
        if self._overflowed:
            self._lost_before_queue += _messages(entry)
            self._failed("the disk is too slow for it")
        else:
            self._queue.put((entry, size))

    def close(self) -> None:
        """See `Journal.close`."""
        self._queue.put(None)

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread; False where it is not through by then."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # --- in the thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            files = self._open_files()
        except OSError as error:
            self._break("failed", _reason(error))
        else:
            self._follow(files)
        finally:
            self._ended(self)

    def _follow(self, files: RecordingFiles) -> None:
        try:
            while (waiting := self._queue.get()) is not None:
                entry, size = waiting
                with self._lock:
                    self._waiting_bytes -= size
                self._write(files, entry)
                if self._queue.empty():
                    self._guarded(files.flush)
            lost = self._lost_before_queue + self._lost_after_queue
            reason: Reason = self._broken or ("overflow" if self._overflowed else "closed")
            self._guarded(lambda: files.end(Ending(reason, lost)))
        finally:
            self._guarded(files.close)

    def _write(self, files: RecordingFiles, entry: Entry) -> None:
        if self._broken is not None:
            self._lost_after_queue += _messages(entry)
            return
        try:
            files.write(entry)
        except RecordingFull:
            self._break("full", "it is as large as `recording.max_session_bytes`, or a WAV file, lets it be")
            self._lost_after_queue += _messages(entry)
        except OSError as error:
            self._break("failed", _reason(error))
            self._lost_after_queue += _messages(entry)
        # The boundary at which a bug ends this recording and nothing else; the log has the traceback.
        except Exception:
            log.exception("recording failed")
            self._break("failed", "of an internal error")
            self._lost_after_queue += _messages(entry)

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do something that a full disk may prevent."""
        try:
            work()
        except OSError as error:
            if self._broken is None:
                self._break("failed", _reason(error))

    def _break(self, reason: Reason, why: str) -> None:
        self._broken = reason
        try:
            self._failed(why)
        # Whoever is told must not end the thread that still has to write the last line; the log has it.
        except Exception:
            log.exception("nobody could be told that a recording failed", reason=why)


def _messages(entry: Entry) -> int:
    return 1 + len(entry.outputs)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error) or type(error).__name__).lower()
