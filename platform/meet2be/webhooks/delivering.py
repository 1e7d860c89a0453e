"""Sending one delivery: claim it, post it, book the attempt and all that follows in one commit.

A worker that dies between the post and the commit leaves a delivery that is sent again under the
same webhook-id: receivers are told once at least.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from meet2be.db import Database
from meet2be.integrations.guarded_http import Answer, GuardedHttp, HookCallFailed
from meet2be.webhooks.depths import Depths
from meet2be.webhooks.headers import DEPTH_HEADER, USER_AGENT, without_secrets
from meet2be.webhooks.health import Mark, tend
from meet2be.webhooks.ledger import Aside, Ledger, Sent, Task
from meet2be.webhooks.signing import sign
from meet2be.webhooks.speeds import Speeds
from meet2be.webhooks.vault import Vault
from meet2be.webhooks.verdicts import MOST_ATTEMPTS, Verdict, judge
from meet2be.webhooks.ways import Way, come_to_the_end
from onqueue.contracts import Clock


class WebhookDeliveries:
    """Sends deliveries of all tenants; one for a process, used by its threads."""

    def __init__(self, database: Database, http: GuardedHttp, vault: Vault, clock: Clock) -> None:
        self.database, self.http, self.vault, self.clock = database, http, vault, clock
        self.speeds = Speeds()
        self.depths = Depths(vault)
        self._ledger = Ledger(database, vault, clock)

    def deliver(
        self, tenant_id: int, delivery_id: int, ensure_lease: Callable[[], None] = lambda: None
    ) -> Verdict | Aside:
        """Send a delivery if it is to be sent now, and return what came of it.

        ``ensure_lease`` is asked right before the post and raises when another worker may have
        taken over.
        """
        found, task, news = come_to_the_end(self._way(tenant_id, delivery_id, ensure_lease))
        if task is not None and news is not None:
            self._tend(task, news)
        return found

    def fail(self, tenant_id: int, delivery_id: int, reason: str = "crashed") -> None:
        """Mark a delivery as failed that is still on its way: nobody will send it any more."""
        self._ledger.fail(tenant_id, delivery_id, reason)

    def _way(
        self, tenant_id: int, delivery_id: int, ensure_lease: Callable[[], None]
    ) -> Way[tuple[Verdict | Aside, Task | None, Mark | None]]:
        """Claim, send and book; returns what came of it, and what the endpoint is tended for."""
        task: Task | Aside = yield partial(self._ledger.claim, tenant_id, delivery_id)
        if isinstance(task, Aside):
            return task, None, None
        ensure_lease()
        row, body = task.row, task.row.body.encode()
        started_at, began = self.clock.now(), self.clock.monotonic()
        headers = _headers(task, int(started_at.timestamp()), body)
        headers[DEPTH_HEADER] = self.depths.told(row.tenant_id, row.depth + 1, started_at)
        found: Answer | HookCallFailed
        try:
            found = yield partial(
                self.http.start, row.url, {**task.kit.own_headers, **headers}, body
            )
        except HookCallFailed as error:
            found = error
        found = without_secrets(found, task.kit.secrets)
        seconds = self.clock.monotonic() - began
        verdict = self._judge(task, found, seconds)
        sent = Sent(task, verdict, found, headers, started_at, round(seconds * 1000))
        news: Mark | None = yield partial(self._ledger.book, sent)
        return verdict, task, news

    def _judge(self, task: Task, found: Answer | HookCallFailed, seconds: float) -> Verdict:
        row = task.row
        if not row.is_test:
            self.speeds.note(row.endpoint_id, seconds)
        return judge(
            found,
            task.attempt,
            self.clock.now(),
            retry_refusals=row.retry_refusals,
            jitter=row.jitter,
            most_attempts=1 if row.is_test else MOST_ATTEMPTS,
        )

    def _tend(self, task: Task, news: Mark) -> None:
        with self.database.tenant_session(task.row.tenant_id) as session:
            tend(session, task.row.endpoint_id, self.clock.now(), is_gone=news.is_gone)
            session.commit()


def _headers(task: Task, timestamp: int, body: bytes) -> dict[str, str]:
    row = task.row
    headers = {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": row.event_uid,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(task.kit.keys, row.event_uid, timestamp, body),
        "Meet2Be-Attempt": str(task.attempt),
    }
    if row.replay_no:
        headers["Meet2Be-Replay"] = str(row.replay_no)
    return headers
