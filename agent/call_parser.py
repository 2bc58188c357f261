"""Reading tool calls out of the text in which models write them, whatever the form.

Python (``f(a=1)``, a list of calls, ``print(f())``, ``x = default_api.f()``) is read through its syntax tree,
JSON (``{"name": "f", "parameters": {…}}``, also as a list or one object per line) through the JSON decoder.
"""

from __future__ import annotations

import re

from hearsight.agent.call_json import read_json
from hearsight.agent.call_python import read_python
from hearsight.agent.call_syntax import CallSyntaxError, NotACall, ParsedCall, ToolParameters, names_a_tool

_FENCE_LABEL = re.compile(r"```[\w+-]*")


def parse_calls(text: str, tools: ToolParameters) -> list[ParsedCall]:
    """Read one or more calls.

    Args:
        text: The whole call text, without the marks around it (a fence inside is taken off).
        tools: The tools that exist.

    Returns:
        At least one call, in the order written.

    Raises:
        NotACall: It is no call of a tool at all.
        UnknownTool: It calls a tool that does not exist.
        CallSyntaxError: It cannot be read as it stands.
    """
    body = _without_fence(text.strip())
    try:
        if re.match(r"\[?\s*\{", body):
            calls = read_json(body, tools)
        else:
            calls = list(read_python(body, tools))
    except (RecursionError, MemoryError) as error:
        raise CallSyntaxError("the call is nested too deeply") from error
    except NotACall as error:
        if names_a_tool(body, tools):
            raise CallSyntaxError(
                "calls must stand alone, one after another, with nothing around them"
            ) from error
        raise
    if not calls:
        raise NotACall("there is no call in it")
    return calls


def _without_fence(text: str) -> str:
    label = _FENCE_LABEL.match(text)
    return text[label.end() :].removesuffix("```").strip() if label else text
