"""The conversation's record: what clients add, ask for and take out, and what utterances become."""

from __future__ import annotations

from collections.abc import Iterable

from hearsight.streams.errors import InvalidEvent
from hearsight.streams.events import (
    AddItem,
    AudioCommitted,
    AudioContent,
    ImageContent,
    InsertItem,
    Item,
    ItemAdded,
    ItemDeleted,
    ItemDone,
    ItemRetrieved,
    Picture,
    RemoveItem,
    Transcribe,
    Transcribed,
    TranscriptionCompleted,
)
from hearsight.streams.session.items import Items
from hearsight.streams.session.listening import Utterance
from hearsight.streams.session.outbox import Outbox


class Conversation:
    """Keeps the client's items and the agent's context in step."""

    def __init__(self, items: Items, out: Outbox) -> None:
        self._items = items
        self._out = out
        self._answered_calls: set[str] = set()

    @property
    def answered_calls(self) -> tuple[str, ...]:
        """Ids of the client's calls that have their output."""
        return tuple(sorted(self._answered_calls))

    def restore(self, items: Iterable[Item], answered_calls: Iterable[str]) -> None:
        """Take over a conversation that another process has held; nobody is told."""
        for item in items:
            self._items.insert(item)
        self._answered_calls.update(answered_calls)

    def commit(self, utterance: Utterance, duration_ms: float, *, transcribe: bool) -> None:
        """Make an item of an utterance.

        Its camera pictures are in the context but not in the client's item: the client sent a stream, not
        attachments.
        """
        item = Item(utterance.item_id, "message", content=(AudioContent(duration_ms=duration_ms),))
        previous = self._items.insert(item)
        pictures = tuple(utterance.pictures)
        added = ItemAdded(item, previous, _moments(pictures))
        self._out.send(AudioCommitted(item.id, previous), added, ItemDone(item, previous))
        self._out.ask(InsertItem(_with_pictures(item, pictures)))
        if transcribe:
            self._out.ask(Transcribe(item.id))

    def add(self, event: AddItem, pictures: tuple[Picture, ...], *, transcribe: bool) -> None:
        """Take an item of the client's; a user's message is joined by what the camera sees.

        Raises:
            HearsightError: The item does not fit the conversation.
        """
        item = event.item
        previous = self._items.insert(item, event.previous_item_id)
        self._out.send(ItemAdded(item, previous, _moments(pictures)), ItemDone(item, previous))
        self._out.ask(InsertItem(_with_pictures(item, pictures), event.previous_item_id))
        spoken = any(isinstance(part, AudioContent) and part.samples is not None for part in item.content)
        if spoken and transcribe:
            self._out.ask(Transcribe(item.id))

    def check(self, event: AddItem) -> None:
        """Refuse an item that does not fit.

        Raises:
            HearsightError: The id is taken, the place unknown, or the output answers no open call.
        """
        self._items.check_insert(event.item, event.previous_item_id)
        self._items.check_size(event.item)
        if event.item.kind == "function_call_output":
            self._check_output(event.item)

    def _check_output(self, item: Item) -> None:
        call_id = item.call.id if item.call is not None else ""
        calls = (self._items.get(known) for known in self._items.ids)
        made = any(
            known.kind == "function_call" and known.call is not None and known.call.id == call_id
            for known in calls
        )
        if not made:
            raise InvalidEvent(f"No tool call has the id '{call_id}'.", param="item.call_id")
        if call_id in self._answered_calls:
            raise InvalidEvent(f"Tool call '{call_id}' already has its output.", param="item.call_id")
        self._answered_calls.add(call_id)

    def delete(self, item_id: str) -> None:
        """Take an item out.

        Raises:
            NotFound: There is none of that id.
        """
        self._items.remove(item_id)
        self._out.ask(RemoveItem(item_id))
        self._out.send(ItemDeleted(item_id))

    def retrieve(self, item_id: str) -> None:
        """Show an item as it stands now.

        Raises:
            NotFound: There is none of that id.
        """
        self._out.send(ItemRetrieved(self._items.get(item_id)))

    def transcribed(self, event: Transcribed) -> None:
        """Write down what the user said."""
        if event.item_id in self._items:
            item = self._items.get(event.item_id)
            spoken = AudioContent(event.text, event.duration_s * 1000)
            content = tuple(spoken if isinstance(part, AudioContent) else part for part in item.content)
            self._items.replace(item.with_content(*content))
        self._out.send(TranscriptionCompleted(event.item_id, 0, event.text, event.duration_s))


def _moments(pictures: tuple[Picture, ...]) -> tuple[float, ...]:
    return tuple(picture.captured_ms for picture in pictures)


def _with_pictures(item: Item, pictures: tuple[Picture, ...]) -> Item:
    return item.with_content(*item.content, *(ImageContent(picture) for picture in pictures))
