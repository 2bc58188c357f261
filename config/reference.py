"""The reference of all settings, written from the settings themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from hearsight.config import layers, mcp
from hearsight.config.settings import Settings, show_value

MAX_DEFAULT_CHARS: Final = 60
SERVER_NAME: Final = "NAME"
"""Stands for the name that a user gives to an MCP server."""
KINDS: Final = {
    "boolean": "true or false",
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "object": "table",
}
INTRODUCTION: Final = """\
# Settings

Written from the settings of this version; `hearsight config` shows those in force on your machine, and where
each comes from. A value is taken from the last of these that gives one:

1. the default;
2. a preset: `--preset NAME` or `HEARSIGHT_PRESET`, which is one of {presets};
3. your own TOML file: `--config FILE` or `HEARSIGHT_CONFIG`;
4. a variable, such as `HEARSIGHT_SERVER__PORT=9000`; of a list, a JSON array or names separated by commas;
5. a flag of the command.

`server.port` is `port` in the table `[server]` of the file. A key or variable that does not exist is an
error, and so is a value that is not allowed; the message names what was probably meant.
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """What the reference says of one setting."""

    key: str
    variable: str
    kind: str
    """Its type and what is allowed, in words."""
    default: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Chapter:
    """A section of the settings."""

    name: str
    about: str
    settings: tuple[Setting, ...]


def chapters() -> Iterator[Chapter]:
    """All settings, section by section."""
    for name, field in Settings.model_fields.items():
        section = layers.section_class(field)
        yield Chapter(name, _about(section), tuple(_settings(name, section)))
        if name == mcp.TABLE.partition(".")[0]:
            servers = f"{mcp.TABLE}.{SERVER_NAME}"
            yield Chapter(
                servers, _about(mcp.McpServerSettings), tuple(_settings(servers, mcp.McpServerSettings))
            )


def reference() -> str:
    """The reference as Markdown."""
    presets = ", ".join(f"`{name}`" for name in layers.PRESETS)
    parts = [INTRODUCTION.format(presets=presets)]
    for chapter in chapters():
        rows = "\n".join(map(_row, chapter.settings))
        head = "| setting | value | default | meaning |\n|---|---|---|---|"
        parts.append(f"## `{chapter.name}`\n\n{chapter.about}\n\n{head}\n{rows}\n")
    return "\n".join(parts)


def _row(setting: Setting) -> str:
    cells = (
        f"`{setting.key}`<br>`{setting.variable}`",
        setting.kind,
        setting.default,
        setting.meaning,
    )
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _about(section: type[BaseModel]) -> str:
    return (section.__doc__ or "").partition("\n")[0]


def _settings(prefix: str, section: type[BaseModel]) -> Iterator[Setting]:
    schema = section.model_json_schema()
    for name, field in section.model_fields.items():
        key = f"{prefix}.{name}"
        yield Setting(
            key,
            layers.variable_name(key),
            _kind(schema["properties"][name], field),
            _default(field),
            field.description or "",
        )


def _kind(schema: Mapping[str, Any], field: FieldInfo) -> str:
    """A schema in words: its type, then its bounds."""
    if "anyOf" in schema:  # a value or nothing
        schema = next(each for each in schema["anyOf"] if each.get("type") != "null")
    if "enum" in schema or "const" in schema:
        # Sorted: of two types of the same values, Python remembers the one that it met first.
        values = sorted(schema.get("enum", [schema.get("const")]), key=str)
        return (
            f"one of {', '.join(f'`{value}`' for value in values)}" if len(values) > 1 else f"`{values[0]}`"
        )
    if schema.get("type") == "array":
        return f"list: {_kind(schema['items'], field)}"
    if schema.get("format") == "password" or SecretStr.__name__ in str(field.annotation):
        return "secret" if schema.get("type") != "object" else "table of secrets"
    if schema.get("format") == "path":
        return "path"
    return KINDS.get(str(schema.get("type")), "text") + _bounds(schema)


def _bounds(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    bounds = []
    if least is not None and most is not None:
        bounds.append(f"{least:,} to {most:,}")
    else:
        bounds += [f"at least {least:,}"] if least is not None else []
        bounds += [f"more than {above:,}"] if above is not None else []
        bounds += [f"at most {most:,}"] if most is not None else []
    bounds += [f"less than {below:,}"] if below is not None else []
    return f", {', '.join(bounds)}" if bounds else ""


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Path) and value.is_relative_to(Path.home()):
        value = Path("~") / value.relative_to(Path.home())
    text = " ".join(show_value(value).split())
    if text in ("unset", "none"):
        return text
    return f"`{text}`" if len(text) <= MAX_DEFAULT_CHARS else f"`{text[: MAX_DEFAULT_CHARS - 2].rstrip()} …`"
