"""The tools of a session, and how they are run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import structlog
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool, ToolException
from pydantic import BaseModel, TypeAdapter, ValidationError

from hearsight.tools.arguments import ArgumentsSchema, identifier
from hearsight.tools.calls import MAX_SPOKEN_BYTES, ToolCall, ToolOutcome, ToolSpec, bounded
from hearsight.tools.client import client_specs
from hearsight.tools.context import ToolContext
from hearsight.tools.errors import ToolError
from hearsight.tools.signature import signature

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Entry:
    spec: ToolSpec
    arguments: ArgumentsSchema
    tool: BaseTool | None
    """None for a tool that the client runs."""
    takes_context: bool
    timeout_s: float | None = None
    """None for the registry's own limit."""


class ToolRegistry:
    """A fixed set of tools by name; immutable, so one serves many sessions.

    Args:
        tools: LangChain tools. A tool's ``extras`` may hold ``side_effects``, ``idempotent``,
            ``long_running``, ``timeout_s`` and ``confirm`` (true, or the question to ask, such as "Shall I
            delete {name}?");
            one that says nothing of side effects is taken to have them. A parameter named ``context`` and
            marked ``InjectedToolArg`` is filled in by ``run``.
        timeout_s: Seconds that a call may take, unless its tool is long-running or has a limit of its own.
        clock: Seconds, monotonic; measures how long calls take.

    Raises:
        ValueError: Two tools have the same name.
    """

    def __init__(
        self,
        tools: Iterable[BaseTool],
        *,
        timeout_s: float = 20.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timeout_s = timeout_s
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        for tool in tools:
            if tool.name in self._entries:
                raise ValueError(f"two tools are named {tool.name}")
            self._entries[tool.name] = _entry_of(tool)

    def specs(self) -> tuple[ToolSpec, ...]:
        """Every tool: built-in ones in their order, then the client's."""
        return tuple(entry.spec for entry in self._entries.values())

    def find(self, name: str) -> ToolSpec | None:
        """The tool of that name, or of the name that ``signature`` spells; None when there is none."""
        entry = self._find(name)
        return entry.spec if entry else None

    def with_tools(self, tools: Iterable[BaseTool]) -> ToolRegistry:
        """The same tools and more of them.

        Args:
            tools: As for the class; none may have the name of one that is there.

        Raises:
            ValueError: Two tools have the same name.
        """
        result = ToolRegistry(tools, timeout_s=self._timeout_s, clock=self._clock)
        for name in self._entries.keys() & result._entries.keys():
            raise ValueError(f"two tools are named {name}")
        result._entries = self._entries | result._entries
        return result

    def with_client_tools(self, declared: Iterable[object]) -> ToolRegistry:
        """The same tools and those that a client declares; the client's wins where names collide.

        Args:
            declared: See ``client.client_specs``.

        Raises:
            ToolError: A declaration cannot be used.
        """
        added = {
            spec.name: _Entry(spec, ArgumentsSchema(spec.parameters), None, takes_context=False)
            for spec in client_specs(declared)
        }
        hidden = {identifier(name) for name in added}
        kept = {name: entry for name, entry in self._entries.items() if identifier(name) not in hidden}
        result = ToolRegistry((), timeout_s=self._timeout_s, clock=self._clock)
        result._entries = kept | added
        return result

    def check(self, call: ToolCall) -> ToolCall | ToolOutcome:
        """The call with its true name and with arguments of the right names and types.

        For tools that the client runs this is all that happens here; ``run`` does it by itself.

        Returns:
            The call to make, or an outcome that tells the model what is wrong with it.
        """
        entry = self._find(call.name)
        if entry is None:
            known = ", ".join(self._entries) or "none"
            return _failed(call, f"There is no tool named {call.name!r}. There are: {known}.")
        try:
            arguments = entry.arguments.check(call.arguments)
        except ToolError as error:
            return _failed(call, _wrong_arguments(entry.spec, error.message))
        return replace(call, name=entry.spec.name, arguments=arguments)

    async def run(self, call: ToolCall, context: ToolContext) -> ToolOutcome:
        """Run a built-in tool.

        Whatever goes wrong is an outcome with ``ok=False`` and a reason that the model can act on; nothing
        but cancellation is raised. Cancelled or timed out, an async tool stops at its next await; a
        synchronous one finishes unheard in its thread.

        Args:
            call: As the model made it.
            context: The session that it is made in.
        """
        started_s = self._clock()
        checked = self.check(call)
        if isinstance(checked, ToolOutcome):
            return checked
        entry = self._entries[checked.name]
        if entry.tool is None:
            return _failed(checked, f"{checked.name} is run by the client.")
        outcome = await self._outcome(entry, entry.tool, checked, context)
        return replace(outcome, duration_s=self._clock() - started_s)

    async def _outcome(
        self, entry: _Entry, tool: BaseTool, call: ToolCall, context: ToolContext
    ) -> ToolOutcome:
        limit_s = None if entry.spec.long_running else entry.timeout_s or self._timeout_s
        deadline = asyncio.timeout(limit_s)
        try:
            async with deadline:
                return await _invoke(entry, tool, call, context)
        except (ToolError, ToolException) as error:
            return _failed(call, str(error))
        except ValidationError as error:
            return _failed(call, _wrong_arguments(entry.spec, str(error.errors(include_url=False)[0]["msg"])))
        except TimeoutError:
            if deadline.expired():
                return _failed(call, f"{call.name} took longer than {limit_s:g} seconds and was stopped.")
            _log_failure(call, context)
        # The boundary at which a tool's own bugs stop: the session goes on, and the log has the traceback.
        except Exception:
            _log_failure(call, context)
        return _failed(call, f"{call.name} failed because of an error inside it; do not try it again.")

    def _find(self, name: str) -> _Entry | None:
        if name in self._entries:
            return self._entries[name]
        return next((entry for key, entry in self._entries.items() if identifier(key) == name), None)


def _entry_of(tool: BaseTool) -> _Entry:
    visible = tool.tool_call_schema
    parameters = visible if isinstance(visible, dict) else TypeAdapter(visible).json_schema()
    declared = tool.args_schema
    takes_context = (
        isinstance(declared, type)
        and issubclass(declared, BaseModel)
        and "context" in declared.model_fields
        and "context" not in parameters.get("properties", {})
    )
    extras = tool.extras or {}
    spec = ToolSpec(
        name=tool.name,
        description=tool.description,
        parameters=_without_titles(parameters),
        return_direct=tool.return_direct,
        side_effects=bool(extras.get("side_effects", True)),
        idempotent=bool(extras.get("idempotent", False)),
        long_running=bool(extras.get("long_running", False)),
        confirm=bool(extras.get("confirm", False)),
        question=confirm if isinstance(confirm := extras.get("confirm"), str) else "",
    )
    return _Entry(spec, ArgumentsSchema(spec.parameters), tool, takes_context, extras.get("timeout_s"))


def _without_titles(parameters: dict[str, Any]) -> dict[str, Any]:
    """The schema without what pydantic adds and a prompt would pay for: titles, and the doc once more."""
    properties = {
        name: {key: value for key, value in schema.items() if key != "title"}
        for name, schema in parameters.get("properties", {}).items()
    }
    rest = {key: value for key, value in parameters.items() if key not in ("title", "description")}
    return {**rest, "type": "object", "properties": properties}


async def _invoke(entry: _Entry, tool: BaseTool, call: ToolCall, context: ToolContext) -> ToolOutcome:
    arguments = dict(call.arguments)
    if entry.takes_context:
        arguments["context"] = replace(context, call_id=call.id)
    message = await tool.ainvoke({"type": "tool_call", "id": call.id, "name": call.name, "args": arguments})
    if not isinstance(message, ToolMessage):
        return ToolOutcome(call.id, call.name, bounded(str(message)))
    content = bounded(message.text)
    if message.status == "error":
        return _failed(call, content)
    say: str | None = None
    if entry.spec.return_direct:
        # A foreign LangChain tool has no sentence to say; return_direct means that its content is one.
        own = message.artifact if tool.response_format == "content_and_artifact" else content
        say = None if own is None else bounded(str(own), MAX_SPOKEN_BYTES)
    return ToolOutcome(call.id, call.name, content, say)


def _failed(call: ToolCall, reason: str) -> ToolOutcome:
    return ToolOutcome(call.id, call.name, bounded(reason), ok=False)


def _wrong_arguments(spec: ToolSpec, problem: str) -> str:
    return f"Wrong arguments for {spec.name}: {problem}. It is called like this: {signature(spec)}"


def _log_failure(call: ToolCall, context: ToolContext) -> None:
    _log.exception("tool failed", tool=call.name, call_id=call.id, session_id=context.session_id)
