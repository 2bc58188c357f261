"""What the user has heard: the audio clock of the answers and the words on it.

The client's report of its playback position is believed; a client that reports none is assumed to play
audio as it arrives, without gaps while there is any.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass, field

from hearsight.streams.events import OUTPUT_RATE_HZ, AnswerSpeech, WordTiming

MAX_TRACKS = 64
"""Spoken items whose words are remembered, for a truncation that comes late."""

_WORD = re.compile(r"\S+")


@dataclass(slots=True)
class Track:
    """The audio of one spoken item."""

    item_id: str
    text: str = ""
    words: list[WordTiming] = field(default_factory=list)
    sent_ms: float = 0.0
    ends_at_s: float = 0.0
    """When all that was sent will have been played, on the session's clock."""
    cut_ms: float | None = None
    """Where playback was stopped, None while it was not."""

    def position_ms(self, now: float) -> float:
        """How much has been played by ``now``."""
        if self.cut_ms is not None:
            return self.cut_ms
        return min(self.sent_ms, max(0.0, self.sent_ms - (self.ends_at_s - now) * 1000))

    def heard_text(self, played_ms: float) -> str:
        """The text up to the last word that was played to its end."""
        count = sum(1 for word in self.words if word.end_ms <= played_ms + 0.5)
        end = 0
        for index, match in enumerate(_WORD.finditer(self.text)):
            if index == count:
                break
            end = match.end()
        return self.text[:end]


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard of one interrupted item."""

    item_id: str
    played_ms: float
    text: str


class Playback:
    """The answers of a session, in the order in which they are played."""

    def __init__(self) -> None:
        self._tracks: OrderedDict[str, Track] = OrderedDict()
        self._ends_at_s = 0.0

    def add(self, speech: AnswerSpeech, now: float) -> None:
        """Account for a clause that is being sent."""
        track = self._tracks.setdefault(speech.item_id, Track(speech.item_id))
        duration_ms = speech.samples.size * 1000 / OUTPUT_RATE_HZ
        track.words += speech.words or spread_words(speech.text, track.sent_ms, duration_ms)
        track.text += speech.text
        track.sent_ms += duration_ms
        self._ends_at_s = max(self._ends_at_s, now) + duration_ms / 1000
        track.ends_at_s = self._ends_at_s
        while len(self._tracks) > MAX_TRACKS:
            self._tracks.popitem(last=False)

    def report(self, item_id: str, played_ms: float, now: float) -> None:
        """Believe the client's position; what follows the item shifts with it."""
        track = self._tracks.get(item_id)
        if track is None or track.cut_ms is not None:
            return
        ends_at_s = now + max(0.0, track.sent_ms - played_ms) / 1000
        shift = ends_at_s - track.ends_at_s
        following = False
        for other in self._tracks.values():
            following = following or other is track
            if following and other.cut_ms is None:
                other.ends_at_s += shift
        self._ends_at_s += shift

    def audible(self, now: float) -> bool:
        """Whether an answer is being played."""
        return now < self._ends_at_s

    @property
    def ends_at_s(self) -> float:
        """When everything sent so far will have been played."""
        return self._ends_at_s

    def ahead_ms(self, now: float) -> float:
        """Audio that was sent and has not been played."""
        return max(0.0, self._ends_at_s - now) * 1000

    def interrupt(self, now: float, unsent: str | None = None) -> list[Heard]:
        """Stop playback; what was not heard of each item that was still to be played.

        Args:
            now: Seconds of the session's clock.
            unsent: An item of which not all audio has been sent, so that what was sent may have been played.
        """
        heard = []
        for track in self._tracks.values():
            if track.cut_ms is None and (track.ends_at_s > now or track.item_id == unsent):
                track.cut_ms = track.position_ms(now)
                heard.append(Heard(track.item_id, track.cut_ms, track.heard_text(track.cut_ms)))
        self._ends_at_s = min(self._ends_at_s, now)
        return heard

    def cut(self, item_id: str, played_ms: float, now: float) -> Heard | None:
        """Stop one item where the client says that it stopped; None for an item without audio."""
        track = self._tracks.get(item_id)
        if track is None:
            return None
        track.cut_ms = played_ms
        if track is next(reversed(self._tracks.values())):
            self._ends_at_s = min(self._ends_at_s, now)
        return Heard(item_id, played_ms, track.heard_text(played_ms))

    def sent_ms(self, item_id: str) -> float | None:
        """Audio sent of an item, None for an item without audio."""
        track = self._tracks.get(item_id)
        return None if track is None else track.sent_ms

    def heard_by(self, item_id: str, now: float) -> Heard | None:
        """What has been heard of an item by now, None for an item without audio."""
        track = self._tracks.get(item_id)
        if track is None:
            return None
        played_ms = track.position_ms(now)
        return Heard(item_id, played_ms, track.heard_text(played_ms))

    def heard(self, item_id: str) -> Heard | None:
        """What was heard of an item whose playback was stopped, None while it was not."""
        track = self._tracks.get(item_id)
        if track is None or track.cut_ms is None:
            return None
        return Heard(item_id, track.cut_ms, track.heard_text(track.cut_ms))


def spread_words(text: str, start_ms: float, duration_ms: float) -> list[WordTiming]:
    """Time words by their letters, for a voice that cannot say when it speaks which."""
    words = _WORD.findall(text)
    letters = sum(map(len, words))
    timed = []
    at_ms = start_ms
    for word in words:
        end_ms = at_ms + duration_ms * len(word) / letters
        timed.append(WordTiming(word, at_ms, end_ms))
        at_ms = end_ms
    return timed
