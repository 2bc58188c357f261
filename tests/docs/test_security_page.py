"""What the page on security says is so."""

from __future__ import annotations

import re
from pathlib import Path

from hearsight.config.conversation import ToolSettings
from hearsight.config.mcp import McpServerSettings
from hearsight.config.settings import setting_keys
from hearsight.streams.camera import containers
from hearsight.streams.client_secrets import MAX_LIFE_S, USUAL_LIFE_S
from hearsight.streams.http_request import MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_HEADERS, MAX_LINE_BYTES
from hearsight.streams.keys import KEY_BYTES
from hearsight.streams.registry import PATROL_S
from hearsight.streams.session.items import MAX_BYTES, MAX_ITEMS
from hearsight.tools.calls import MAX_CONTENT_BYTES, MAX_SPOKEN_BYTES

PAGE = (Path(__file__).parents[2] / "SECURITY.md").read_text(encoding="utf-8")
WORDS = " ".join(PAGE.split())


def test_every_setting_that_it_names_exists():
    keys = set(setting_keys())
    names = {key.partition(".")[2] for key in keys} | set(McpServerSettings.model_fields)
    for name in re.findall(r"`([a-z_]+(?:\.[a-zA-Z_]+)+)(?: = [^`]*)?`", PAGE):
        assert name in keys or name.startswith("tools.mcp"), name
    for name in re.findall(r"`([a-z]+_[a-z_]+)`", PAGE):
        assert name in names, name
    assert "confirm" in McpServerSettings.model_fields and "timeout_s" in ToolSettings.model_fields


def test_every_bound_is_the_one_that_holds():
    for bound in (
        f"a line of {MAX_LINE_BYTES // 1024} KiB, {MAX_HEADERS} headers",
        f"{MAX_HEAD_BYTES // 1024} KiB of head, {MAX_BODY_BYTES // 1024} KiB of body",
        f"{MAX_ITEMS:,} items, {MAX_BYTES // 2**20} MiB of what clients put in",
        f"{containers._MAX_SCANS} scans of a JPEG",
        f"{MAX_CONTENT_BYTES // 1024} KiB of its result reach the model",
        f"{MAX_SPOKEN_BYTES // 1024} KiB are spoken as they are",
        f"Keys have {KEY_BYTES * 8} random bits",
        f"ends after {USUAL_LIFE_S // 60} minutes (or up to {MAX_LIFE_S // 3600} hours)",
    ):
        assert bound in WORDS, bound
    assert PATROL_S == 1 and "end within a second" in WORDS
