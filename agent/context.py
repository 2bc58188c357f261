"""The conversation as the model sees it: ordered messages, each stamped with the response that made it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from hearsight.agent.messages import (
    Block,
    blocks,
    call_message,
    from_item,
    human,
    interrupted,
    is_interrupted,
    made_call,
    renderable,
    result_id,
    result_message,
)
from hearsight.agent.underway import Underway
from hearsight.streams.errors import InvalidEvent, NotFound
from hearsight.streams.events import Item, ToolCall

ROOT = "root"
"""The place before everything."""
SUMMARY_ID = "summary"
"""Id of the message that stands for the turns that had to go."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One message and where it comes from."""

    message: BaseMessage
    generation: int | None = None
    """Of the response that produced it; None for what the client put in."""
    assumed: bool = False
    """An utterance that is taken as committed by a speculative response only."""


class Context:
    """Ordered messages whose ids are those of the wire's items.

    A call's result always stands right behind the call, and a call has at most one. Nothing here counts
    tokens, waits or knows of a model.
    """

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._underway = Underway()
        self._condensed: set[str] = set()

    # --- reading ------------------------------------------------------------------------------------------

    @property
    def messages(self) -> tuple[BaseMessage, ...]:
        """All messages, in order."""
        return tuple(entry.message for entry in self._entries)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All messages with their stamps, in order."""
        return tuple(self._entries)

    def for_model(self) -> list[BaseMessage]:
        """The messages as an engine may rely on them."""
        return renderable(self.messages)

    def copy(self) -> Context:
        """The same conversation, to go on differently."""
        other = Context()
        other._entries = list(self._entries)
        other._condensed = set(self._condensed)
        return other

    def lasting(self, guesses: Collection[int]) -> list[BaseMessage]:
        """The messages without those of responses (by generation) that may still be thrown away."""
        return [
            entry.message for entry in self._entries if not entry.assumed and entry.generation not in guesses
        ]

    @property
    def condensed(self) -> tuple[str, ...]:
        """Ids of the messages for which the summary stands."""
        return tuple(sorted(self._condensed))

    def restore(self, messages: Iterable[BaseMessage], condensed: Iterable[str]) -> None:
        """Take over a conversation that another process has held."""
        self._entries = [Entry(message) for message in messages]
        self._condensed = set(condensed)

    def get(self, item_id: str) -> BaseMessage | None:
        """The message of that id."""
        at = self._find(item_id)
        return None if at is None else self._entries[at].message

    def heard_samples(self, item_id: str) -> int:
        """Samples heard of an utterance that is no item yet."""
        return self._underway.samples(item_id)

    @property
    def listening(self) -> bool:
        """Whether an utterance is being heard, or taken for one, that is no item yet."""
        return bool(self._underway)

    def is_being_heard(self, item_id: str) -> bool:
        """Whether an utterance is neither an item yet nor taken for one."""
        return item_id in self._underway and self._find(item_id) is None

    # --- what the user says -------------------------------------------------------------------------------

    def hear(self, item_id: str, samples: int) -> None:
        """So many more samples of an utterance."""
        self._underway.hear(item_id, samples)

    def see(self, item_id: str, file_id: str) -> None:
        """A picture belongs to the utterance being heard."""
        self._underway.see(item_id, file_id)

    def assume_committed(self, generation: int) -> None:
        """Let a speculative response see what is being heard as if the turn were over."""
        for message in self._underway.messages():
            if self._find(message.id or "") is None:
                self._entries.append(Entry(message, generation, assumed=True))

    def upcoming(self, item_id: str, transcript: str, captions: Mapping[str, str]) -> list[BaseMessage]:
        """The messages as `for_model` gives them if what is being heard were said with these words.

        Args:
            item_id: The utterance.
            transcript: What was said in it so far.
            captions: What its pictures show, by key; those without one are left out.
        """
        return [*self.for_model(), self._underway.message(item_id, transcript, captions)]

    def pictures_of(self, item_id: str) -> tuple[str, ...]:
        """Keys of the pictures that belong to an utterance that is no item yet."""
        return self._underway.pictures(item_id)

    def forget(self, item_id: str) -> None:
        """The utterance came to nothing."""
        self._underway.drop(item_id)
        at = self._find(item_id)
        if at is not None and self._entries[at].assumed:
            del self._entries[at]

    # --- edits by the client ------------------------------------------------------------------------------

    def insert(self, item: Item, after: str | None = None) -> None:
        """Put an item after another (None: at the end; ``root``: first).

        A result goes behind its call, wherever ``after`` points. An utterance that a speculative response
        already assumed keeps its place before that response's messages.

        Raises:
            InvalidEvent: The id is taken, or the call already has its result.
            NotFound: There is no item ``after``, or no call for this result.
        """
        messages = from_item(item, self._underway.samples(item.id))
        if item.kind == "function_call_output" and item.call is not None:
            self._insert_result(item.call.id, messages[0], None)
            return
        self._check_new(item)
        place = self._place(after)
        at = self._find(item.id)
        if at is not None:
            messages = [_keeping_texts(messages[0], self._entries.pop(at).message)]
            place = at if after is None else place - (place > at)
        self._underway.drop(item.id)
        self._entries[place:place] = [Entry(message) for message in messages]

    def append(self, message: BaseMessage) -> None:
        """Put a message at the end, as it is.

        Raises:
            InvalidEvent: It has no id, or one that is taken.
        """
        if not message.id or self._find(message.id) is not None:
            raise InvalidEvent(f"There is already an item with the id '{message.id}'.", param="item.id")
        self._entries.append(Entry(message))

    def remove(self, item_id: str) -> None:
        """Take an item out, and with a call its result; an unknown id is no error."""
        at = self._find(item_id)
        if at is None:
            return
        call_id = made_call(self._entries.pop(at).message)
        if call_id is not None:
            self._entries = [entry for entry in self._entries if not _answers(entry.message, call_id)]

    def keep_heard(self, item_id: str, text: str) -> None:
        """Cut an answer to the words that were heard; one of which nothing was heard stays, empty."""
        at = self._find(item_id)
        if at is None:
            return
        message = self._entries[at].message
        if isinstance(message, AIMessage) and not message.tool_calls:
            self._entries[at] = replace(self._entries[at], message=interrupted(message, text.rstrip()))

    # --- what a response produces -------------------------------------------------------------------------

    def add_text(self, item_id: str, text: str, generation: int) -> None:
        """More of an answer, as it is sent; what comes after the user cut it off is not heard."""
        at = self._find(item_id)
        if at is None:
            self._entries.append(Entry(AIMessage(id=item_id, content=text), generation))
            return
        entry = self._entries[at]
        if is_interrupted(entry.message):
            return
        message = AIMessage(id=item_id, content=f"{entry.message.content}{text}")
        self._entries[at] = replace(entry, message=message)

    def add_call(self, item_id: str, call: ToolCall, generation: int, *, client: bool = False) -> None:
        """A call that the model made; a second one of the same id changes nothing."""
        if self._find_call(call.id) is None:
            self._entries.append(Entry(call_message(item_id, call, client=client), generation))

    def add_tool_result(self, call_id: str, output: str, *, ok: bool = True) -> bool:
        """What a call returned; False when the call is gone or has its result already."""
        at = self._find_call(call_id)
        if at is None:
            return False
        entry = self._entries[at]
        message = result_message(result_id(entry.message.id or ""), call_id, output, ok=ok)
        try:
            self._insert_result(call_id, message, entry.generation)
        except InvalidEvent:
            return False
        return True

    def replace_tool_result(self, call_id: str, output: str, *, ok: bool = True) -> bool:
        """What a call returned in the end, in place of what it said at first; False when the call is gone."""
        at = self._find_call(call_id)
        if at is None:
            return False
        if at + 1 == len(self._entries) or not _answers(self._entries[at + 1].message, call_id):
            return self.add_tool_result(call_id, output, ok=ok)
        entry = self._entries[at + 1]
        message = result_message(entry.message.id or "", call_id, output, ok=ok)
        self._entries[at + 1] = replace(entry, message=message)
        return True

    def discard(self, generation: int) -> list[str]:
        """Undo a response as if it had never run; returns the utterances that it took as committed."""
        assumed = [
            entry.message.id or ""
            for entry in self._entries
            if entry.assumed and entry.generation == generation
        ]
        gone = {made_call(entry.message) for entry in self._entries if entry.generation == generation} - {
            None
        }
        self._entries = [
            entry
            for entry in self._entries
            if entry.generation != generation
            and not (isinstance(entry.message, ToolMessage) and entry.message.tool_call_id in gone)
        ]
        return assumed

    # --- what is learnt and what must go ------------------------------------------------------------------

    def set_transcript(self, file_id: str, transcript: str) -> None:
        """What was said in an utterance."""
        self._annotate("audio", file_id, "transcript", transcript)

    def set_caption(self, file_id: str, caption: str) -> None:
        """What a picture shows."""
        self._annotate("image", file_id, "caption", caption)

    def rewrite(self, message: BaseMessage) -> None:
        """Put another version of a message in its place."""
        at = self._find(message.id or "")
        if at is not None:
            self._entries[at] = replace(self._entries[at], message=message)

    def condense(self, count: int, summary: str) -> None:
        """Let a summary stand for the oldest ``count`` messages."""
        self._condensed.update(entry.message.id or "" for entry in self._entries[:count])
        self._entries[:count] = [Entry(SystemMessage(id=SUMMARY_ID, content=summary))]

    # --- places -------------------------------------------------------------------------------------------

    def _find(self, item_id: str) -> int | None:
        return next((at for at, entry in enumerate(self._entries) if entry.message.id == item_id), None)

    def _find_call(self, call_id: str) -> int | None:
        return next(
            (at for at, entry in enumerate(self._entries) if made_call(entry.message) == call_id), None
        )

    def _place(self, after: str | None) -> int:
        if after is None:
            return len(self._entries)
        at = 0
        if after != ROOT and (found := self._find(after)) is not None:
            at = found + 1
        elif after != ROOT and after not in self._condensed:
            raise NotFound(f"There is no item '{after}' to put the new one after.", param="previous_item_id")
        elif self._entries and self._entries[0].message.id == SUMMARY_ID:
            at = 1
        while at < len(self._entries) and at and self._is_answer_to(at, self._entries[at - 1].message):
            at += 1
        return at

    def _check_new(self, item: Item) -> None:
        at = self._find(item.id)
        if at is not None and not (
            self._entries[at].assumed and item.kind == "message" and item.role == "user"
        ):
            raise InvalidEvent(f"There is already an item with the id '{item.id}'.", param="item.id")
        if item.call is not None and self._find_call(item.call.id) is not None:
            raise InvalidEvent(f"There is already a call with the id '{item.call.id}'.", param="item.call_id")

    def _is_answer_to(self, at: int, before: BaseMessage) -> bool:
        call_id = made_call(before)
        return call_id is not None and _answers(self._entries[at].message, call_id)

    def _insert_result(self, call_id: str, message: BaseMessage, generation: int | None) -> None:
        at = self._find_call(call_id)
        if at is None:
            raise NotFound(f"There is no call '{call_id}' for this result.", param="item.call_id")
        if self._find(message.id or "") is not None or (
            at + 1 < len(self._entries) and _answers(self._entries[at + 1].message, call_id)
        ):
            raise InvalidEvent(f"The call '{call_id}' already has its result.", param="item.call_id")
        self._entries.insert(at + 1, Entry(message, generation))

    def _annotate(self, kind: str, file_id: str, key: str, value: str) -> None:
        for at, entry in enumerate(self._entries):
            content = blocks(entry.message) if isinstance(entry.message, HumanMessage) else []
            if any(block["type"] == kind and block["file_id"] == file_id for block in content):
                annotated = [
                    {**block, key: value} if block["type"] == kind and block["file_id"] == file_id else block
                    for block in content
                ]
                self._entries[at] = replace(entry, message=human(entry.message.id or "", annotated))


def _answers(message: BaseMessage, call_id: str) -> bool:
    return isinstance(message, ToolMessage) and message.tool_call_id == call_id


def _keeping_texts(message: BaseMessage, known: BaseMessage) -> BaseMessage:
    """A committed utterance with the transcript and captions that were found while it was assumed."""
    texts = {block.get("file_id"): block for block in blocks(known)}
    merged: Sequence[Block] = [
        {**block, **{key: value for key, value in texts.get(block.get("file_id"), {}).items() if value}}
        if block["type"] != "text"
        else block
        for block in blocks(message)
    ]
    return human(message.id or "", merged)
