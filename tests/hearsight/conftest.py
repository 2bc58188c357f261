"""The commands see no variables of this machine, and a service on a script to work with."""

import json
import logging
import os
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import structlog
from package_shelf import Shelf, file, noise, parts, payload

from hearsight.addresses import REALTIME_PATH, service_url
from hearsight.certificates import find_certificate, server_context
from hearsight.compose import open_service
from hearsight.config import payloads
from hearsight.config.settings import load_settings
from hearsight.listening import listening
from hearsight.models_command import open_store
from hearsight.options import server_options


@pytest.fixture(autouse=True)
def no_variables(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.upper().startswith("HEARSIGHT_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def logging_as_before():
    """Commands set up the logging of their process, which here is that of all tests."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


@pytest.fixture
def script(tmp_path):
    """Writes a script of the scripted engine and returns its path."""

    def write(*steps, transcripts=(), captions=()):
        path = tmp_path / "script.json"
        path.write_text(json.dumps({"steps": steps, "transcripts": transcripts, "captions": captions}))
        return path

    return write


@pytest.fixture
def scripted(tmp_path):
    """Settings of a service that follows a script and keeps its memory to itself."""

    def load(path, **more):
        overrides = {
            "engine.name": "scripted",
            "engine.script": path,
            "tools.memory_path": tmp_path / "memory.sqlite",
            "conversations.path": tmp_path / "conversations.sqlite",
            "server.port": 0,
            "server.keys_file": tmp_path / "keys.json",
        }
        overrides |= {key.replace("__", "."): value for key, value in more.items()}
        return load_settings(overrides=overrides).settings

    return load


@pytest.fixture
def serving():
    """Serves a service of some settings; gives its server and the URL to ask at."""

    @asynccontextmanager
    async def serve(settings):
        async with open_service(settings, open_store(settings)) as service:
            tls = server_context(find_certificate(settings.server))
            server = service.new_server(replace(server_options(settings), port=0, tls=tls))
            async with listening(server, server.run(), address="here"):
                server.readiness.reason = None
                yield server, f"{service_url(settings.server, 'ws', server.port)}{REALTIME_PATH}"

    return serve


@pytest.fixture
def installation(tmp_path, monkeypatch):
    """An installation of Hearsight with other requirements, before the real one on the path."""

    def install(*requirements: str, **others: str):
        site = tmp_path / "site"
        installed = {name: (version, ()) for name, version in others.items()}
        for name, (version, needs) in ({"hearsight": ("9.9", requirements)} | installed).items():
            folder = site / f"{name}-{version}.dist-info"
            folder.mkdir(parents=True)
            lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
            lines += [f"Requires-Dist: {text}" for text in needs]
            (folder / "METADATA").write_text("\n".join(lines) + "\n")
        monkeypatch.syspath_prepend(site)

    return install


MODEL = noise(4000)


@pytest.fixture
def manifest(tmp_path, monkeypatch):
    """A manifest of two needed models and one that is optional."""
    shelf = Shelf(tmp_path)
    shelf.wheel("carrier", {"data.bin": MODEL})
    source = parts(("carrier", "data.bin", 4000))
    small = shelf.manifest(
        payload("ear", file("ear.bin", MODEL, source)),
        payload("eye", file("eye.bin", MODEL, source), optional=True),
        payload("brain", file("brain.bin", MODEL, source), engines=["embedded"]),
        payload("other", file("other.bin", MODEL, source), engines=["gemma3n"]),
    )
    monkeypatch.setattr(payloads, "load_manifest", lambda: small)
    return small


@pytest.fixture
def model_cache(tmp_path, monkeypatch, manifest):
    """The folder of models, with all of them in it."""
    folder = tmp_path / "cache"
    for name in ("ear", "eye", "brain"):
        (folder / name).mkdir(parents=True)
        (folder / name / f"{name}.bin").write_bytes(MODEL)
    monkeypatch.setenv("HEARSIGHT_MODELS__CACHE_DIR", str(folder))
    return folder
