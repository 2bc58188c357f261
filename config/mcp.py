"""Settings of MCP servers: programs and services that bring tools along, one table for each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_core import PydanticCustomError

from hearsight.config.fields import Names, Section

TABLE: Final = "tools.mcp"
"""The only setting that is a table of tables: ``[tools.mcp.weather]`` holds the server called weather."""

UNQUOTED: Final = frozenset({"env", "headers", "url"})
"""Settings of a server whose value no message may quote: an address may hold a key, too."""

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_MAX_NAME_CHARS = 32


def _read_json(value: Any) -> Any:
    """What the environment gives as JSON, or the text itself where it is none."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _read_arguments(value: Any) -> Any:
    arguments = _read_json(value)
    if not isinstance(arguments, list | tuple):
        raise ValueError('must be a list such as ["--port", "80"]')
    return tuple(str(each) if type(each) in (int, float) else each for each in arguments)


def _read_table(value: Any) -> Any:
    table = _read_json(value)
    if not isinstance(table, Mapping) or any(isinstance(each, list | Mapping) for each in table.values()):
        raise ValueError('must be a table of texts such as {"NAME": "value"}')
    return {key: str(each) if type(each) in (int, float) else each for key, each in table.items()}


def _check_url(url: str) -> str:
    if not re.match(r"https?://[^\s/]+\S*$", url):
        raise ValueError("must be an address that begins with http:// or https://")
    return url


SecretTable = Annotated[Mapping[str, SecretStr], BeforeValidator(_read_table)]
"""Secrets by name; in the environment a JSON object."""


class McpServerSettings(Section):
    """One MCP server: a command to start it, or the address at which it runs."""

    command: str | None = Field(
        None, min_length=1, description="Program that is the server, talked to over its input and output."
    )
    args: Annotated[tuple[str, ...], BeforeValidator(_read_arguments)] = Field(
        (), description="Arguments of the command."
    )
    env: SecretTable = Field(
        {},
        description="Environment variables of the command; it gets none of the service's own but PATH, HOME "
        "and the like. `${NAME}` stands for a variable of the service.",
    )
    url: Annotated[str, AfterValidator(_check_url)] | None = Field(
        None,
        repr=False,
        description="Address of a server that speaks streamable HTTP, such as `http://127.0.0.1:8000/mcp`.",
    )
    headers: SecretTable = Field({}, description="HTTP headers for that address, such as `Authorization`.")
    enabled: Names[str] | None = Field(
        None,
        description="Tools of the server that the model may call, by the server's own names; unset: all.",
    )
    confirm: Literal["destructive", "changes"] = Field(
        "destructive",
        description="Calls that the user is asked about first: of the tools that the server calls "
        "destructive, or of all that it does not call read-only.",
    )
    timeout_s: float | None = Field(
        None, gt=0, le=3600, description="Seconds that a call may take; unset takes tools.timeout_s."
    )
    connect_timeout_s: float = Field(
        20, gt=0, le=600, description="Seconds within which the server must answer when it is connected to."
    )


def check_servers(servers: Mapping[str, McpServerSettings]) -> None:
    """See that each server can be reached in one way, and has nothing that belongs to the other.

    Raises:
        PydanticCustomError: Of type ``contradiction``, naming the keys.
    """
    for name, server in servers.items():
        key = f"{TABLE}.{name}"
        if server.command and server.url:
            raise _contradiction(
                f"The MCP server {name} has both a command, which starts it, and the url of one that runs "
                "already; leave one of them out",
                f"{key}.command",
                f"{key}.url",
            )
        if not server.command and not server.url:
            raise _contradiction(
                f"The MCP server {name} needs a command that starts it, or the url of one that runs already",
                f"{key}.command",
                f"{key}.url",
            )
        if server.url and (server.args or server.env):
            other = "args" if server.args else "env"
            raise _contradiction(f"{key}.{other} belong to a command", f"{key}.{other}", f"{key}.url")
        if server.command and server.headers:
            raise _contradiction(f"{key}.headers belong to a url", f"{key}.headers", f"{key}.command")


def _contradiction(message: str, *keys: str) -> PydanticCustomError:
    return PydanticCustomError("contradiction", message, {"keys": [*keys]})


class Key(NamedTuple):
    """A key below the table, taken apart."""

    server: str
    setting: str
    """Empty for the server's whole table."""


def split_key(key: str) -> Key | None:
    """Take ``tools.mcp.weather.url`` apart; None for a key that is not below the table."""
    if not key.startswith(f"{TABLE}."):
        return None
    rest = key.removeprefix(f"{TABLE}.")
    # No setting has a dot in its name, so that any other dot is one in the name of the server.
    server, dot, setting = rest.rpartition(".")
    return Key(server, setting) if dot else Key(rest, "")


def name_problem(name: str) -> str | None:
    """What is wrong with the name of a server, as the end of a sentence; None where nothing is."""
    if _NAME.fullmatch(name) and len(name) <= _MAX_NAME_CHARS:
        return None
    better = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_0123456789")[:_MAX_NAME_CHARS].rstrip("_")
    meant = f"; {better} would do" if better else ""
    return (
        f"has at most {_MAX_NAME_CHARS} small letters, digits and single underscores, a letter first, "
        f"because the names of its tools begin with it{meant}"
    )


def flatten(table: Any) -> dict[str, Any]:
    """The table as flat keys: ``{"weather": {"url": u}}`` is ``{"tools.mcp.weather.url": u}``."""
    if not isinstance(table, Mapping):
        return {TABLE: table}
    values: dict[str, Any] = {}
    for name, server in table.items():
        if isinstance(server, Mapping) and server:
            values |= {f"{TABLE}.{name}.{setting}": value for setting, value in server.items()}
        else:
            values[f"{TABLE}.{name}"] = server
    return values


def from_variables(environment: Mapping[str, str], prefix: str, delimiter: str) -> dict[str, tuple[str, str]]:
    """Find the variables of the table, such as ``HEARSIGHT_TOOLS__MCP__WEATHER__URL``.

    Args:
        environment: All variables.
        prefix: What ours begin with.
        delimiter: What stands between the parts of a key.

    Returns:
        By key, the variable's name and its value; empty ones count as unset. A name that has another shape
        is left to whoever looks for unknown ones.
    """
    start = prefix + TABLE.replace(".", delimiter).upper() + delimiter
    found: dict[str, tuple[str, str]] = {}
    for name, value in environment.items():
        parts = name.upper().removeprefix(start).lower().split(delimiter)
        if name.upper().startswith(start) and len(parts) == 2 and all(parts):
            found[".".join([TABLE, *parts])] = (name, value)
    return found


def public_url(url: str) -> str:
    """An address without what may be a key in it: its user and its query."""
    parts = urlsplit(url)
    hidden = "•••" if parts.query else ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, hidden, ""))
