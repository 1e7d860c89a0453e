"""The application's jobs: one class a module, each handing its payload to one service."""

from __future__ import annotations

import importlib

MODULES = (
    "cancel_conference",
    "process_provider_event",
    "process_webhook",
    "send_mails",
    "spread_announcements",
)


def register() -> None:
    """Import every job, which makes its name known to this process."""
    for module in MODULES:
        importlib.import_module(f"jobs.{module}")
