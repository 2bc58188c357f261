"""Telling speech from tool calls while a model writes.

Speech goes on as soon as it can no longer be the start of a call; a call is held until it is whole and is
then read; half a call is never spoken. What looks like a call and turns out to be none is spoken after all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from hearsight.agent.call_parser import parse_calls
from hearsight.agent.call_scanner import Extent, Kind, Opening, Verdict, extent_of, match_opening
from hearsight.agent.call_syntax import (
    CallSyntaxError,
    NotACall,
    ParsedCall,
    ToolParameters,
    UnknownTool,
    names_a_tool,
)

MAX_CALL_CHARS = 16_384
"""A longer call is given up; what remains of it is dropped up to its end."""
MAX_DOUBTFUL_CHARS = 512
"""``[word(`` may be an aside in brackets: it is held no longer than this."""


@dataclass(frozen=True, slots=True)
class SpeechText:
    """Text to be spoken; may be nothing but whitespace."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallText:
    """A call of a tool that exists.

    Attributes:
        name: The tool.
        arguments: JSON-compatible values by parameter name, as the model gave them; not yet validated.
    """

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class MalformedCall:
    """A call that cannot be made.

    Attributes:
        raw: What the model wrote, at most ``MAX_CALL_CHARS`` of it.
        reason: What is wrong with it, in words that a model can act on; no full stop at the end.
    """

    raw: str
    reason: str


RouterEvent: TypeAlias = SpeechText | ToolCallText | MalformedCall


@dataclass(slots=True)
class _Call:
    """A call that is being written."""

    opening: Opening
    extent: Extent
    raw: list[str]
    """Its characters so far, marks included."""
    given_up: bool = False


class Router:
    """Routes the text of one generation.

    The events depend on the text alone, not on the deltas in which it came, but for where speech is cut into
    events. Joined, the speech is the text without its calls.
    """

    def __init__(self, tools: ToolParameters) -> None:
        """Make a router.

        Args:
            tools: Name of each tool → names of its parameters in the order of positional arguments.
        """
        self._tools = {name: tuple(parameters) for name, parameters in tools.items()}
        self._begin()

    def feed(self, delta: str) -> list[RouterEvent]:
        """Take more text and return what is now decided; never raises."""
        for char in delta:
            self._take(char)
        return self._drain()

    def flush(self) -> list[RouterEvent]:
        """End the text and return what is left of it; the router is then as new."""
        if self._call is not None and not self._call.given_up:
            self._end_call(self._call, complete=False)
        while self._held:
            self._release_held()
        events = self._drain()
        self._begin()
        return events

    def _begin(self) -> None:
        self._events: list[RouterEvent] = []
        self._speech: list[str] = []
        self._held = ""  # may be the opening of a call
        self._call: _Call | None = None
        self._position = _Position()

    def _drain(self) -> list[RouterEvent]:
        self._close_speech()
        events, self._events = self._events, []
        return events

    def _close_speech(self) -> None:
        if self._speech:
            self._events.append(SpeechText("".join(self._speech)))
            self._speech.clear()

    def _take(self, char: str) -> None:
        if self._call is not None:
            self._extend_call(self._call, char)
            return
        self._held += char
        while self._held:
            found = match_opening(
                self._held,
                self._tools,
                at_statement=self._position.at_statement,
                in_code=self._position.in_code,
            )
            if found is Verdict.PENDING:
                return
            if isinstance(found, Opening):
                held, self._held = self._held, ""
                self._start_call(found, held)
                return
            self._release_held()

    def _release_held(self) -> None:
        """Speak what cannot be the opening of a call: the first character, or a fence as a whole."""
        length = 3 if self._held.startswith("```") else 1
        self._speak(self._held[:length])
        self._held = self._held[length:]

    def _speak(self, text: str) -> None:
        self._speech.append(text)
        self._position.advance(text)

    def _start_call(self, opening: Opening, written: str) -> None:
        extent = extent_of(opening)
        for char in written[opening.body :]:
            extent.ends_with(char)  # an opening is too short to hold the end
        self._call = _Call(opening, extent, list(written))

    def _extend_call(self, call: _Call, char: str) -> None:
        ended = call.extent.ends_with(char)
        if not call.given_up:
            call.raw.append(char)
        if ended:
            if call.given_up:
                self._finish()
            else:
                self._end_call(call, complete=True)
        elif len(call.raw) == MAX_DOUBTFUL_CHARS and call.opening.kind is Kind.LIST:
            if not names_a_tool("".join(call.raw), self._tools):
                self._speak_call(call)
        elif len(call.raw) == MAX_CALL_CHARS:
            self._give_up(call)

    def _give_up(self, call: _Call) -> None:
        """Stop holding what is too long for a call."""
        raw = "".join(call.raw)
        if call.opening.kind.certain or names_a_tool(raw[call.opening.body :], self._tools):
            self._reject(raw, f"the call is longer than {MAX_CALL_CHARS} characters")
            call.given_up = True
            call.raw.clear()
        else:
            self._speak_call(call)

    def _end_call(self, call: _Call, *, complete: bool) -> None:
        raw = "".join(call.raw)
        body = _body(raw, call.opening, complete=complete)
        bracketed = call.opening.kind in (Kind.CALL, Kind.LIST, Kind.OBJECT)
        try:
            if bracketed and not complete:
                raise self._cut_off(body)
            calls = parse_calls(body, self._tools)
        except (NotACall, CallSyntaxError) as error:
            if _is_speech(error, call.opening.kind):
                self._speak_call(call)
            else:
                self._reject(raw, str(error))
                self._finish()
            return
        self._accept(calls)
        self._finish()

    def _cut_off(self, body: str) -> NotACall | CallSyntaxError:
        if names_a_tool(body, self._tools):
            return CallSyntaxError("the call breaks off before its closing bracket")
        return NotACall("it breaks off")

    def _accept(self, calls: list[ParsedCall]) -> None:
        self._close_speech()
        self._events += (ToolCallText(call.name, call.arguments) for call in calls)

    def _reject(self, raw: str, reason: str) -> None:
        self._close_speech()
        self._events.append(MalformedCall(raw, reason))

    def _speak_call(self, call: _Call) -> None:
        """What looked like a call is speech."""
        self._call = None
        self._speak("".join(call.raw))

    def _finish(self) -> None:
        self._call = None
        self._position.after_call()


def _body(raw: str, opening: Opening, *, complete: bool) -> str:
    """The text of a call without the marks around it."""
    closing = {Kind.TOOL_FENCE: 3, Kind.CODE_FENCE: 3, Kind.TAG: len(opening.tag) + 3}.get(opening.kind, 0)
    return raw[opening.body : len(raw) - closing if complete else len(raw)]


def _is_speech(error: NotACall | CallSyntaxError, kind: Kind) -> bool:
    """Whether a text that cannot be read as a call was never meant as one."""
    if kind.certain:
        return False
    if isinstance(error, UnknownTool):
        # A block of Python that calls some other function is an example of code.
        return kind is Kind.CODE_FENCE and error.written_as == "python"
    return isinstance(error, NotACall)


class _Position:
    """Where the speech stands: may a call without marks begin here, and is this a block of code?"""

    def __init__(self) -> None:
        self.at_statement = True
        self.in_code = False
        self._sentence_ended = False
        self._called = False  # only a call and separators since

    def advance(self, text: str) -> None:
        """Go past spoken text, which comes whole where it holds a fence."""
        for char in text:
            if char == "\n":
                self.at_statement = True
            elif char.isspace():
                self.at_statement = self.at_statement or self._sentence_ended
            elif not (self._called and char in ",;"):
                self.at_statement = self._called = False
                if char not in "\"'”’)*_":
                    self._sentence_ended = char in ".!?:…"
        if text.count("```") % 2:
            self.in_code = not self.in_code

    def after_call(self) -> None:
        """A call ended here: another may follow."""
        self.at_statement = self._called = True
        self._sentence_ended = False
