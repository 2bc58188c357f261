"""Every setting of Hearsight, and how its value is found.

Five layers, each overriding the ones before it, key by key:

1. the defaults in the section classes;
2. a preset shipped with the package (``default``, ``gemma3n`` or ``vllm``);
3. the user's own TOML file;
4. environment variables ``HEARSIGHT_<SECTION>__<KEY>``;
5. explicit overrides, such as flags of the command line.

Nothing is read at import. An unknown key is an error in every layer, never ignored.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from hearsight.config import conversation, engines, keeping, layers, local_devices, mcp, problems, service
from hearsight.config.errors import ConfigError
from hearsight.config.overload import OverloadSettings
from hearsight.config.recording import RecordingSettings
from hearsight.config.traces import TraceSettings

DEFAULT_ORIGIN = "default"


class Settings(BaseSettings):
    """All settings, by section.

    Made directly, it holds the defaults and what is passed in; `load_settings` reads the other layers.
    """

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=layers.ENV_PREFIX,
        env_nested_delimiter=layers.ENV_DELIMITER,
        env_ignore_empty=True,
    )

    engine: engines.EngineSettings = Field(default_factory=engines.EngineSettings)
    server: service.ServerSettings = Field(default_factory=service.ServerSettings)
    overload: OverloadSettings = Field(default_factory=OverloadSettings)
    audio: service.AudioSettings = Field(default_factory=service.AudioSettings)
    camera: service.CameraSettings = Field(default_factory=service.CameraSettings)
    turn: conversation.TurnSettings = Field(default_factory=conversation.TurnSettings)
    wake: conversation.WakeSettings = Field(default_factory=conversation.WakeSettings)
    context: conversation.ContextSettings = Field(default_factory=conversation.ContextSettings)
    assistant: conversation.AssistantSettings = Field(default_factory=conversation.AssistantSettings)
    embedded: engines.EmbeddedSettings = Field(default_factory=engines.EmbeddedSettings)
    gemma3n: engines.Gemma3nSettings = Field(default_factory=engines.Gemma3nSettings)
    openai: engines.OpenAISettings = Field(default_factory=engines.OpenAISettings)
    tools: conversation.ToolSettings = Field(default_factory=conversation.ToolSettings)
    watch: conversation.WatchSettings = Field(default_factory=conversation.WatchSettings)
    conversations: keeping.ConversationsSettings = Field(default_factory=keeping.ConversationsSettings)
    recording: RecordingSettings = Field(default_factory=RecordingSettings)
    log: service.LogSettings = Field(default_factory=service.LogSettings)
    traces: TraceSettings = Field(default_factory=TraceSettings)
    models: service.ModelSettings = Field(default_factory=service.ModelSettings)
    local: local_devices.LocalSettings = Field(default_factory=local_devices.LocalSettings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the arguments only: `load_settings` merges the layers, to know the origin of each value."""
        return (init_settings,)

    @model_validator(mode="after")
    def _answer_fits_its_reserve(self) -> Settings:
        if self.assistant.max_output_tokens > self.context.reserve_tokens:
            raise PydanticCustomError(
                "contradiction",
                "assistant.max_output_tokens must be at most context.reserve_tokens, which keeps room for it",
                {"keys": ["assistant.max_output_tokens", "context.reserve_tokens"]},
            )
        return self


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings in force, and where each value came from.

    Attributes:
        settings: The validated settings.
        origins: For every key, such as ``server.port``: ``default``, ``preset default.toml``,
            ``file PATH``, ``environment NAME`` or ``command line``. MCP servers have keys of their own, such
            as ``tools.mcp.weather.url``.
    """

    settings: Settings
    origins: Mapping[str, str]

    def shown(self) -> dict[str, str]:
        """Every key with its value as text, secrets masked, in the order of the sections."""
        return {key: show_value(_value_of(self.settings, key)) for key in self.origins}


def setting_keys() -> tuple[str, ...]:
    """All keys, such as ``server.port``, in the order of the sections."""
    return tuple(
        f"{section}.{key}"
        for section, field in Settings.model_fields.items()
        for key in layers.section_class(field).model_fields
    )


def load_settings(
    *,
    preset: str | None = None,
    config_file: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Loaded:
    """Read every layer and validate what comes out.

    Args:
        preset: Name of a shipped preset; None takes ``HEARSIGHT_PRESET``, else ``default``.
        config_file: The user's TOML file; None takes ``HEARSIGHT_CONFIG``, else none is read.
        overrides: Values by key, such as ``{"server.port": 9000}``; a value of None is passed over, so that
            flags that were not given can be handed on as they are.

    Returns:
        The settings and the origin of each.

    Raises:
        ConfigError: If a file cannot be read, or a key or value in any layer is not accepted.
    """
    preset = preset or os.environ.get(layers.PRESET_VARIABLE) or "default"
    file_name = os.environ.get(layers.CONFIG_VARIABLE)
    config_file = config_file or (Path(file_name).expanduser() if file_name else None)
    stack = [layers.read_preset(preset)]
    if config_file is not None:
        stack.append(layers.read_file(config_file))
    keys = setting_keys()
    stack.append(layers.read_environment(Settings, keys))
    stack.append(layers.read_overrides(overrides or {}))
    problems.refuse_unknown_keys(stack, keys)
    values, given = layers.merge(stack)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigError(*problems.describe(error, given)) from None
    shown = [each for key in keys for each in (_server_keys(settings, given) if key == mcp.TABLE else [key])]
    return Loaded(settings, {key: given.get(key, DEFAULT_ORIGIN) for key in shown})


def show_value(value: object) -> str:
    """A setting's value as a person would write it; secrets become bullets."""
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, SecretStr):
        return "•••"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {show_value(each)}" for name, each in value.items()) or "none"
    if isinstance(value, tuple):
        return ", ".join(show_value(each) for each in value) or "none"
    return str(value)


def _server_keys(settings: Settings, given: Mapping[str, str]) -> list[str]:
    """The keys of every MCP server, without what was left unset; the table's own where there is no server."""
    keys = [
        f"{mcp.TABLE}.{name}.{setting}"
        for name, server in settings.tools.mcp.items()
        for setting, value in server
        if f"{mcp.TABLE}.{name}.{setting}" in given or value not in (None, (), {})
    ]
    return keys or [mcp.TABLE]


def _value_of(settings: Settings, key: str) -> object:
    if below := mcp.split_key(key):
        value: object = getattr(settings.tools.mcp[below.server], below.setting)
        return mcp.public_url(value) if below.setting == "url" and isinstance(value, str) else value
    section, _, name = key.partition(".")
    return getattr(getattr(settings, section), name)
