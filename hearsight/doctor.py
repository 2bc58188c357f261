"""``hearsight doctor``: whether everything is here that the configured engine needs, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from hearsight import checks, device_checks, mcp_checks, remote_checks
from hearsight.certificates import check_certificate
from hearsight.config import payloads
from hearsight.config.errors import ConfigError
from hearsight.config.manifest import Manifest
from hearsight.config.payloads import required_payloads
from hearsight.config.settings import DEFAULT_ORIGIN, Settings, load_settings
from hearsight.findings import Finding, as_json, healthy, show_findings
from hearsight.guard import check_keys
from hearsight.models_command import open_store
from hearsight.startup import EXIT_FAILED, ConfigOption, PresetOption


def doctor_command(
    as_machine: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
    config: ConfigOption = None,
    preset: PresetOption = None,
) -> None:
    """Check this machine: packages, models, memory, port, keys, certificate, MCP servers, devices, GPU.

    Ends with status 1 if something is wrong that the configured engine needs.
    """
    console = Console(stderr=True, quiet=as_machine)
    settings, finding = _check_settings(preset, config)
    findings = [finding, *examine(settings, console)]
    if as_machine:
        typer.echo(as_json(findings))
    else:
        show_findings(findings, Console())
    if not healthy(findings):
        raise typer.Exit(EXIT_FAILED)


def examine(settings: Settings, console: Console) -> Iterator[Finding]:
    """Make every check.

    Args:
        settings: What the checks go by.
        console: Where to draw the progress of hashing.

    Yields:
        What is found, in the order in which a person would mend it.
    """
    store = open_store(settings)
    yield checks.check_python()
    yield from checks.check_packages(settings)
    yield checks.check_engine(settings)
    yield from remote_checks.check_remote(settings)
    with _hashing(settings, store.manifest, console) as progress:
        yield from list(checks.check_models(settings, store, progress))
    yield checks.check_disk(settings, store)
    yield checks.check_memory(settings, store)
    yield checks.check_port(settings)
    yield check_keys(settings.server)
    yield check_certificate(settings.server)
    yield from mcp_checks.check_mcp(settings)
    yield from device_checks.check_audio(settings.local)
    yield device_checks.check_camera(settings.local)
    yield device_checks.check_gpu()


def _check_settings(preset: str | None, config: Path | None) -> tuple[Settings, Finding]:
    """The settings, or the defaults where they cannot be used, so that the other checks can go on."""
    try:
        loaded = load_settings(preset=preset, config_file=config)
    except ConfigError as error:
        mend = "The checks below go by the defaults."
        return Settings(), Finding("settings", "failed", str(error), mend)
    changed = sum(origin != DEFAULT_ORIGIN for origin in loaded.origins.values())
    found = f"valid; {changed} of {len(loaded.origins)} set by you or a preset (`hearsight config`)"
    return loaded.settings, Finding("settings", "ok", found)


@contextmanager
def _hashing(settings: Settings, manifest: Manifest, console: Console) -> Iterator[payloads.Progress]:
    """A progress callback that draws one bar for all the models together."""
    names = required_payloads(settings, manifest)
    total = sum(manifest.payload(name).bytes for name in names)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), console=console, transient=True
    )
    task = bar.add_task("Checking the models", total=total)
    done: dict[str, int] = {}

    def update(payload: str, bytes_done: int, bytes_total: int) -> None:
        done[payload] = bytes_done
        bar.update(task, completed=sum(done.values()))

    with bar:
        yield update
