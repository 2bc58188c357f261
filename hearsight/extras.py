"""The optional parts of the installation: which packages each extra brings, and which engine needs which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Final

import structlog
from packaging.requirements import Requirement

from hearsight.config.errors import StartupError
from hearsight.config.settings import Settings

ENGINES: Final = {"embedded": "embedded", "gemma3n": "gemma3n", "openai": "openai", "scripted": None}
"""The engines, and the extra that each needs."""
MCP: Final = "mcp"
"""The extra that tools from MCP servers need."""
TRACES: Final = "traces"
"""The extra that sending traces needs."""
OTLP_VARIABLES: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""Standard variables that say where traces go."""
CORE: Final = ""
"""In place of an extra's name: what is always installed."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Package:
    """A package that Hearsight asks for."""

    name: str
    wanted: str
    """Its version specifier, such as ``==1.2.1``."""
    installed: str | None
    """The version that is here, None where there is none."""
    fits: bool
    """Whether that version is one of those wanted."""


def packages_of(extra: str) -> list[Package]:
    """The packages of an extra, or of the core, and what is installed of them."""
    found = []
    for text in metadata.requires("hearsight") or ():
        requirement = Requirement(text)
        if _belongs_to(requirement, extra):
            found.append(_look_up(requirement))
    return found


def missing_from(extra: str) -> list[str]:
    """Names of the packages of an extra that are not installed."""
    return [package.name for package in packages_of(extra) if package.installed is None]


def require_engine(settings: Settings) -> None:
    """Insist that the configured engine can run in this installation.

    Raises:
        StartupError: Its extra is not installed.
    """
    name = settings.engine.name
    extra = ENGINES[name]
    if extra and (missing := missing_from(extra)):
        raise StartupError(
            f"The {name} engine needs packages that are not installed ({', '.join(missing)}): "
            f"run `pip install 'hearsight[{extra}]'`."
        )


def require_tools(settings: Settings) -> None:
    """Insist that the configured tools can be had in this installation.

    Raises:
        StartupError: There are MCP servers, and the extra for them is not installed.
    """
    if settings.tools.mcp and (missing := missing_from(MCP)):
        raise StartupError(
            f"The MCP servers in the settings (tools.mcp) need packages that are not installed "
            f"({', '.join(missing)}): run `pip install 'hearsight[{MCP}]'`."
        )


def traces_wanted(settings: Settings, environment: Mapping[str, str]) -> bool:
    """Whether turns are to be traced: the settings, or OpenTelemetry's own variables, name a receiver.

    Raises:
        StartupError: The settings do, and the extra for it is not installed.
    """
    off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if off or environment.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    variable = next((name for name in OTLP_VARIABLES if environment.get(name)), None)
    if settings.traces.endpoint is None and variable is None:
        return False
    if not (missing := missing_from(TRACES)):
        return True
    needs = (
        f"packages that are not installed ({', '.join(missing)}): run `pip install 'hearsight[{TRACES}]'`."
    )
    if settings.traces.endpoint is not None:
        raise StartupError(f"Traces (traces.endpoint) need {needs}")
    # It may have been set for other programs of this machine, so it is no reason not to start.
    _log.warning("no traces are sent", reason=f"{variable} is set, but traces need {needs}")
    return False


def _belongs_to(requirement: Requirement, extra: str) -> bool:
    if requirement.marker is None:
        return extra == CORE
    in_core = requirement.marker.evaluate({"extra": CORE})
    if extra == CORE:
        return in_core
    return not in_core and requirement.marker.evaluate({"extra": extra})


def _look_up(requirement: Requirement) -> Package:
    wanted = str(requirement.specifier)
    try:
        installed = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return Package(requirement.name, wanted, None, fits=False)
    return Package(requirement.name, wanted, installed, requirement.specifier.contains(installed, True))
