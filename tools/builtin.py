"""The built-in tools, by name."""

from __future__ import annotations

from langchain_core.tools import BaseTool

from hearsight.config.conversation import ToolSettings
from hearsight.tools.calculate import calculate
from hearsight.tools.cancel_timer import cancel_timer
from hearsight.tools.get_date import get_date
from hearsight.tools.get_time import get_time
from hearsight.tools.list_timers import list_timers
from hearsight.tools.look import look
from hearsight.tools.read_text import read_text
from hearsight.tools.recall import recall
from hearsight.tools.registry import ToolRegistry
from hearsight.tools.remember import remember
from hearsight.tools.set_timer import set_timer
from hearsight.tools.stop_watching import stop_watching
from hearsight.tools.watch import watch

BUILT_IN: dict[str, BaseTool] = {
    built_in.name: built_in
    for built_in in (
        get_time,
        get_date,
        calculate,
        set_timer,
        list_timers,
        cancel_timer,
        look,
        read_text,
        watch,
        stop_watching,
        remember,
        recall,
    )
}
"""Every tool that comes with Hearsight, in the order in which prompts list them."""


def built_in_registry(settings: ToolSettings) -> ToolRegistry:
    """The tools that the settings enable, with their time limit."""
    enabled = [BUILT_IN[name] for name in BUILT_IN if name in settings.enabled]
    return ToolRegistry(enabled, timeout_s=settings.timeout_s)
