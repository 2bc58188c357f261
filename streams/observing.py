"""Who watches the service work: what happens in a session is told as it happens, stage by stage.

A *stage* is a piece of work with a beginning and an end: asking the end-of-turn model, writing down what was
said, a node of the graph, a call of a tool, a clause of the voice. Whoever does it writes
``with stage("tool", tool=name):`` and need not know who watches, nor for which session it works: both come
with the task, in a context variable that the session's runtime sets. Where nobody watches, nothing is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeAlias

import structlog

from hearsight.streams.events import Command, Output, ResponseRequest
from hearsight.streams.ids import shown

Fact: TypeAlias = str | int | float | bool
Outcome: TypeAlias = Literal["ok", "failed", "cancelled"]

_log = structlog.get_logger(__name__)


class Observer:
    """Watches one session; each method does nothing unless it is overridden.

    All are called in the session's event loop, and none may block it.
    """

    def follow(self, command: Command) -> None:
        """The session asks something of its shell."""

    def tell(self, output: Output) -> None:
        """The session has something for its client."""

    def respond(self, request: ResponseRequest) -> None:
        """An answer begins; called in its own task, before all of its stages."""

    def begin(self, stage: Stage) -> None:
        """A stage begins."""

    def end(self, stage: Stage) -> None:
        """A stage has ended; called in the task in which it began."""

    def close(self) -> None:
        """The session is over."""


NewObserver: TypeAlias = Callable[[str], Observer]
"""Makes the observer of a session, of its id."""


class Observers(Observer):
    """Several as one; what goes wrong in one of them harms neither the others nor the session."""

    def __init__(self) -> None:
        self._members: list[Observer] = []

    def add(self, observer: Observer) -> None:
        """Tell one more."""
        self._members.append(observer)

    def follow(self, command: Command) -> None:
        """Tell all."""
        for member in self._members:
            with _harmless():
                member.follow(command)

    def tell(self, output: Output) -> None:
        """Tell all."""
        for member in self._members:
            with _harmless():
                member.tell(output)

    def respond(self, request: ResponseRequest) -> None:
        """Tell all."""
        for member in self._members:
            with _harmless():
                member.respond(request)

    def begin(self, stage: Stage) -> None:
        """Tell all."""
        for member in self._members:
            with _harmless():
                member.begin(stage)

    def end(self, stage: Stage) -> None:
        """Tell all, the last first, as what began last ends first."""
        for member in reversed(self._members):
            with _harmless():
                member.end(stage)

    def close(self) -> None:
        """Tell all."""
        for member in self._members:
            with _harmless():
                member.close()


@contextmanager
def _harmless() -> Iterator[None]:
    try:
        yield
    # The boundary at which a bug of whoever watches stops; the log has the traceback.
    except Exception:
        _log.exception("observer failed")


@dataclass(frozen=True, slots=True)
class Scope:
    """For what a task works."""

    session_id: str
    observers: Observers = field(repr=False)
    response_id: str | None = None
    """None for what belongs to the session, and not to one answer."""

    def of_response(self, response_id: str) -> Scope:
        """The same session's, for one of its answers."""
        return replace(self, response_id=response_id)


_SCOPE: Final[ContextVar[Scope | None]] = ContextVar("hearsight_scope", default=None)


def current_scope() -> Scope | None:
    """For what this task works; None where it is for no session."""
    return _SCOPE.get()


@contextmanager
def within(scope: Scope) -> Iterator[None]:
    """Work for this, and let the tasks that are created meanwhile do so."""
    token = _SCOPE.set(scope)
    try:
        yield
    finally:
        _SCOPE.reset(token)


class Stage:
    """A piece of work in progress; ends with its ``with`` block, or earlier by `end`.

    Attributes:
        name: What is done.
        scope: For whom; None where nobody is watching.
        facts: What is known of it: numbers and names, never what was said.
        outcome: How it ended: an exception means ``failed``, unless somebody knows better.
    """

    __slots__ = ("_ended", "facts", "name", "outcome", "scope")

    def __init__(self, name: str, scope: Scope | None, facts: dict[str, Fact]) -> None:
        self.name = name
        self.scope = scope
        self.facts = facts
        self.outcome: Outcome = "ok"
        self._ended = False

    def note(self, **facts: Fact) -> None:
        """More is known of it."""
        self.facts.update(facts)

    def fail(self) -> None:
        """It came to nothing, though nothing was raised."""
        self.outcome = "failed"

    def end(self) -> None:
        """It is done; idempotent."""
        if not self._ended:
            self._ended = True
            if self.scope is not None:
                self.scope.observers.end(self)

    def __enter__(self) -> Self:
        if self.scope is not None:
            self.scope.observers.begin(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._ended and error is not None:
            stopped = isinstance(error, asyncio.CancelledError | GeneratorExit)
            self.outcome = "cancelled" if stopped else "failed"
        self.end()


def stage(name: str, **facts: Fact) -> Stage:
    """A stage of whatever this task works for; it begins with its ``with`` block.

    Args:
        name: What is done, from a small set: it becomes the label of a metric.
        **facts: What is known of it beforehand.
    """
    return Stage(name, _SCOPE.get(), facts)


def add_ids(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put the ids of whatever the task works for into a line of the log; a structlog processor."""
    scope = _SCOPE.get()
    if scope is not None:
        event.setdefault("session_id", scope.session_id)
        if scope.response_id is not None:
            event.setdefault("response_id", scope.response_id)
    if isinstance(session_id := event.get("session_id"), str):
        event["session_id"] = shown(session_id)  # the whole id is what resumes a session: a secret
    return event
