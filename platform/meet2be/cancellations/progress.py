"""How far a run is: counted from its items, never kept as a running figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import ColumnElement, bindparam, func, select
from sqlalchemy.orm import Session

from meet2be.cancellations.models import CancelItem, CancelRun
from meet2be.db.hints import unindexed
from meet2be.language import Message
from meet2be.mailings.models import EmailLog
from meet2be.payments.models import Refund

# States a refund, a cancellation and a mail do not come back from by themselves.
_REFUND_ENDS = ("none_needed", "done", "pending", "manual", "failed")
_MAIL_ENDS = ("sent", "suppressed", "no_address", "failed", "uncertain")
_TRIES_AT_AN_END = ("sent", "suppressed", "failed", "uncertain")
RATE_WINDOW = timedelta(seconds=60)

# Built once, as whoever watches a run asks these every second or so.
_GROUPS = (
    CancelItem.refund_state, CancelItem.cancel_state, CancelItem.mail_state, CancelItem.currency,
    CancelItem.error_code, CancelItem.skip_reason,
)  # fmt: skip
_ITEMS_BY_STATES = (
    select(*_GROUPS, func.count(), func.sum(CancelItem.planned_minor))
    .where(CancelItem.run_id == bindparam("run"))
    .group_by(*_GROUPS)
)
_OF_RUN = unindexed(cast("ColumnElement[int]", CancelItem.run_id)) == bindparam("run")
_SETTLED_SINCE = (
    select(func.count(Refund.id.distinct()), func.count())
    .select_from(CancelItem)
    .join(Refund, Refund.id == CancelItem.refund_id)
    .where(_OF_RUN, Refund.run_id == bindparam("run"), Refund.settled_at >= bindparam("since"))
)
_MAILED_SINCE = (
    select(func.count())
    .select_from(EmailLog)
    .join(CancelItem, CancelItem.mail_id == EmailLog.mail_id)
    .where(
        _OF_RUN,
        EmailLog.at >= bindparam("since"),
        EmailLog.outcome.in_(_TRIES_AT_AN_END),
    )
)


@dataclass(frozen=True, slots=True)
class Track:
    """One of the three tracks of the bar: how many items have reached its end."""

    done: int
    total: int

    @property
    def percent(self) -> int:
        """Return whole percents, 100 only when nothing is left."""
        return 100 if not self.total else self.done * 100 // self.total


@dataclass(frozen=True, slots=True)
class Progress:
    """A run's standing. Amounts are minor units by currency, `rate` is refunds a minute.

    `causes` counts what did not go through by its reason; `left` is how long it takes from here
    to the last mail, None where that cannot be said. `prepared` is how much of a large run's list
    is written, None once it is.
    """

    state: str
    total: int
    refunds: Track
    cancels: Track
    mails: Track
    refund_states: Mapping[str, int]
    mail_states: Mapping[str, int]
    causes: Mapping[str, int]
    planned_minor: Mapping[str, int]
    done_minor: Mapping[str, int]
    pending_minor: Mapping[str, int]
    rate: float = 0.0
    left: timedelta | None = None
    waiting: Message | str | None = None
    resume_at: datetime | None = None
    pause_code: str | None = None
    prepared: Track | None = None
    version: str = field(default="", compare=False)

    @property
    def steps(self) -> int:
        """Return how many steps have been taken, to tell an older count from a newer one."""
        prepared = self.prepared.done if self.prepared else 0
        return prepared + self.refunds.done + self.cancels.done + self.mails.done


def progress_of(session: Session, run: CancelRun, now: datetime) -> Progress:
    """Return how far the run is: two queries, which read an entry of an index for each item."""
    rows = session.execute(_ITEMS_BY_STATES, {"run": run.id}).all()
    count = _Count()
    for row in rows:
        count.add(*row)
    rate, left = _speed(session, run, count, now)
    return count.progress(run, rate, left)


class _Count:
    """Adds up the groups of items."""

    def __init__(self) -> None:
        self.total = self.cancelled = 0
        self.refunds: Counter[str] = Counter()
        self.mails: Counter[str] = Counter()
        self.causes: Counter[str] = Counter()
        self.planned: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.pending: Counter[str] = Counter()

    def add(
        self,
        refund_state: str,
        cancel_state: str,
        mail_state: str,
        currency: str,
        error_code: str | None,
        skip_reason: str | None,
        count: int,
        amount: int | None,
    ) -> None:
        self.total += count
        self.cancelled += count if cancel_state == "done" else 0
        self.refunds[refund_state] += count
        self.mails[mail_state] += count
        money = int(amount or 0)
        if refund_state != "none_needed":
            self.planned[currency] += money
        if refund_state == "done":
            self.done[currency] += money
        if refund_state == "pending":
            self.pending[currency] += money
        if refund_state in {"failed", "manual", "uncertain"}:
            self.causes[error_code or "unknown"] += count
        elif refund_state == "none_needed" and skip_reason:
            self.causes[skip_reason] += count

    @property
    def open(self) -> int:
        """Return how many items a worker still has to do something for."""
        return self.total - sum(self.refunds[state] for state in _REFUND_ENDS)

    def progress(self, run: CancelRun, rate: float, left: timedelta | None) -> Progress:
        ended = self.total - self.open
        mailed = sum(self.mails[state] for state in _MAIL_ENDS)
        prepared = _prepared(run, self.total)
        total = prepared.total if prepared else self.total
        return Progress(
            state=run.state,
            total=total,
            refunds=Track(ended, total),
            cancels=Track(self.cancelled, total),
            mails=Track(mailed, total),
            prepared=prepared,
            refund_states=dict(self.refunds),
            mail_states=dict(self.mails),
            causes=dict(self.causes.most_common()),
            planned_minor=dict(self.planned),
            done_minor=dict(self.done),
            pending_minor={name: amount for name, amount in self.pending.items() if amount},
            rate=rate,
            left=left,
            waiting=_waiting(run, self),
            resume_at=run.resume_at,
            pause_code=run.pause_code,
            version=f"{run.state}-{ended}-{self.cancelled}-{mailed}-{run.pause_code or ''}",
        )


def _prepared(run: CancelRun, written: int) -> Track | None:
    """Return how much of the list is written, of as many as were previewed."""
    if run.preparation is None or run.state not in {"confirmed", "paused"}:
        return None
    return Track(written, max(written, int(run.preview.get("attendees", 0))))


def _waiting(run: CancelRun, count: _Count) -> Message | str | None:
    """Return what a run that does not move is waiting for, in a person's words."""
    if run.state == "paused":
        return run.pause_reason or {"person": "paused"}.get(run.pause_code or "", run.pause_code)
    if run.state in {"running", "sweeping"} and count.refunds["uncertain"]:
        return Message(
            "%(number)s refund is being looked up at the provider",
            plural="%(number)s refunds are being looked up at the provider",
            number=count.refunds["uncertain"],
        )
    return None


def _speed(
    session: Session, run: CancelRun, count: _Count, now: datetime
) -> tuple[float, timedelta | None]:
    """Return refunds a minute over the last minute, and how long the slowest track takes.

    Of a run that is over only the mails are left: of those who were cancelled.
    """
    if run.state == "paused" or run.started_at is None:
        return 0.0, None
    since = max(run.started_at, now - RATE_WINDOW)
    seconds = (now - since).total_seconds()
    if seconds < 1:
        return 0.0, None
    goes_on = run.state in {"running", "sweeping"}
    refunds = 0
    mails = count.mails["queued"] + (count.mails["todo"] if goes_on else 0)
    tracks = [(mails, _mails_ended(session, run, since) if mails else 0)]
    if goes_on:
        refunds, items = _refunds_settled(session, run, since)
        # A ticket is cancelled in the commit that ends its refund, so both have one rate.
        tracks.append((max(count.open, count.total - count.cancelled), items))
    return refunds * 60 / seconds, _longest(tracks, seconds)


def _longest(tracks: list[tuple[int, int]], seconds: float) -> timedelta | None:
    """Return how long the slowest of (open, ended in those seconds) takes; None if one stands."""
    going = [(left, ended) for left, ended in tracks if left]
    if not going or not all(ended for _, ended in going):
        return None
    return timedelta(seconds=round(max(left * seconds / ended for left, ended in going)))


def _refunds_settled(session: Session, run: CancelRun, since: datetime) -> tuple[int, int]:
    """Return how many refunds were settled since then, and of how many attendees."""
    refunds, items = session.execute(_SETTLED_SINCE, {"run": run.id, "since": since}).one()
    return int(refunds), int(items)


def _mails_ended(session: Session, run: CancelRun, since: datetime) -> int:
    """Return how many of the run's mails came to their end since then."""
    ended = session.scalar(_MAILED_SINCE, {"run": run.id, "since": since})
    return int(ended or 0)
