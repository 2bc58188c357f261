"""Logging: one line an event, with the ids of its session and answer, to standard error.

What is said in a session is not in it, nor is anything that opens the server or a session: not a key, and of
a session's id only the beginning.
"""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import Processor

from hearsight.config.service import LogSettings
from hearsight.streams.observing import add_ids


def configure_logging(settings: LogSettings) -> None:
    """Set the level and the format of the log, of our own modules and of the libraries'.

    Libraries are heard from ``warning`` on, whatever the level: below it they tell of their own insides.
    """
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        add_ids,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=False),
        structlog.processors.StackInfoRenderer(),
    ]
    rendering: list[Processor]
    if settings.format == "json":
        rendering = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        # Tracebacks without the values of variables, among which are keys, and what was said; to lay those
        # out would also take the event loop a second, in which everything is late that is logged next.
        plain = structlog.dev.plain_traceback
        rendering = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[remove_meta, *rendering],
        )
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)
    logging.captureWarnings(True)
