"""The application's jobs: one class a module, each handing its payload to one service."""

from __future__ import annotations

import importlib

MODULES = (
    "cancel_conference",
    "check_event_data",
    "end_import_step",
    "export_event_attendees",
    "forget_api_answers",
    "order_steps",
    "process_event_data",
    "process_provider_event",
    "process_webhook",
    "prune_webhooks",
    "read_import",
    "replay_webhooks",
    "send_alert",
    "send_mails",
    "send_refund",
    "send_transactional_email",
    "send_welcome_email",
    "spread_announcements",
    "spread_notices",
    "start_import_step",
    "tell_import_failure",
    "tend_exports",
    "tend_orders",
    "tidy_imports",
    "tidy_mails",
    "tidy_tickets",
    "welcome_imported",
    "work_import_chunk",
)


def register() -> None:
    """Import every job, which makes its name known to this process."""
    for module in MODULES:
        importlib.import_module(f"jobs.{module}")
