"""Writes the files of one recording, entry by entry. Blocks; the recorder runs it in a thread."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from hearsight.streams.events import (
    INPUT_RATE_HZ,
    OUTPUT_RATE_HZ,
    AnswerSpeech,
    AudioDelta,
    AudioFrame,
    Output,
    OutputCleared,
    ResponseEnded,
    Samples,
)
from hearsight.streams.recording.event_json import dumps, payload_bytes, to_json
from hearsight.streams.recording.media import (
    ASSISTANT_TRACK,
    ATTACHED_TRACK,
    USER_TRACK,
    VOICE_TRACK,
    Digests,
    Places,
)
from hearsight.streams.recording.model import Ending, Entry, Header
from hearsight.streams.recording.tracks import RecordingFull, Track

HEADER_FILE: Final = "session.json"
EVENTS_FILE: Final = "events.jsonl"
LINE_BYTES: Final = 512
"""What a line takes, about; counted before it is written."""
SEAM_S: Final = 0.5
"""Audio of the user that comes later than this after the last comes after a pause; less is the network's."""

_RATES: Final = {
    USER_TRACK: INPUT_RATE_HZ,
    ATTACHED_TRACK: INPUT_RATE_HZ,
    ASSISTANT_TRACK: OUTPUT_RATE_HZ,
    VOICE_TRACK: OUTPUT_RATE_HZ,
}


def entry_bytes(entry: Entry) -> int:
    """About what an entry takes, in memory and on the disk."""
    lines = LINE_BYTES * (1 + len(entry.outputs))
    return lines + payload_bytes(entry.event) + sum(map(payload_bytes, entry.outputs))


class RecordingFiles:
    """A folder being filled.

    Args:
        folder: Made here; nobody but its owner may look into it.
        header: How the session began.
        max_bytes: As large as it may be.

    Raises:
        OSError: It cannot be written; so do all methods.
    """

    def __init__(self, folder: Path, header: Header, max_bytes: int) -> None:
        folder.mkdir(mode=0o700)
        self.folder: Final = folder
        self._header = header
        self._max_bytes = max_bytes
        self._bytes = 0
        self._at_s = header.began_s
        self._track = ATTACHED_TRACK
        self._tracks: dict[str, Track] = {}
        self._digests = Digests(header.keeps)
        self._places = Places(header.keeps, self._keep_samples, self._keep_picture)
        text = dumps(to_json(header, self._digests))
        (folder / HEADER_FILE).write_text(text + "\n", encoding="utf-8")
        self._events = (folder / EVENTS_FILE).open("x", encoding="utf-8", newline="\n")

    def write(self, entry: Entry) -> None:
        """Add an entry.

        Raises:
            RecordingFull: There is no room for it.
        """
        self._bytes += entry_bytes(entry)
        if self._bytes > self._max_bytes:
            raise RecordingFull
        self._at_s = entry.at_s
        self._track = _track_of(entry)
        self._line({"at": entry.at_s, "in": to_json(entry.event, self._places)})
        for output in entry.outputs:
            line = {"at": entry.at_s, "out": to_json(output, self._digests)}
            self._line(line | self._said(output))
        if entry.raised is not None:
            self._line({"at": entry.at_s, "raised": entry.raised})

    def end(self, ending: Ending) -> None:
        """Write the last line."""
        self._line({"end": to_json(ending, self._digests)})

    def flush(self) -> None:
        """Leave nothing behind that a dying process would take along."""
        self._events.flush()

    def close(self) -> None:
        """Close every file; idempotent."""
        try:
            self._events.close()
        finally:
            for track in self._tracks.values():
                track.close()

    def _line(self, line: dict[str, Any]) -> None:
        self._events.write(dumps(line) + "\n")

    # --- media -------------------------------------------------------------------------------------------

    def _open(self, name: str) -> Track:
        if name not in self._tracks:
            self._tracks[name] = Track(self.folder / name, _RATES[name])
        return self._tracks[name]

    def _place(self, rate_hz: int, before_s: float = 0.0) -> int:
        """Now, on a track of the time line."""
        return max(0, round((self._at_s - self._header.began_s - before_s) * rate_hz))

    def _keep_samples(self, samples: Samples) -> tuple[str, int]:
        track = self._open(self._track)
        at = 0
        if self._track == USER_TRACK:
            heard_from = self._place(INPUT_RATE_HZ, samples.size / INPUT_RATE_HZ)
            at = heard_from if heard_from - track.end > SEAM_S * INPUT_RATE_HZ else 0
        return self._track, track.append(samples, at)

    def _keep_picture(self, name: str, data: bytes) -> None:
        path = self.folder / name
        if not path.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.write_bytes(data)

    def _said(self, output: Output) -> dict[str, Any]:
        """Follow what the client plays, as if it played at once all that it gets."""
        if "audio" not in self._header.keeps:
            return {}
        now = self._place(OUTPUT_RATE_HZ)
        if isinstance(output, AudioDelta):
            start = self._open(ASSISTANT_TRACK).append(output.samples, now)
            return {"file": ASSISTANT_TRACK, "start": start}
        stopped = isinstance(output, ResponseEnded) and output.status == "cancelled"
        if (stopped or isinstance(output, OutputCleared)) and ASSISTANT_TRACK in self._tracks:
            self._tracks[ASSISTANT_TRACK].cut(now)
        return {}


def _track_of(entry: Entry) -> str:
    if isinstance(entry.event, AudioFrame):
        return USER_TRACK
    return VOICE_TRACK if isinstance(entry.event, AnswerSpeech) else ATTACHED_TRACK


def write_recording(folder: Path, header: Header, entries: Iterable[Entry], max_bytes: int = 2**40) -> None:
    """Write a whole recording at once.

    Raises:
        OSError: It cannot be written.
    """
    files = RecordingFiles(folder, header, max_bytes)
    try:
        for entry in entries:
            files.write(entry)
        files.end(Ending("closed"))
    finally:
        files.close()
