"""Where an answer ends that makes a call: what a tool returns is not for the model to make up."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from hearsight.agent.models.base import Delta, GenerateRequest, GenerationEnd
from hearsight.agent.router import Router, ToolCallText
from hearsight.tools.signature import positional_names

MAX_BEYOND = 24
"""Pieces of text behind a call that are waited for, because the end brings the server's counts."""


async def up_to_call(deltas: AsyncGenerator[Delta], request: GenerateRequest) -> AsyncGenerator[Delta]:
    """An answer without what is written behind its call; a model that does not stop by itself is stopped.

    Where no call may be made, one that is written all the same ends nothing.
    """
    callable_tools = request.tools if request.tool_choice != "none" else ()
    router, called = Router(positional_names(callable_tools)), False
    pieces = beyond = 0
    async with aclosing(deltas):
        async for delta in deltas:
            if isinstance(delta, GenerationEnd):
                yield delta
                return
            pieces += 1
            if not called:
                yield delta
                called = any(isinstance(event, ToolCallText) for event in router.feed(delta))
            elif (beyond := beyond + 1) > MAX_BEYOND:
                break
    yield GenerationEnd("stop", output_tokens=pieces)
