"""The layers that settings come from, each read into one shape, and merged.

A layer is a flat mapping of keys (``server.port``) to values as they were written, with the place where
each was found; judging them is left to `hearsight.config.settings`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource

from hearsight.config import mcp
from hearsight.config.errors import ConfigError
from hearsight.config.suggest import did_you_mean, listed

ENV_PREFIX = "HEARSIGHT_"
ENV_DELIMITER = "__"
PRESET_VARIABLE = "HEARSIGHT_PRESET"
CONFIG_VARIABLE = "HEARSIGHT_CONFIG"
PRESETS = ("default", "gemma3n", "vllm")


@dataclass(frozen=True, slots=True)
class Layer:
    """Values found in one place.

    Attributes:
        values: By key; a key without a dot is a top-level entry that is no table.
        origins: Where each of them stands, in words.
    """

    values: Mapping[str, Any]
    origins: Mapping[str, str]


def section_class(field: FieldInfo) -> type[BaseModel]:
    """The class of a section, from its field in the settings."""
    return cast(type[BaseModel], field.annotation)


def variable_name(key: str) -> str:
    """The environment variable of a key: ``server.port`` is ``HEARSIGHT_SERVER__PORT``."""
    return ENV_PREFIX + key.replace(".", ENV_DELIMITER).upper()


def read_preset(name: str) -> Layer:
    """Read a preset that is shipped with the package.

    Raises:
        ConfigError: If there is no preset of that name.
    """
    if name not in PRESETS:
        raise ConfigError(
            f"There is no preset {name!r} (--preset or {PRESET_VARIABLE});"
            f"{did_you_mean(name, PRESETS)} The presets are {listed(PRESETS)}."
        )
    text = resources.files("hearsight.config").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return _flat(tomllib.loads(text), f"preset {name}.toml")


def read_file(path: Path) -> Layer:
    """Read the user's own TOML file.

    Raises:
        ConfigError: If it cannot be read or is not TOML.
    """
    try:
        return _flat(tomllib.loads(path.read_text(encoding="utf-8")), f"file {path}")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(f"The configuration file {path} cannot be read: {reason}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"The configuration file {path} is not UTF-8 text.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The configuration file {path} is not valid TOML: {error}.") from error


def read_environment(settings_class: type[BaseSettings], keys: Sequence[str]) -> Layer:
    """Read the ``HEARSIGHT_*`` variables of this process; empty ones count as unset.

    Args:
        settings_class: The settings whose fields say how a variable is to be read.
        keys: Every key there is.

    Raises:
        ConfigError: If a ``HEARSIGHT_*`` variable belongs to no key, which is most often a misspelling.
    """
    known = [variable_name(key) for key in keys] + [PRESET_VARIABLE, CONFIG_VARIABLE]
    known.remove(variable_name(mcp.TABLE))
    servers = mcp.from_variables(os.environ, ENV_PREFIX, ENV_DELIMITER)
    allowed = {*known, *(name.upper() for name, _ in servers.values())}
    unknown = [
        name for name in os.environ if name.upper().startswith(ENV_PREFIX) and name.upper() not in allowed
    ]
    if unknown:
        raise ConfigError(
            *(
                f"The environment variable {name} is not a setting;"
                f"{_meant_variable(name, known)} `hearsight config` lists all settings."
                for name in unknown
            )
        )
    source = EnvSettingsSource(settings_class)
    # Their tables have no fixed names, which is more than pydantic can read from variables.
    ours = {name.lower() for name, _ in servers.values()}
    source.env_vars = {name: value for name, value in source.env_vars.items() if name not in ours}
    values = dict(_flat(source(), "environment").values)
    origins = {key: f"environment {variable_name(key)}" for key in values}
    for key, (name, value) in servers.items():
        if value:
            values[key], origins[key] = value, f"environment {name}"
    return Layer(values, origins)


def read_overrides(overrides: Mapping[str, Any]) -> Layer:
    """Take explicit values by key; those that are None were not given."""
    given = {key: value for key, value in overrides.items() if value is not None}
    if mcp.TABLE in given:
        given |= mcp.flatten(given.pop(mcp.TABLE))
    return Layer(given, dict.fromkeys(given, "command line"))


def merge(stack: Sequence[Layer]) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Lay the layers over each other, later ones on top.

    Returns:
        The values by section and name, and the origin of each by key.
    """
    values: dict[str, dict[str, Any]] = {}
    origins: dict[str, str] = {}
    for layer in stack:
        for key, value in layer.values.items():
            *path, name = _path(key)
            table: dict[str, Any] = values
            for part in path:
                table = table.setdefault(part, {})
            table[name] = value
            origins[key] = layer.origins[key]
    return values, origins


def _path(key: str) -> list[str]:
    below = mcp.split_key(key)
    return [*mcp.TABLE.split("."), *filter(None, below)] if below else key.split(".", 1)


def _meant_variable(name: str, known: Sequence[str]) -> str:
    servers = variable_name(mcp.TABLE)
    if name.upper() == servers or name.upper().startswith(servers + ENV_DELIMITER):
        return f" those of an MCP server are called like {servers}__WEATHER__URL."
    return did_you_mean(name.upper(), known)


def _flat(document: Mapping[str, Any], origin: str) -> Layer:
    """Flatten the tables of a document by one level, and those of the servers by three."""
    values: dict[str, Any] = {}
    for section, table in document.items():
        if isinstance(table, Mapping):
            values |= {f"{section}.{name}": value for name, value in table.items()}
            if mcp.TABLE in values:
                values |= mcp.flatten(values.pop(mcp.TABLE))
        else:
            values[section] = table
    return Layer(values, dict.fromkeys(values, origin))
