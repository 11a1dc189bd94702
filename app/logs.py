"""Structured logs: one JSON object a line, to standard error."""

import asyncio
import logging
import sys
from typing import Any

import structlog

log = structlog.get_logger()


def configure(level: str) -> None:
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    for noisy in ("asyncua", "aiomqtt", "neo4j", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("asyncua.client.ua_session").setLevel(logging.CRITICAL)  # each lost connection is a failure to it
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def log_failure(task: "asyncio.Task[Any]") -> None:
    """A done-callback for a task that nobody awaits: its failure is not lost."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        log.error("background task failed", task=task.get_name(), exc_info=error)
