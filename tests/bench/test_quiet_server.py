"""The benchmarks' stand-ins keep up with what they stand in for."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import pytest

from hearsight.streams import ports

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))

from quiet_server import QuietAgentSession  # noqa: E402

METHODS = [name for name, _ in inspect.getmembers(ports.AgentSession, inspect.isfunction) if name[0] != "_"]


@pytest.mark.parametrize("name", METHODS)
def test_the_quiet_agent_takes_what_the_session_says(name: str) -> None:
    expected = inspect.signature(getattr(ports.AgentSession, name)).parameters
    actual = inspect.signature(getattr(QuietAgentSession, name)).parameters
    assert [(p.name, p.kind) for p in actual.values()] == [(p.name, p.kind) for p in expected.values()]
