"""What a session asks of the models, each in a task of its own: answers, transcripts, judgements."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing
from typing import Any, TypeAlias

import structlog

from hearsight.streams.errors import HearsightError
from hearsight.streams.events import (
    AnswerFailed,
    EndpointEstimate,
    EstimateEndpoint,
    Input,
    Overhear,
    Overheard,
    ResponseRequest,
    StartResponse,
    StopResponse,
    Transcribe,
    Transcribed,
    TranscriptionFailed,
)
from hearsight.streams.observing import Scope, stage, within
from hearsight.streams.ports import AgentSession, EndOfTurn

Work: TypeAlias = EstimateEndpoint | Overhear | Transcribe | StartResponse | StopResponse
"""Commands that take time, or end what takes time."""

log = structlog.get_logger(__name__)


class Workers:
    """Owns the tasks of one session.

    Args:
        session_id: Names the session in logs.
        agent: Who answers, and writes down what was said.
        end_of_turn: Judges pauses; None where nobody does.
        scope: What the session's work belongs to.
        feed: Takes what comes of it.
        room: Waits until the client has room for more of an answer.
    """

    def __init__(
        self,
        session_id: str,
        agent: AgentSession,
        end_of_turn: EndOfTurn | None,
        scope: Scope,
        feed: Callable[[Input], None],
        room: Callable[[], Awaitable[None]],
    ) -> None:
        self._session_id = session_id
        self._agent = agent
        self._end_of_turn = end_of_turn
        self._scope = scope
        self._feed = feed
        self._room = room
        self._responses: dict[int, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._estimating: asyncio.Task[None] | None = None
        self._overhearing: asyncio.Task[None] | None = None

    def follow(self, command: Work) -> None:
        """Begin what is asked for, or end it."""
        match command:
            case EstimateEndpoint():
                if self._estimating is not None:
                    self._estimating.cancel()  # that silence is over; many sessions share the model
                self._estimating = self._spawn(self._estimate(command))
            case Overhear():
                self.stop_overhearing()
                self._overhearing = self._spawn(self._overhear(command))
            case Transcribe():
                self._spawn(self._transcribe(command.item_id))
            case StartResponse():
                generation = command.request.generation
                task = self._responses[generation] = asyncio.create_task(self._respond(command.request))
                task.add_done_callback(lambda _: self._responses.pop(generation, None))
            case StopResponse():
                if (answering := self._responses.get(command.generation)) is not None:
                    answering.cancel()
                if command.discard:
                    self._agent.discard(command.generation)

    def stop_overhearing(self) -> None:
        """Nobody waits for those words any more; the models have better things to do."""
        task, self._overhearing = self._overhearing, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    async def aclose(self) -> None:
        """Stop every task."""
        tasks = [*self._responses.values(), *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._worked)
        return task

    def _worked(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("worker failed", session_id=self._session_id, exc_info=error)

    async def _respond(self, request: ResponseRequest) -> None:
        with within(self._scope.of_response(request.response_id)):
            self._scope.observers.respond(request)
            await self._answer(request)

    async def _answer(self, request: ResponseRequest) -> None:
        try:
            async with aclosing(self._agent.respond(request)) as events:  # type: ignore[type-var]
                async for event in events:
                    self._feed(event)
                    await self._room()
        except HearsightError as error:
            log.warning("answer failed", session_id=self._session_id, code=error.code, reason=error.message)
            self._feed(AnswerFailed(request.generation, error.code, error.message))
        # The boundary at which a bug of an agent ends the answer and not the session; the log has it.
        except Exception:
            log.exception("answer failed", session_id=self._session_id, generation=request.generation)
            self._feed(
                AnswerFailed(
                    request.generation,
                    "server_error",
                    "The answer could not be finished because of an internal error; please try again.",
                )
            )

    async def _estimate(self, command: EstimateEndpoint) -> None:
        if self._end_of_turn is None:
            return
        with stage("end_of_turn") as asked:
            probability = await self._end_of_turn.probability(command.samples)
            asked.note(probability=round(probability, 3))
        self._feed(EndpointEstimate(command.item_id, command.silence_started_sample, probability))

    async def _overhear(self, command: Overhear) -> None:
        try:
            text = await self._agent.overhear(command.samples)
        except HearsightError as error:
            log.warning("not overheard", session_id=self._session_id, reason=error.message)
            text = None
        self._feed(Overheard(command.item_id, text))

    async def _transcribe(self, item_id: str) -> None:
        try:
            text, duration_s = await self._agent.transcribe(item_id)
        except HearsightError as error:
            self._feed(TranscriptionFailed(item_id, error.message))
        else:
            self._feed(Transcribed(item_id, text, duration_s))
