"""What there is to see of a conversation: both sides' words, the tools, and how things stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from hearsight.streams.events import (
    AudioCommitted,
    AudioContent,
    AudioDelta,
    ContentDone,
    Dropped,
    Item,
    ItemAdded,
    ItemRetrieved,
    Output,
    OutputItemDone,
    OutputItemStarted,
    Refused,
    ResponseEnded,
    ResponseStarted,
    SpeechStarted,
    SpeechStopped,
    TextContent,
    TextDelta,
    TranscriptionCompleted,
    TranscriptionError,
    Usage,
)

Who: TypeAlias = Literal["you", "answer", "tool", "note"]
Phase: TypeAlias = Literal["listening", "hearing you", "thinking", "speaking"]


@dataclass(slots=True)
class Line:
    """One thing that was said, done or noted."""

    who: Who
    text: str = ""
    item_id: str = ""
    unheard: str = ""
    """The end of an interrupted answer, which nobody heard."""
    outcome: str | None = None
    """What a tool returned, None while it runs."""
    ok: bool = True
    complete: bool = False
    """Whether its words are all there, and only their playback may still change it."""


@dataclass(slots=True)
class Talk:
    """Follows a conversation by what its session puts out. Holds only the lines that may still change.

    Attributes:
        clock: Seconds.
        lines: In the order of the conversation.
        usage: Tokens of the last answer, None before the first.
        latency_s: From the end of the last turn to the first sound of its answer, None before the first.
    """

    clock: Callable[[], float]
    lines: list[Line] = field(default_factory=list)
    usage: Usage | None = None
    latency_s: float | None = None
    _utterance: str | None = None
    _owed: bool = False
    _active: str | None = None
    _asked_at_s: float | None = None

    def take(self, output: Output) -> None:
        """Take the next output of the session."""
        match output:
            case SpeechStarted():
                self._utterance = output.item_id
                self._line("you", output.item_id)
            case SpeechStopped():
                self._utterance = None
            case AudioCommitted():
                self._line("you", output.item_id)
                self._asked()
            case TranscriptionCompleted():
                self._written_down(output.item_id, output.text or "(nothing was heard)")
            case TranscriptionError():
                self._written_down(output.item_id, "(not written down)")
                self.note(output.message)
            case ItemAdded():
                self._typed(output.item)
            case ItemRetrieved():
                self._keep_heard(output.item)
            case Dropped():
                self.note(f"Lost: {output.reason}.")
            case Refused():
                self.note(output.message)
            case _:
                self._answer(output)

    def note(self, text: str) -> None:
        """Add a remark about the session itself."""
        self.lines.append(Line("note", text, complete=True))

    @property
    def at_rest(self) -> bool:
        """Whether nobody speaks, and no answer is owed or being made; one may still be playing."""
        return self._utterance is None and not self._owed and self._active is None

    def phase(self, *, playing: bool) -> Phase:
        """Who is at it.

        Args:
            playing: Whether the speaker plays an answer.
        """
        if self._utterance is not None:
            return "hearing you"
        if playing:
            return "speaking"
        return "listening" if self.at_rest else "thinking"

    def settled(self, *, playing: bool) -> list[Line]:
        """Remove the lines that will not change any more, up to the first that may, and return them.

        Args:
            playing: Whether the speaker plays an answer, of which the end may still go unheard.
        """
        last_answer = max((at for at, line in enumerate(self.lines) if line.who == "answer"), default=-1)
        count = 0
        for at, line in enumerate(self.lines):
            if not line.complete or (playing and at == last_answer):
                break
            count += 1
        settled, self.lines = self.lines[:count], self.lines[count:]
        return settled

    # --- the answer ---------------------------------------------------------------------------------------

    def _answer(self, output: Output) -> None:
        match output:
            case ResponseStarted():
                self._active, self._owed = output.response_id, False
            case OutputItemStarted() if output.item.kind == "message":
                self._line("answer", output.item.id)
            case OutputItemStarted() if output.item.call is not None:
                call = output.item.call
                self._line("tool", output.item.id).text = f"{call.name}({call.arguments})"
            case TextDelta():
                line = self._line("answer", output.item_id)
                line.text += output.text
            case AudioDelta() if self._asked_at_s is not None:
                self.latency_s = self.clock() - self._asked_at_s
                self._asked_at_s = None
            case ContentDone():
                self._cut(output.item_id, output.text)
                self._line("answer", output.item_id).complete = True
            case OutputItemDone() if output.item.kind == "server_call":
                line = self._line("tool", output.item.id)
                line.ok = output.item.error is None and output.item.output is not None
                line.outcome = output.item.output or output.item.error or "stopped"
                line.complete = True
            case ResponseEnded():
                self._ended(output)

    def _ended(self, ended: ResponseEnded) -> None:
        if ended.response_id == self._active:
            self._active = None
        if ended.usage.input_text:
            self.usage = ended.usage
        if ended.status == "failed":
            self.note(f"The answer failed: {ended.message or ended.reason}")
        elif ended.status == "incomplete":
            self.note("The answer is cut short: it reached its limit of tokens.")

    # --- lines ---------------------------------------------------------------------------------------------

    def _line(self, who: Who, item_id: str) -> Line:
        """The line of an item, a new one where there is none."""
        for line in self.lines:
            if line.item_id == item_id:
                return line
        line = Line(who, item_id=item_id)
        self.lines.append(line)
        return line

    def _written_down(self, item_id: str, text: str) -> None:
        line = self._line("you", item_id)
        line.text, line.complete = text, True

    def _typed(self, item: Item) -> None:
        typed = [part.text for part in item.content if isinstance(part, TextContent)]
        if item.kind == "message" and item.role == "user" and typed:
            self._written_down(item.id, " ".join(typed))
            self._asked()

    def _asked(self) -> None:
        self._asked_at_s, self._owed = self.clock(), True

    def _keep_heard(self, item: Item) -> None:
        heard = [part.transcript or "" for part in item.content if isinstance(part, AudioContent)]
        if item.role == "assistant" and heard and item.status == "incomplete":
            self._cut(item.id, heard[0])

    def _cut(self, item_id: str, heard: str) -> None:
        """Part the words that were heard from those that were not."""
        for line in self.lines:
            if line.item_id == item_id:
                whole = line.text + line.unheard
                if whole.startswith(heard):
                    line.text, line.unheard = heard, whole[len(heard) :]
