"""The types that settings are made of, and the base of every section."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr
from pydantic_settings import NoDecode

T = TypeVar("T")


class Section(BaseModel):
    """One table of the configuration: immutable, and closed to unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def split_list(value: Any) -> Any:
    """Read a list written as one string, as the environment and the command line give it.

    Args:
        value: A JSON array (``["a", "b"]``), names separated by commas (``a, b``), or anything else.

    Returns:
        The list of the trimmed names, or ``value`` itself where it is no string.
    """
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError(f"is neither a JSON array nor names separated by commas ({error})") from error
    return [name.strip() for name in value.split(",") if name.strip()]


Names = Annotated[tuple[T, ...], NoDecode, BeforeValidator(split_list)]
"""Several values; in the environment a JSON array or a comma-separated string."""

Secrets = Names[SecretStr]
"""Several secrets, never shown."""

UserPath = Annotated[Path, AfterValidator(Path.expanduser)]
"""A path in which ``~`` is the user's home."""
