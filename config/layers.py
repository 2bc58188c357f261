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
    unknown = [
        name for name in os.environ if name.upper().startswith(ENV_PREFIX) and name.upper() not in known
    ]
    if unknown:
        raise ConfigError(
            *(
                f"The environment variable {name} is not a setting;"
                f"{did_you_mean(name.upper(), known)} `hearsight config` lists all settings."
                for name in unknown
            )
        )
    found = _flat(EnvSettingsSource(settings_class)(), "environment")
    return Layer(found.values, {key: f"environment {variable_name(key)}" for key in found.values})


def read_overrides(overrides: Mapping[str, Any]) -> Layer:
    """Take explicit values by key; those that are None were not given."""
    given = {key: value for key, value in overrides.items() if value is not None}
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
            section, _, name = key.partition(".")
            values.setdefault(section, {})[name] = value
            origins[key] = layer.origins[key]
    return values, origins


def _flat(document: Mapping[str, Any], origin: str) -> Layer:
    """Flatten the tables of a document by one level, which is all the depth that settings have."""
    values: dict[str, Any] = {}
    for section, table in document.items():
        if isinstance(table, Mapping):
            values |= {f"{section}.{name}": value for name, value in table.items()}
        else:
            values[section] = table
    return Layer(values, dict.fromkeys(values, origin))
