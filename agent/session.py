"""The agent's side of one session."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import structlog

from hearsight.agent.answer import Answer
from hearsight.agent.anticipation import Anticipation
from hearsight.agent.briefing import Briefing
from hearsight.agent.camera import SessionCamera
from hearsight.agent.context import Context
from hearsight.agent.keeping import agent_state, pick_up, recall, restore
from hearsight.agent.ledger import Ledger
from hearsight.agent.lookout import SessionLookout
from hearsight.agent.messages import audio_file_id
from hearsight.agent.models.memory import out_of_memory
from hearsight.agent.pending import PendingCalls
from hearsight.agent.tool_runs import ToolRuns
from hearsight.agent.transcripts import Transcripts
from hearsight.agent.turn import State, Turn
from hearsight.agent.upkeep import Upkeep
from hearsight.agent.watchdog import Watchdog
from hearsight.streams.errors import EngineError, HearsightError
from hearsight.streams.events import (
    AgentEvent,
    AnswerFailed,
    AnswerSpeech,
    AnswerText,
    AudioContent,
    ImageContent,
    InsertItem,
    Item,
    KeepHeard,
    Picture,
    RemoveItem,
    ResponseRequest,
    Samples,
    SessionConfig,
)
from hearsight.streams.ports import Host
from hearsight.tools.calls import ToolOutcome
from hearsight.tools.context import ToolContext
from hearsight.tools.errors import ToolError
from hearsight.tools.timers import Timer, Timers
from hearsight.tools.watches import Watches

if TYPE_CHECKING:
    from hearsight.agent.agent import HearsightAgent

_log = structlog.get_logger(__name__)
FINISHED = """\
{name}, which you started for the user earlier, has ended. Its result is this: {result}
Tell the user about it in one or two short sentences."""
MAX_REPORTED = 2_000
"""Characters of a result that the model is shown once more."""
BROKEN = "Something went wrong while answering. Please say it again."


class HearsightAgentSession:
    """Implements ``hearsight.streams.ports.AgentSession``."""

    def __init__(
        self, agent: HearsightAgent, session_id: str, host: Host, state: Mapping[str, Any] | None = None
    ) -> None:
        self._agent = agent
        self._session_id = session_id
        self._context = Context()
        self._conversation = agent.engine.open(session_id)
        limit = min(agent.settings.context_limit, agent.engine.context_limit)
        self._ledger = Ledger(
            self._conversation.counter, limit=limit, reserve=min(agent.settings.reserve_tokens, limit // 2)
        )
        self._timers = Timers(self._announcer(host), session_id=session_id)
        camera = SessionCamera(host, self._conversation, agent.now)
        lookout = SessionLookout(
            host,
            self._conversation,
            agent.engine.capabilities,
            lambda: self._anticipation.answering or self._context.listening,
        )
        self._watches = Watches(lookout, host.announce, agent.settings.watch, session_id=session_id)
        self._tool_runs = ToolRuns(
            ToolContext(session_id, agent.now, camera, agent.memory, self._timers, self._watches),
            session_id,
            host.kept,
            host.note,
        )
        self._transcripts = Transcripts(self._conversation.transcribe)
        self._briefing = Briefing(agent.settings.instructions, agent.registry)
        self._confirmed: dict[int, asyncio.Event] = {}
        self._asides = itertools.count(1)
        self._host = host
        self._pending = PendingCalls()
        self._upkeep = Upkeep(
            self._context,
            self._ledger,
            self._briefing.request,
            caption=self._conversation.caption,
            transcribe=self._transcript,
        )
        self._anticipation = Anticipation(
            self._conversation,
            self._context,
            self._transcripts,
            self._briefing.request,
            reads=not agent.engine.capabilities.audio,
            tidy=self._upkeep.tidy,
            session_id=session_id,
        )
        self._left: list[asyncio.Task[ToolOutcome]] = []
        if state is not None:
            self._restore(state)

    @property
    def context(self) -> Context:
        """The conversation as the model sees it."""
        return self._context

    # --- what the session tells ---------------------------------------------------------------------------

    def configure(self, config: SessionConfig) -> None:
        """Take over instructions, tools and voice, and warm the model with them."""
        self._briefing.config = config
        self._anticipation.warm()

    def hear(self, item_id: str, samples: Samples) -> None:
        """More of an utterance, 16 kHz."""
        self._context.hear(item_id, samples.size)
        self._conversation.hear(item_id, samples)
        self._anticipation.hear(item_id, samples.size)

    def lull(self, item_id: str) -> None:
        """The user has fallen silent, perhaps for good."""
        self._anticipation.lull(item_id)

    def resumed(self, item_id: str) -> None:
        """The user went on after a lull."""
        self._anticipation.resumed(item_id)

    def see(self, item_id: str, picture: Picture, *, last_moment: bool) -> None:
        """A picture that belongs to the utterance being spoken; at the last moment, the answer waits."""
        self._context.see(item_id, picture.key)
        self._conversation.see(picture, in_depth=not last_moment)

    def foresee(self, pictures: Sequence[Picture]) -> None:
        """What a turn would be shown if it began now."""
        self._conversation.foresee(pictures)

    def forget(self, item_id: str) -> None:
        """Throw an utterance away that was never committed."""
        self._context.forget(item_id)
        self._transcripts.revise(item_id)
        self._conversation.forget(item_id)

    def edit(self, edit: InsertItem | RemoveItem | KeepHeard) -> None:
        """Change the context; what cannot be followed is logged, for the session has already checked it."""
        try:
            if isinstance(edit, InsertItem):
                self._take_media(edit.item)
                self._context.insert(edit.item, edit.after)
            elif isinstance(edit, RemoveItem):
                self._context.remove(edit.item_id)
                self._transcripts.revise(edit.item_id)
                self._conversation.forget(edit.item_id)
            else:
                self._context.keep_heard(edit.item_id, edit.text)
        except HearsightError as error:
            _log.warning("edit not followed", session_id=self._session_id, reason=error.message)

    def _take_media(self, item: Item) -> None:
        for index, part in enumerate(item.content):
            if isinstance(part, ImageContent):
                # Camera frames bear the time at which they were taken; what a client attaches does not.
                self._conversation.see(part.picture, in_depth=not part.picture.captured_ms)
            elif isinstance(part, AudioContent) and part.samples is not None and part.transcript is None:
                self._conversation.hear(audio_file_id(item.id, index), part.samples)

    async def transcribe(self, item_id: str) -> tuple[str, float]:
        """What was said in an item, and how long it lasted in seconds.

        Raises:
            EngineError: The transcript could not be made.
        """
        heard = await self._transcripts.get(item_id)
        self._context.set_transcript(item_id, heard.text)
        return heard.text, heard.duration_s

    async def overhear(self, samples: Samples) -> str:
        """What is said in this audio (16 kHz), which is not part of the conversation, or not yet.

        Raises:
            EngineError: It could not be written down.
        """
        aside = f"aside_{next(self._asides)}"
        self._conversation.hear(aside, samples)
        try:
            return (await self._conversation.transcribe(aside)).text
        finally:
            self._conversation.forget(aside)

    # --- answering ----------------------------------------------------------------------------------------

    def respond(self, request: ResponseRequest) -> AsyncGenerator[AgentEvent]:
        """Answer; the last event is ``AnswerFinished`` or ``AnswerFailed``. Closing the iterator stops it."""
        confirmed = asyncio.Event()
        if request.speculative:
            self._context.assume_committed(request.generation)
            self._confirmed[request.generation] = confirmed
        else:
            confirmed.set()
        return self._respond(request, confirmed)

    async def _respond(
        self, request: ResponseRequest, confirmed: asyncio.Event
    ) -> AsyncGenerator[AgentEvent]:
        answer: Answer | None = None
        try:
            turn = self._turn(request, confirmed)
            answer = turn.answer
            if self._left:
                await asyncio.wait(self._left)
                self._left.clear()
            with self._anticipation.suspended():
                async with (
                    aclosing(self._events(turn)) as made,
                    aclosing(turn.watchdog.watch(made)) as events,
                ):
                    async for event in events:
                        yield event
                        # Only now has the session taken it: what it never got stands in no context.
                        if isinstance(event, AnswerText | AnswerSpeech):
                            turn.record.add_text(event.item_id, event.text, event.generation)
        except HearsightError as error:
            yield AnswerFailed(request.generation, error.code, error.message)
        except ToolError as error:
            yield AnswerFailed(request.generation, "invalid_tools", error.message)
        # The boundary at which a bug ends the answer and not the session; the log has the traceback.
        except Exception as error:
            _log.exception("answer failed", session_id=self._session_id, generation=request.generation)
            told = out_of_memory(error) or EngineError(BROKEN)
            yield AnswerFailed(request.generation, told.code, told.message)
        finally:
            self._confirmed.pop(request.generation, None)
            if answer is not None:
                await answer.aclose()

    async def _events(self, turn: Turn) -> AsyncGenerator[AgentEvent]:
        # Each round takes two steps; langgraph's own limit would cut long chains of calls short.
        steps = 2 * turn.limits.max_tool_rounds + 8
        stream: Any = self._agent.graph.astream(
            State(messages=[]), {"recursion_limit": steps}, context=turn, stream_mode="custom"
        )
        async with aclosing(stream) as events:
            async for event in events:
                yield event

    def confirm(self, generation: int) -> None:
        """A speculative response is now real: tools with side effects may run."""
        if (confirmed := self._confirmed.get(generation)) is not None:
            confirmed.set()

    def discard(self, generation: int) -> None:
        """Undo a stopped speculative response as if it had never run."""
        self._pending.discard(generation)
        for item_id in self._context.discard(generation):
            self._transcripts.revise(item_id)

    def limit_history(self, share: float) -> None:
        """Keep the conversation's past to a share of its room, from the next time that nobody waits."""
        self._upkeep.history = share

    # --- lasting longer than the process ------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """What to open the agent of the same conversation with, in another process."""
        guesses = {generation for generation, real in self._confirmed.items() if not real.is_set()}
        timers = self._timers.state(self._agent.now())
        return agent_state(self._context, guesses, self._tool_runs, self._pending, timers)

    def _restore(self, state: Mapping[str, Any]) -> None:
        restore(state, self._context, self._pending)
        recall(state, self._context, self._conversation, self._agent.engine.capabilities)
        self._timers.restore(state["timers"], self._agent.now())
        for long, run in pick_up(state, self._context, self._tool_runs, self._agent.registry):
            if long:
                run.add_done_callback(self._tell)
            else:
                self._left.append(run)

    def _tell(self, run: asyncio.Task[ToolOutcome]) -> None:
        if not run.cancelled():
            self._report(run.result())

    async def aclose(self) -> None:
        """Stop everything that belongs to the session; idempotent."""
        await self._anticipation.aclose()
        await self._timers.aclose()
        await self._tool_runs.aclose()
        await self._watches.aclose()
        await self._transcripts.aclose()
        await self._conversation.aclose()

    # --- parts --------------------------------------------------------------------------------------------

    def _turn(self, request: ResponseRequest, confirmed: asyncio.Event) -> Turn:
        source = self._context
        if request.input is not None:
            source = Context()
            for item in request.input:
                self._take_media(item)
                source.insert(item)
        elif request.detached:
            source = self._context.copy()
        record = source if request.detached else self._context
        return Turn(
            request=request,
            source=source,
            record=record,
            conversation=self._conversation,
            capabilities=self._agent.engine.capabilities,
            ledger=self._ledger,
            registry=self._briefing.registry(request.tools),
            tool_runs=self._tool_runs,
            answer=Answer(request, self._agent.voice, record),
            instructions=self._briefing.instructions(request.instructions),
            transcribe=self._transcript,
            limits=self._agent.settings.answer,
            confirmed=confirmed,
            watchdog=Watchdog(self._agent.settings.stall_s),
            pending=self._pending,
            finished=self._report,
        )

    def _report(self, outcome: ToolOutcome) -> None:
        """A tool that ran by itself has ended: tell the user once nobody speaks."""
        if outcome.say is not None:
            self._host.announce(outcome.say)
        else:
            self._host.report(FINISHED.format(name=outcome.name, result=outcome.content[:MAX_REPORTED]))

    async def _transcript(self, file_id: str) -> str:
        return (await self._transcripts.get(file_id)).text

    @staticmethod
    def _announcer(host: Host) -> Callable[[Timer], Any]:
        async def announce(timer: Timer) -> None:
            host.announce(timer.announcement)

        return announce
