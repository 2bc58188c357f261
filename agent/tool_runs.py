"""The tools that run for one session: each call once, whatever becomes of the answer that wanted it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import structlog

from hearsight.agent.context import Context
from hearsight.streams.errors import StateConflict
from hearsight.streams.observing import stage
from hearsight.tools.calls import ToolCall, ToolOutcome
from hearsight.tools.context import ToolContext
from hearsight.tools.registry import ToolRegistry

MAX_REMEMBERED = 256
"""Finished calls whose outcome is still held."""

_log = structlog.get_logger(__name__)


class ToolRuns:
    """Runs calls in tasks that belong to the session, not to a response.

    A response that is cancelled stops waiting; the tool goes on, and what it returns stands in the context
    for the next turn.

    Args:
        tool_context: The session, as its tools see it.
        session_id: For the log.
        kept: Waits until the conversation, and which calls run, would survive the process. What can be done
            only once begins after that, and its result is kept before anybody hears of it.
    """

    def __init__(
        self,
        tool_context: ToolContext,
        session_id: str = "",
        kept: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._tool_context = tool_context
        self._session_id = session_id
        self._kept = kept
        self._tasks: OrderedDict[str, asyncio.Task[ToolOutcome]] = OrderedDict()
        self._started: set[str] = set()
        self._running: dict[str, ToolCall] = {}

    @property
    def running(self) -> int:
        """Calls that have not ended."""
        return sum(1 for task in self._tasks.values() if not task.done())

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The calls that have been started and whose results are not in the context."""
        return tuple(self._running.values())

    def start(self, call: ToolCall, registry: ToolRegistry, context: Context) -> asyncio.Task[ToolOutcome]:
        """Run a call, or find the run that it already has.

        Args:
            call: Already in ``context``.
            registry: Knows the tool.
            context: Receives the result.

        Returns:
            A task to wait for, shielded: cancelling it would stop the tool.

        Raises:
            StateConflict: The call ran so long ago that its outcome is no longer held.
        """
        known = self._tasks.get(call.id)
        if known is not None:
            return known
        if call.id in self._started:
            raise StateConflict(f"The call '{call.id}' has already run.")
        self._started.add(call.id)
        task = asyncio.create_task(self._run(call, registry, context), name=f"tool {call.name} {call.id}")
        self._tasks[call.id] = task
        task.add_done_callback(self._prune)
        return task

    async def aclose(self) -> None:
        """Stop what still runs; no task remains."""
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, call: ToolCall, registry: ToolRegistry, context: Context) -> ToolOutcome:
        spec = registry.find(call.name)
        once = spec is not None and not spec.repeatable
        self._running[call.id] = call
        try:
            if once and self._kept is not None:
                await self._kept()
            with stage("tool", tool=call.name) as made:
                outcome = await registry.run(call, self._tool_context)
                if not outcome.ok:
                    made.fail()
            self._put(call, outcome, context, long_running=spec is not None and spec.long_running)
        finally:
            del self._running[call.id]
        if once and self._kept is not None:
            await self._kept()
        return outcome

    def _put(self, call: ToolCall, outcome: ToolOutcome, context: Context, *, long_running: bool) -> None:
        keep = context.replace_tool_result if long_running else context.add_tool_result
        if not keep(call.id, outcome.content, ok=outcome.ok):
            # The user went on speaking and the guess at an answer that made this call was thrown away.
            _log.debug("tool result not needed", session_id=self._session_id, tool=call.name, call_id=call.id)

    def _prune(self, _: asyncio.Task[ToolOutcome]) -> None:
        finished = [call_id for call_id, task in self._tasks.items() if task.done()]
        for call_id in finished[: max(0, len(finished) - MAX_REMEMBERED)]:
            del self._tasks[call_id]
