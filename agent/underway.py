"""Speech that is being heard and is no item yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from langchain_core.messages import HumanMessage

from hearsight.agent.messages import Block, audio_block, human, image_block


@dataclass(slots=True)
class Utterance:
    """One, so far.

    Attributes:
        samples: At 16 kHz.
        pictures: Keys of the pictures that belong to it.
    """

    samples: int = 0
    pictures: list[str] = field(default_factory=list)


class Underway:
    """All that are being heard."""

    def __init__(self) -> None:
        self._utterances: dict[str, Utterance] = {}

    def __bool__(self) -> bool:
        return bool(self._utterances)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._utterances

    def hear(self, item_id: str, samples: int) -> None:
        """So many more samples of one."""
        self._utterances.setdefault(item_id, Utterance()).samples += samples

    def see(self, item_id: str, key: str) -> None:
        """A picture belongs to one."""
        pictures = self._utterances.setdefault(item_id, Utterance()).pictures
        if key not in pictures:
            pictures.append(key)

    def samples(self, item_id: str) -> int:
        """Samples heard of one."""
        return self._utterances.get(item_id, Utterance()).samples

    def pictures(self, item_id: str) -> tuple[str, ...]:
        """Keys of the pictures that belong to one."""
        return tuple(self._utterances.get(item_id, Utterance()).pictures)

    def drop(self, item_id: str) -> None:
        """It has become an item, or has come to nothing."""
        self._utterances.pop(item_id, None)

    def messages(self) -> Iterator[HumanMessage]:
        """Each as the message that it would be if it ended here."""
        for item_id, utterance in self._utterances.items():
            content: list[Block] = [image_block(key) for key in utterance.pictures]
            if utterance.samples:
                content.append(audio_block(item_id, utterance.samples))
            if content:
                yield human(item_id, content)

    def message(self, item_id: str, transcript: str, captions: Mapping[str, str]) -> HumanMessage:
        """One as the message that it would be with these words.

        Args:
            item_id: Which.
            transcript: What was said in it so far.
            captions: What its pictures show, by key; those without one are left out.
        """
        pictures = [image_block(key, captions[key]) for key in self.pictures(item_id) if key in captions]
        return human(item_id, [*pictures, audio_block(item_id, self.samples(item_id), transcript)])
