"""Deliveries of events: signed as Stripe signs, repeated until taken, none lost by a crash."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from typing import TYPE_CHECKING

import aiohttp

from simulators.provider import refunds, sessions

if TYPE_CHECKING:
    from simulators.provider.ledger import Ledger

log = logging.getLogger(__name__)
AT_ONCE = 8
LONGEST_PAUSE = 60.0


def signature(secret: str, body: str, timestamp: int) -> str:
    """Return the `Stripe-Signature` header of a body, for real time in whole seconds."""
    signed = hmac.new(secret.encode(), f"{timestamp}.{body}".encode(), hashlib.sha256)
    return f"t={timestamp},v1={signed.hexdigest()}"


class Timetable:
    """Does what comes due by the simulated clock: refunds that settle, events to deliver."""

    def __init__(self, ledger: Ledger) -> None:
        """Serve `ledger`; `run` starts it."""
        self._ledger = ledger
        self._wake = asyncio.Event()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._in_flight: dict[int, asyncio.Task[None]] = {}
        self._session: aiohttp.ClientSession | None = None

    def wake(self) -> None:
        """Look again now: something was written or the clock was moved."""
        self._wake.set()

    async def run(self) -> None:
        """Serve until cancelled."""
        async with aiohttp.ClientSession() as self._session:
            try:
                while True:
                    self._wake.clear()
                    pause = self._turn()
                    await _wait(self._wake, pause)
            finally:
                for task in self._in_flight.values():
                    task.cancel()

    async def deliver_now(self, deliveries: list[int]) -> None:
        """Send these and return when each was tried once; a refused one is tried again later."""
        await asyncio.gather(*(self._start(delivery) for delivery in deliveries))

    def _turn(self) -> float | None:
        """Do what is due and return the seconds until the next thing is, None for never."""
        while refunds.settle_due(self._ledger):
            pass
        sessions.expire_due(self._ledger)
        store, now = self._ledger.store, self._ledger.clock.now()
        waiting = store.rows(
            "SELECT seq, due FROM deliveries WHERE state = 'waiting' ORDER BY due, seq LIMIT ?",
            (2 * AT_ONCE + len(self._in_flight),),
        )
        rest = [(seq, due) for seq, due in waiting if seq not in self._in_flight]
        free = max(0, 2 * AT_ONCE - len(self._in_flight))
        started = [seq for seq, due in rest if due <= now][:free]
        for seq in started:
            self._in_flight[seq] = self._start(seq)
        settle = store.row("SELECT min(settle_at) FROM refunds WHERE settle_at IS NOT NULL")
        times = [due for seq, due in rest if due > now]
        expiry = sessions.next_expiry(self._ledger)
        if expiry is not None:
            times.append(expiry)
        if settle is not None and settle[0] is not None:
            times.append(settle[0])
        return max(0.0, min(times) - now) if times else None

    def _start(self, delivery: int) -> asyncio.Task[None]:
        task = self._in_flight.get(delivery)
        if task is None:
            task = asyncio.create_task(self._deliver(delivery))
            self._in_flight[delivery] = task
        return task

    async def _deliver(self, delivery: int) -> None:
        try:
            async with self._slots:
                await self._deliver_in_slot(delivery)
        finally:
            self._in_flight.pop(delivery, None)
            self._wake.set()

    async def _deliver_in_slot(self, delivery: int) -> None:
        store = self._ledger.store
        # What an event tells must be on disk before anybody hears of it.
        await store.committed()
        row = store.row(
            "SELECT tries, body FROM deliveries JOIN events ON events.seq = deliveries.event"
            " WHERE deliveries.seq = ? AND state = 'waiting'",
            (delivery,),
        )
        if row is None:
            return
        tries, body = row[0] + 1, row[1]
        settings = self._ledger.behaviour.webhooks
        taken = await self._post(body)
        self._ledger.calls["webhook.taken" if taken else "webhook.refused"] += 1
        state = "taken" if taken else ("waiting" if tries < settings.max_tries else "given up")
        pause = min(settings.retry_ms / 1000 * 2 ** (tries - 1), LONGEST_PAUSE)
        store.write(
            "UPDATE deliveries SET tries = ?, state = ?, due = ? WHERE seq = ?",
            (tries, state, self._ledger.clock.now() + (0 if taken else pause), delivery),
        )

    async def _post(self, body: str) -> bool:
        """Return whether the receiver answered 2xx in time."""
        settings = self._ledger.behaviour.webhooks
        if self._session is None or settings.url is None:
            return False
        # Receivers check the signature's age by real time, not by a clock that tests move.
        timestamp = int(self._ledger.clock.wall())
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature(settings.secret, body, timestamp),
            "User-Agent": "Stripe/1.0 (simulated)",
        }
        limit = aiohttp.ClientTimeout(total=settings.timeout_ms / 1000)
        try:
            async with self._session.post(
                settings.url, data=body.encode(), headers=headers, timeout=limit,
                allow_redirects=False,
            ) as response:  # fmt: skip
                return 200 <= response.status < 300
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            log.info("An event was not taken by '%s': %r; it is sent again.", settings.url, error)
            return False


async def _wait(event: asyncio.Event, seconds: float | None) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
