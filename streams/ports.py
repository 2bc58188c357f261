"""What the streams need of the rest: the agent behind a session, and the host that a session gives it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from hearsight.streams.events import (
    AgentEvent,
    Detail,
    InsertItem,
    KeepHeard,
    Picture,
    RemoveItem,
    ResponseRequest,
    Samples,
    SessionConfig,
)

MOVED: Final = "Another connection has taken over this session, and goes on with it elsewhere; this one ends."
DELETED: Final = "This conversation was deleted, so the session ends; open a new one to go on talking."
NOT_READABLE: Final = "This conversation was kept, but cannot be read any more; please open a new session."


@dataclass(frozen=True, slots=True)
class Medium:
    """A picture, or an utterance, that a conversation refers to."""

    sha256: str
    """Of the data, in hexadecimal digits; it names them where they are kept."""
    mime_type: str
    """``audio/wav`` for an utterance."""
    width: int = 0
    """Pixels, of a picture."""
    height: int = 0
    """Pixels, of a picture."""
    captured_ms: float = 0.0
    detail: Detail = "auto"
    data: bytes | None = field(default=None, repr=False, compare=False)
    """None where they are kept already, or not kept any more."""


@dataclass(frozen=True, slots=True)
class Record:
    """A conversation as it is kept: each part in the words of whoever made it."""

    session: dict[str, Any]
    """`hearsight.streams.session.state.SessionState`, as JSON."""
    agent: dict[str, Any]
    """What `AgentSession.state` gave; its ``messages`` are the conversation as the model sees it."""
    wire: dict[str, Any] = field(default_factory=dict)
    """The protocol spoken, as JSON, for a client that comes back."""
    media: Mapping[str, Medium] = field(default_factory=dict)
    """What the messages refer to, by file id, the latest last."""
    results: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What calls returned, by call id, that `Keeper.note` has kept and that is in no message yet."""
    revision: str = ""
    """With what to keep it again, where it was taken up."""


class Keeper(Protocol):
    """Where conversations are kept. Each belongs to the one session that has taken it up last."""

    async def keep(self, session_id: str, record: Record, revision: str = "") -> str:
        """Put a conversation in the place of what was kept of it before.

        Args:
            session_id: Whose it is.
            record: The conversation.
            revision: What the last call for it returned, or `take_up`; empty at first.

        Returns:
            The revision for the next call.

        Raises:
            Superseded: Another has taken it up since, or it was deleted; nothing was changed.
            NotKept: It could not be kept, for a reason to tell its client.
        """
        ...

    async def note(self, session_id: str, revision: str, call_id: str, result: Mapping[str, Any]) -> None:
        """Keep what a call has returned, at once and down to the disk, until a record has it.

        Args:
            session_id: Whose conversation it is.
            revision: The newest one.
            call_id: The call, which the record names as one that runs.
            result: As JSON.

        Raises:
            Superseded: Another has taken the conversation up.
        """
        ...

    async def find(self, session_id: str) -> Record | None:
        """A conversation that was kept, to look at; None when there is none.

        Raises:
            HearsightError: It cannot be read.
        """
        ...

    async def take_up(self, session_id: str) -> Record | None:
        """A conversation that was kept, to go on with, its media included; whoever had it has it no more.

        Raises:
            HearsightError: It cannot be read.
        """
        ...

    async def owns(self, session_id: str, revision: str) -> bool:
        """Whether nobody has taken a conversation up since this revision."""
        ...


class Host(Protocol):
    """What an agent may ask of the session that it serves."""

    def latest_picture(self) -> Picture | None:
        """The newest camera picture at full resolution, or None when no camera is live."""
        ...

    def announce(self, text: str) -> None:
        """Speak up unasked, once nobody is speaking."""
        ...

    def report(self, instructions: str) -> None:
        """Answer unasked, by these instructions, once nobody is speaking."""
        ...

    async def kept(self) -> None:
        """Wait until the conversation as it stands would survive this process, where any is kept.

        Raises:
            NotKept: It would not, for now.
            Superseded: It goes on elsewhere, and nothing may be done for it here any more.
        """
        ...

    async def note(self, call_id: str, result: Mapping[str, Any]) -> None:
        """Keep what a call has returned, ahead of all else, where any conversation is kept."""
        ...


class AgentSession(Protocol):
    """The agent of one session. Calls come in order, from one task; none blocks the event loop."""

    def configure(self, config: SessionConfig) -> None:
        """Take over instructions, tools and voice."""
        ...

    def hear(self, item_id: str, samples: Samples) -> None:
        """More of an utterance, 16 kHz, as it arrives."""
        ...

    def lull(self, item_id: str) -> None:
        """The user has fallen silent, perhaps for good: all that was heard may be all that is said."""
        ...

    def resumed(self, item_id: str) -> None:
        """The user went on after a lull."""
        ...

    def see(self, item_id: str, picture: Picture, *, last_moment: bool) -> None:
        """A picture that belongs to the utterance being spoken; at the last moment, the answer waits."""
        ...

    def foresee(self, pictures: Sequence[Picture]) -> None:
        """What a turn would be shown if it began now."""
        ...

    def forget(self, item_id: str) -> None:
        """Throw an utterance away that was never committed."""
        ...

    def edit(self, edit: InsertItem | RemoveItem | KeepHeard) -> None:
        """Change the context."""
        ...

    async def transcribe(self, item_id: str) -> tuple[str, float]:
        """What was said in an item, and how long it lasted in seconds.

        Raises:
            EngineError: The transcript could not be made.
        """
        ...

    async def overhear(self, samples: Samples) -> str:
        """What is said in this audio (16 kHz), which is not part of the conversation, or not yet.

        Raises:
            EngineError: It could not be written down.
        """
        ...

    def respond(self, request: ResponseRequest) -> AsyncIterator[AgentEvent]:
        """Answer; the last event is ``AnswerFinished`` or ``AnswerFailed``. Closing the iterator stops it."""
        ...

    def confirm(self, generation: int) -> None:
        """A speculative response is now real: tools with side effects may run."""
        ...

    def discard(self, generation: int) -> None:
        """Undo a stopped speculative response as if it had never run."""
        ...

    def limit_history(self, share: float) -> None:
        """Keep the conversation's past to a share of the room that there is for it; 1 is all of it."""
        ...

    def state(self) -> Mapping[str, Any]:
        """What to open the agent of the same conversation with, in another process."""
        ...

    async def aclose(self) -> None:
        """Stop everything that belongs to the session."""
        ...


class Agent(Protocol):
    """One per process; shared by its sessions."""

    def open(self, session_id: str, host: Host, state: Mapping[str, Any] | None = None) -> AgentSession:
        """A session's own agent.

        Args:
            session_id: Names the session.
            host: The session.
            state: Of an earlier process, to go on from.
        """
        ...


class EndOfTurn(Protocol):
    """Tells whether an utterance sounds finished."""

    async def probability(self, samples: Samples) -> float:
        """Probability in 0..1 that the speaker is done, from the utterance so far at 16 kHz."""
        ...
