"""Hearsight: a real-time voice-and-vision assistant that you run yourself.

The names below are the public API. They are imported when they are first used, so that ``import hearsight``
costs nothing and a program that needs only the session loads no agent.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hearsight.agent.agent import HearsightAgent as HearsightAgent
    from hearsight.agent.graph import build_graph as build_graph
    from hearsight.agent.message_graph import build_message_graph as build_message_graph
    from hearsight.asgi import Hearsight as Hearsight
    from hearsight.assistant import Assistant as Assistant
    from hearsight.client import Client as Client
    from hearsight.compose import Service as Service
    from hearsight.compose import open_service as open_service
    from hearsight.config.payloads import PayloadStore as PayloadStore
    from hearsight.config.settings import Settings as Settings
    from hearsight.config.settings import load_settings as load_settings
    from hearsight.streams.runtime import SessionRuntime as SessionRuntime
    from hearsight.streams.server import Server as Server
    from hearsight.streams.session.session import Session as Session

_HOMES = {
    "Assistant": "hearsight.assistant",
    "Client": "hearsight.client",
    "Hearsight": "hearsight.asgi",
    "HearsightAgent": "hearsight.agent.agent",
    "PayloadStore": "hearsight.config.payloads",
    "Server": "hearsight.streams.server",
    "Service": "hearsight.compose",
    "Session": "hearsight.streams.session.session",
    "SessionRuntime": "hearsight.streams.runtime",
    "Settings": "hearsight.config.settings",
    "build_graph": "hearsight.agent.graph",
    "build_message_graph": "hearsight.agent.message_graph",
    "load_settings": "hearsight.config.settings",
    "open_service": "hearsight.compose",
}

__all__ = [
    "Assistant",
    "Client",
    "Hearsight",
    "HearsightAgent",
    "PayloadStore",
    "Server",
    "Service",
    "Session",
    "SessionRuntime",
    "Settings",
    "build_graph",
    "build_message_graph",
    "load_settings",
    "open_service",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hearsight' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
