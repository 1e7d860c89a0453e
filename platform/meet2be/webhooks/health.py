"""How endpoints do: what each attempt says about them, and when they are warned of or disabled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.audit.services import SYSTEM, record
from meet2be.language import Message
from meet2be.notifications.services import Notice, notify_admins
from meet2be.webhooks.models import WebhookEndpoint

WARN_AFTER: Final = 20
DISABLE_AFTER: Final = 100
DISABLE_WITHOUT_SUCCESS: Final = timedelta(hours=24)
REMEMBERED: Final = 100
"""How many of the last attempts an endpoint's success rate is of."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How one attempt ended, for its endpoint's health."""

    is_success: bool
    at: datetime
    text: str = ""
    is_gone: bool = False


def marked(row: Any, marks: Sequence[Mark]) -> dict[str, Any]:
    """Return an endpoint's columns after these attempts, in their order."""
    fails, since, warned = row.fails_in_row, row.failing_since, row.warned_at
    values: dict[str, Any] = {
        "last_success_at": row.last_success_at,
        "last_failure_at": row.last_failure_at,
        "last_failure": row.last_failure,
    }
    recent = row.recent
    for mark in marks:
        recent += "s" if mark.is_success else "f"
        if mark.is_success:
            fails, since, warned = 0, None, None
            values["last_success_at"] = mark.at
        else:
            fails, since = fails + 1, since or mark.at
            values |= {"last_failure_at": mark.at, "last_failure": mark.text[:500]}
    return values | {
        "recent": recent[-REMEMBERED:],
        "fails_in_row": fails,
        "failing_since": since,
        "warned_at": warned,
    }


def must_disable(endpoint: Any, now: datetime) -> bool:
    """Tell whether an endpoint has failed so often and so long that it is given up."""
    last_good = max(endpoint.last_success_at or endpoint.enabled_at, endpoint.enabled_at)
    is_long = now - last_good >= DISABLE_WITHOUT_SUCCESS
    return bool(endpoint.fails_in_row >= DISABLE_AFTER and is_long)


def must_warn(endpoint: Any) -> bool:
    """Tell whether admins are to be told that an endpoint fails."""
    return bool(endpoint.fails_in_row >= WARN_AFTER and endpoint.warned_at is None)


def tend(session: Session, endpoint_id: int, now: datetime, *, is_gone: bool = False) -> str | None:
    """Disable or warn of an endpoint if it is time; returns its new status or ``warned``.

    The caller commits. Whoever comes second finds it done.
    """
    endpoint = session.scalar(
        select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id).with_for_update()
    )
    if endpoint is None or endpoint.status != "enabled":
        return None
    if is_gone:
        return _disable(session, endpoint, "disabled_gone", now)
    if must_disable(endpoint, now):
        return _disable(session, endpoint, "disabled_failing", now)
    if not must_warn(endpoint):
        return None
    endpoint.warned_at = now
    values = {"url": _shown(endpoint), "fails": endpoint.fails_in_row}
    notice = Notice(
        kind="webhook.failing",
        severity="warning",
        title=Message("Webhooks to %(url)s fail", values),
        body=Message(
            "The last %(fails)s attempts failed. After 100 in a row and a day without success the "
            "endpoint is switched off.",
            values,
        ),
        dedupe_key=f"webhook.failing:{endpoint.uid}:{now:%Y%m%d%H%M%S}",
        link=f"/webhooks/{endpoint.uid}",
    )
    notify_admins(session, endpoint.tenant_id, notice, now)
    return "warned"


def _disable(session: Session, endpoint: WebhookEndpoint, status: str, now: datetime) -> str:
    record(
        session, SYSTEM, "webhook_endpoint.disabled", "webhook_endpoint", endpoint.uid,
        before={"status": endpoint.status},
        after={"status": status, "fails_in_row": endpoint.fails_in_row},
    )  # fmt: skip
    endpoint.status, endpoint.disabled_at = status, now
    body = (
        Message("It answered that it is gone for good (410). Nothing is sent there any more.")
        if status == "disabled_gone"
        else Message(
            "%(fails)s attempts in a row failed. Once it works again, switch it on and replay what "
            "it has missed.",
            {"fails": endpoint.fails_in_row},
        )
    )
    notice = Notice(
        kind="webhook.disabled",
        severity="error",
        title=Message("Webhooks to %(url)s were switched off", {"url": _shown(endpoint)}),
        body=body,
        dedupe_key=f"webhook.disabled:{endpoint.uid}:{now:%Y%m%d%H%M%S}",
        link=f"/webhooks/{endpoint.uid}",
    )
    notify_admins(session, endpoint.tenant_id, notice, now)
    return status


def _shown(endpoint: WebhookEndpoint) -> str:
    return endpoint.url.partition("?")[0][:120]
