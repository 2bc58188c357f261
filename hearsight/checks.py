"""Checks of the installation: Python, packages, engine, models, disk, memory, port."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hearsight.addresses import running_server, why_not_listening
from hearsight.config.errors import PayloadCorrupt, PayloadMissing, StartupError
from hearsight.config.payloads import PayloadStore, Progress, required_payloads
from hearsight.config.settings import Settings
from hearsight.extras import CORE, ENGINES, MCP, TRACES, packages_of, require_engine
from hearsight.findings import Finding, Status

GIB: Final = 2**30
MIN_PYTHON: Final = (3, 11)
EXTRAS: Final = ("embedded", "local", "gemma3n", "openai", MCP, TRACES)

KV_CACHE_BYTES_PER_TOKEN: Final = {"qwen2.5-1.5b": 28_672, "qwen2.5-0.5b": 12_288}
"""Layers x key-value heads x head size x 2 (keys and values) x 2 bytes, from the models' own headers."""
BASE_MEMORY_BYTES: Final = 900_000_000
"""Python, the libraries, and what the models compute with: 2.9 GB were measured in all, in one session."""
CGROUP_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")


def check_python() -> Finding:
    """The interpreter is new enough."""
    found = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info < MIN_PYTHON:
        return Finding("python", "failed", found, "Install Python 3.11 or newer.")
    return Finding("python", "ok", found)


def check_packages(settings: Settings) -> Iterator[Finding]:
    """The packages of the core and of every extra are here, in versions that fit."""
    needed = {CORE, ENGINES.get(settings.engine.name), MCP if settings.tools.mcp else None}
    needed |= {TRACES} if settings.traces.endpoint else set()
    for extra in (CORE, *EXTRAS):
        name = f"packages, {extra or 'core'}"
        packages = packages_of(extra)
        wrong = [
            f"{package.name} {package.installed} (wanted {package.wanted})"
            for package in packages
            if package.installed and not package.fits
        ]
        absent = [package.name for package in packages if package.installed is None]
        if not wrong and not absent:
            here = ", ".join(f"{package.name} {package.installed}" for package in packages)
            yield Finding(name, "ok", here if extra else f"all {len(packages)} installed")
            continue
        parts = [f"missing: {', '.join(absent)}"] if absent else []
        parts += [f"other versions: {', '.join(wrong)}"] if wrong else []
        status: Status = "failed" if extra in needed and absent else "note"
        target = f"'hearsight[{extra}]'" if extra else "hearsight"
        yield Finding(name, status, "; ".join(parts), f"Run `pip install {target}`.")


def check_engine(settings: Settings) -> Finding:
    """The configured engine can run in this installation."""
    try:
        require_engine(settings)
    except StartupError as error:
        return Finding("engine", "failed", str(error))
    return Finding("engine", "ok", settings.engine.name)


def check_models(settings: Settings, store: PayloadStore, progress: Progress | None) -> Iterator[Finding]:
    """Every byte of every model that the engine needs is as pinned: all files are read and hashed."""
    for name in required_payloads(settings, store.manifest):
        payload, check = store.manifest.payload(name), f"model, {name}"
        try:
            store.verify(name, progress)
        except PayloadCorrupt as error:
            yield Finding(check, "note" if payload.optional else "failed", str(error))
        except PayloadMissing:
            yield _missing(check, optional=payload.optional, offline=settings.models.offline)
        else:
            yield Finding(check, "ok", f"{payload.bytes / 1e6:,.0f} MB, intact; it {payload.purpose}")


def _missing(check: str, *, optional: bool, offline: bool) -> Finding:
    if offline:
        mend = "Unset models.offline and run `hearsight models pull`."
        return Finding(check, "note" if optional else "failed", "not on this machine", mend)
    mend = "The first `hearsight serve` fetches it; so does `hearsight models pull`."
    return Finding(check, "note", "not on this machine", mend)


def check_disk(settings: Settings, store: PayloadStore) -> Finding:
    """The cache folder has room for the models that are still to come."""
    folder = settings.models.cache_dir
    required = required_payloads(settings, store.manifest)
    wanted = sum(
        max(0, status.payload.bytes - status.bytes_present)
        for status in store.status()
        if status.payload.name in required
    )
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    found = f"{free / GIB:,.1f} GB free in {folder}"
    # A model is put together from packages that are there at the same time.
    if free < 2 * wanted:
        return Finding(
            "disk",
            "failed",
            f"{found}; fetching the models takes {2 * wanted / GIB:,.1f} GB",
            "Make room, or set models.cache_dir to a folder on another disk.",
        )
    return Finding("disk", "ok", found)


def memory_needed_bytes(settings: Settings, store: PayloadStore) -> int:
    """What the engine holds in memory, estimated: weights, KV cache, and the program itself."""
    weights = sum(store.manifest.payload(name).bytes for name in required_payloads(settings, store.manifest))
    if settings.engine.name != "embedded":
        return weights + BASE_MEMORY_BYTES
    embedded = settings.embedded
    cache = embedded.context_tokens * KV_CACHE_BYTES_PER_TOKEN[embedded.language_model]
    return weights + cache + BASE_MEMORY_BYTES


def machine_memory_bytes() -> int:
    """Memory that this process may use: the machine's, or its container's where that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if CGROUP_LIMIT.exists():
        limit = CGROUP_LIMIT.read_text().strip()
        if limit.isdigit():
            return min(total, int(limit))
    return total


def check_memory(settings: Settings, store: PayloadStore) -> Finding:
    """There is memory for the engine."""
    total, needed = machine_memory_bytes(), memory_needed_bytes(settings, store)
    found = f"{total / GIB:,.1f} GB; the {settings.engine.name} engine takes about {needed / GIB:,.1f} GB"
    if total < needed:
        mend = "Set embedded.language_model = qwen2.5-0.5b, or a smaller embedded.context_tokens."
        return Finding("memory", "failed", found, mend if settings.engine.name == "embedded" else "")
    return Finding("memory", "ok", found)


def check_port(settings: Settings) -> Finding:
    """The server can listen where it is told to."""
    host, port = settings.server.host, settings.server.port
    at = f"{host} port {port}" if port else f"{host}, any free port"
    reason = _why_not_bound(host, port)
    if reason is None:
        return Finding("port", "ok", f"{at} is free" if port else at)
    if running_server(settings.server) is not None:
        return Finding("port", "ok", f"a Hearsight server is already running at {at}")
    mend = "Choose another with server.port and server.host, or stop what uses it."
    return Finding("port", "failed", f"{at}: {reason}", mend)


def _why_not_bound(host: str, port: int) -> str | None:
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as asyncio does
                probe.bind(address)
    except OSError as error:
        return why_not_listening(error)
    return None
