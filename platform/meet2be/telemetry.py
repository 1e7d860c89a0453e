"""What the platform says about itself: one line of JSON for each thing that happens."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

# They write two lines about each call; the ledger and the audit log know it better.
_TALKATIVE = ("stripe",)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """Formats a record as one line: time, level, logger, message, and what ``extra`` holds."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; values JSON does not know are written as text."""
        entry: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str, ensure_ascii=False)


def log_to_standard_output(level: str) -> None:
    """Send everything from ``level`` on to standard output; said once, at a process's start.

    Libraries that tell of each call are heard from warnings on, but for ``debug``.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    quiet = logging.WARNING if logging.getLogger().level > logging.DEBUG else logging.NOTSET
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(quiet)
