"""The page of a service that is mounted below a path of somebody's web application."""

from __future__ import annotations

import json

import pytest
from asgi_server import mounted, served_in_a_thread

from hearsight import Hearsight
from hearsight.config.settings import load_settings

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect


@pytest.fixture
def application(tmp_path):
    """The web application, whose assistant says one thing."""
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"steps": [{"say": "Ahoy from below."}]}))
    overrides = {
        "engine.name": "scripted",
        "engine.script": str(script),
        "tools.memory_path": str(tmp_path / "memory.sqlite"),
        "conversations.store": "none",
    }
    return lambda: mounted(Hearsight(load_settings(overrides=overrides).settings), "/assistant")


@pytest.mark.parametrize("path", ["/assistant", "/assistant/"])
def test_it_finds_its_files_and_its_service_beside_itself(chromium, application, path):
    with served_in_a_thread(application) as port, chromium.open(f"http://127.0.0.1:{port}{path}") as page:
        lost = []
        page.on("response", lambda response: response.ok or lost.append(response.url))
        page.reload()
        page.click("#start-typing")
        page.fill("#words", "Hello!")
        page.press("#words", "Enter")
        expect(page.locator(".entry.answer .words")).to_contain_text("Ahoy from below.", timeout=20_000)
        assert lost == []
        assert page.evaluate("document.fonts.ready.then(() => document.fonts.check('16px Figtree'))")
