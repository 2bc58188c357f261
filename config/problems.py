"""What is wrong with the settings, in sentences: the key, the value, where it stands, what is allowed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from hearsight.config import mcp
from hearsight.config.errors import ConfigError
from hearsight.config.suggest import did_you_mean, listed

SECRET_KEYS = frozenset({"server.api_keys", "openai.api_key"})
"""Keys whose value no message may quote."""


def refuse_unknown_keys(stack: Iterable[Any], keys: Sequence[str]) -> None:
    """Check the keys of every layer.

    Args:
        stack: The layers (`hearsight.config.layers.Layer`).
        keys: Every key there is.

    Raises:
        ConfigError: Naming every unknown key, where it stands and what was probably meant.
    """
    problems = [
        problem
        for layer in stack
        for key, value in layer.values.items()
        if (problem := _key_problem(key, value, layer.origins[key], keys))
    ]
    if problems:
        raise ConfigError(*problems)


def describe(error: ValidationError, origins: Mapping[str, str]) -> list[str]:
    """Turn a validation error into one sentence for each value at fault.

    Args:
        error: What pydantic found.
        origins: Where each given value stands, by key; a key that is missing has its default.
    """
    return [_describe_one(details, origins) for details in error.errors(include_url=False)]


def _key_problem(key: str, value: object, origin: str, keys: Sequence[str]) -> str | None:
    below = mcp.split_key(key)
    if below is not None:
        return _server_key_problem(key, below, value, origin)
    if key == mcp.TABLE:
        # Anything but a table has been left whole.
        return f"{key} ({origin}) holds MCP servers: write [{key}.weather] and its settings below it."
    return None if key in keys else _unknown_key(key, origin, keys)


def _server_key_problem(key: str, below: mcp.Key, value: object, origin: str) -> str | None:
    if not below.setting and not isinstance(value, Mapping):
        return (
            f"{key} ({origin}) must be a table: [{mcp.TABLE}] holds one for each MCP server, such as "
            f"[{mcp.TABLE}.weather], and the server's settings stand below it."
        )
    if reason := mcp.name_problem(below.server):
        return f"{mcp.TABLE}.{below.server} ({origin}): the name of an MCP server {reason}."
    names = mcp.McpServerSettings.model_fields
    if not below.setting or below.setting in names:
        return None
    table = f"{mcp.TABLE}.{below.server}"
    meant = did_you_mean(key, [f"{table}.{name}" for name in names])
    return f"{key} ({origin}) is not a setting;{meant} [{table}] can hold {listed(names)}."


def _unknown_key(key: str, origin: str, keys: Sequence[str]) -> str:
    section, dot, _ = key.partition(".")
    sections = dict.fromkeys(known.partition(".")[0] for known in keys)
    siblings = [known for known in keys if known.startswith(f"{section}.")]
    if not siblings:
        # A bare name or a foreign table: the likeliest slips are a forgotten table and a misspelt one.
        meant = did_you_mean(key, [*keys, *sections]) or _same_name_elsewhere(key, keys)
        return f"{key} ({origin}) is not a setting;{meant} The sections are {listed(sections)}."
    if not dot:
        return f"{key} ({origin}) must be a table: write [{key}] and its settings below it."
    meant = did_you_mean(key, siblings) or _same_name_elsewhere(key, keys)
    names = [sibling.partition(".")[2] for sibling in siblings]
    return f"{key} ({origin}) is not a setting;{meant} [{section}] can hold {listed(names)}."


def _same_name_elsewhere(key: str, keys: Sequence[str]) -> str:
    name = key.rpartition(".")[2]
    homes = [known for known in keys if known.partition(".")[2] == name]
    return f" did you mean {homes[0]}?" if homes else ""


def _describe_one(details: ErrorDetails, origins: Mapping[str, str]) -> str:
    context = details.get("ctx", {})
    if details["type"] == "contradiction":
        given = ", ".join(f"{key} {_from(key, origins)}" for key in context["keys"])
        return f"{details['msg']} ({given})."
    key, secret = _place(details["loc"])
    shown = "" if secret else f" = {details['input']!r}"
    message = details["msg"].removeprefix("Value error, ").removeprefix("Input ")
    meant = ""
    if details["type"] == "literal_error" and isinstance(details["input"], str):
        meant = did_you_mean(details["input"], _literals(context["expected"]))
    return _sentence(f"{key}{shown} ({_from(key, origins)}) {message}{';' + meant if meant else ''}")


def _place(location: Sequence[int | str]) -> tuple[str, bool]:
    """The key at a place in the settings, and whether its value may be quoted to nobody."""
    key = ".".join(str(part) for part in location[:2])
    if key == mcp.TABLE:
        key = ".".join(str(part) for part in location[:4])
        below = mcp.split_key(key)
        return key, below is not None and below.setting in mcp.UNQUOTED
    return key, key in SECRET_KEYS


def _from(key: str, origins: Mapping[str, str]) -> str:
    return f"from {origins[key]}" if key in origins else "by default"


def _literals(expected: str) -> list[str]:
    """The values in pydantic's text ``'a', 'b' or 'c'``."""
    return expected.split("'")[1::2]


def _sentence(text: str) -> str:
    return text if text.endswith(("?", ".")) else f"{text}."
