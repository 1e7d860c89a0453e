"""Bringing one alert to one channel: Slack's own form, or signed JSON for anybody's receiver."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from meet2be.alerts.models import AlertChannel, AlertDelivery
from meet2be.db import Database
from meet2be.errors import Meet2BeError
from meet2be.integrations.guarded_http import GuardedHttp, HookCallFailed
from meet2be.webhooks.errors import SealedWithLostKeyError
from meet2be.webhooks.signing import key_of, sign
from meet2be.webhooks.vault import Vault

MOST_FAILURES: Final = 20
"""Alerts in a row that could not be brought: then the channel is switched off."""
_SIGNS: Final = {"info": "ℹ️", "success": "✅", "warning": "⚠️", "error": "🛑"}  # noqa: RUF001
_SERVER_ERRORS: Final = 500


class AlertNotTaken(Meet2BeError):
    """A channel did not take an alert; ``is_final`` when a repeat makes no sense."""

    def __init__(self, why: str, *, is_final: bool) -> None:
        self.is_final = is_final
        super().__init__(f"the channel did not take the alert: {why}")


@dataclass(frozen=True, slots=True)
class AlertSender:
    """Sends alerts; made for each job from what sends webhooks."""

    database: Database
    http: GuardedHttp
    vault: Vault

    def send(self, tenant_id: int, delivery_id: int) -> None:
        """Bring an alert to its channel; raises ``AlertNotTaken``. One that is done is left."""
        with self.database.tenant_session(tenant_id, read_only=True) as session:
            delivery = session.get(AlertDelivery, delivery_id)
            if delivery is None or delivery.status != "pending":
                return
            channel = session.get_one(AlertChannel, delivery.channel_id)
            if channel.status != "enabled":
                self.give_up(tenant_id, delivery_id, "the channel is switched off")
                return
            call = self._call(channel, delivery)
        problem = self._post(*call)
        self._book(tenant_id, delivery_id, problem)
        if problem is not None:
            raise problem

    def give_up(self, tenant_id: int, delivery_id: int, why: str) -> None:
        """Note that nobody will try an alert any more."""
        with self.database.tenant_session(tenant_id) as session:
            delivery = session.get(AlertDelivery, delivery_id)
            if delivery is not None and delivery.status == "pending":
                delivery.status, delivery.last_error = "failed", why[:500]
                session.commit()

    def _call(
        self, channel: AlertChannel, delivery: AlertDelivery
    ) -> tuple[str, dict[str, str], bytes]:
        url = self.vault.open(channel.url, f"alert-url:{channel.uid}")
        headers = {"content-type": "application/json", "user-agent": "Meet2Be"}
        if channel.form == "slack":
            return url, headers, _json({"text": slack_text(delivery)})
        body = _json(
            {
                "id": delivery.uid,
                "kind": delivery.kind,
                "severity": delivery.severity,
                "title": delivery.title,
                "body": delivery.body,
                "link": delivery.link,
                "occurred_at": delivery.created_at.isoformat(timespec="seconds"),
            }
        )
        secret = self.vault.open(channel.secret or "", f"alert-secret:{channel.uid}")
        stamp = int(self.database.clock.time())
        headers |= {
            "webhook-id": delivery.uid,
            "webhook-timestamp": str(stamp),
            "webhook-signature": sign([key_of(secret)], delivery.uid, stamp, body),
        }
        return url, headers, body

    def _post(self, url: str, headers: dict[str, str], body: bytes) -> AlertNotTaken | None:
        try:
            answer = self.http.post(url, headers, body)
        except HookCallFailed as error:
            return AlertNotTaken(str(error), is_final=error.code == "refused")
        if 200 <= answer.status < 300:
            return None
        is_final = answer.status < _SERVER_ERRORS and answer.status != 429
        return AlertNotTaken(f"it answered {answer.status}", is_final=is_final)

    def _book(self, tenant_id: int, delivery_id: int, problem: AlertNotTaken | None) -> None:
        with self.database.tenant_session(tenant_id) as session:
            delivery = session.get_one(AlertDelivery, delivery_id)
            channel = session.get_one(AlertChannel, delivery.channel_id, with_for_update=True)
            delivery.attempts += 1
            now = self.database.clock.now()
            if problem is None:
                delivery.status, delivery.sent_at, delivery.last_error = "sent", now, None
                channel.fails_in_row, channel.last_sent_at, channel.last_error = 0, now, None
            else:
                delivery.last_error = channel.last_error = str(problem)[:500]
                channel.fails_in_row += 1
                if problem.is_final:
                    delivery.status = "failed"
                if channel.fails_in_row >= MOST_FAILURES:
                    channel.status = "disabled"
            session.commit()


def slack_text(delivery: AlertDelivery) -> str:
    """Return an alert in Slack's own form; what it could take for a command is escaped."""
    lines = [f"{_SIGNS[delivery.severity]} *{_escaped(delivery.title)}*"]
    if delivery.body:
        lines.append(_escaped(delivery.body))
    if delivery.link:
        lines.append(f"<{delivery.link}|Meet2Be>")
    return "\n".join(lines)


def open_url(vault: Vault, channel: AlertChannel) -> str:
    """Return a channel's address, hidden but for its host; a dash when its key is gone."""
    try:
        url = vault.open(channel.url, f"alert-url:{channel.uid}")
    except SealedWithLostKeyError:
        return "–"
    return "/".join(url.split("/")[:3]) + "/…"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
