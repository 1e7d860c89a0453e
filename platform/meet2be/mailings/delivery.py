"""Taking mails from the outbox to the mail server, each at most once.

The claim (``sending``) is committed right before the message leaves, the answer (``sent``) as soon
as it is here. A run that finds a claim nobody answered cannot know whether the message left: the
mail becomes ``uncertain`` and waits for a person. What may be repeated (no connection, "try later")
happens before the claim and costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select
from sqlalchemy.orm import Session

from meet2be.db import Database, GuardedSession
from meet2be.integrations.mail import (
    DeliveryDeferred,
    DeliveryRefused,
    DeliveryUncertain,
    Envelope,
    GivenName,
    MailTransport,
    TransportBroken,
)
from meet2be.integrations.storage import Store, StoreFailed
from meet2be.mailings import statements as sql
from meet2be.mailings.attachments import AttachmentUnfit, in_store, read_files
from meet2be.mailings.limits import SendingLimits
from meet2be.mailings.message import File, Letter, seal
from meet2be.mailings.models import Mail
from meet2be.mailings.outcomes import LOST_CLAIM, Outcome, OutcomeRecorder, goes_far
from meet2be.mailings.services import AT_MOST_ONCE, note_posted
from meet2be.tenancy.models import Tenant
from onqueue.contracts import Clock

KIND_HEADER = "X-Meet2Be-Kind"
BY_ITSELF = {"Auto-Submitted": "auto-generated"}
"""So that no holiday notice answers us (RFC 3834 §5)."""
OWN_MAIL = "deliver the platform's own mail"
LEASE = timedelta(seconds=300)
"""How long a claim stands before anybody may call it lost: over two SMTP answers' time-outs."""


LetThrough = Callable[[Sequence[Row[Any]]], Sequence[Row[Any]]]


class MailDelivery:
    """Delivers mails of one tenant (None: the platform's own) over one transport."""

    def __init__(
        self,
        database: Database,
        transport: MailTransport,
        recorder: OutcomeRecorder,
        clock: Clock,
        tenant_id: int | None,
        store: Store | None = None,
    ) -> None:
        """Deliver with files out of ``store``, where mails have any."""
        self.store = store
        self.database = database
        self.transport = transport
        self.recorder = recorder
        self.clock = clock
        self.tenant_id = tenant_id

    def deliver(
        self,
        mails: Sequence[int],
        token: str,
        ensure_lease: Callable[[], None] = lambda: None,
        should_stop: Callable[[], bool] = lambda: False,
        let_through: LetThrough = list,
    ) -> list[int]:
        """Send those of ``mails`` that are still to be sent; ``token`` names the job that tries.

        ``let_through`` is shown all rows and returns those that may leave now.

        Returns the mails that are still queued: put off by the server, or left because the worker
        is to stop. ``ensure_lease`` is asked before each claim and raises when another worker may
        have taken over; what was sent until then is recorded all the same. Raises
        ``TransportBroken`` when none can leave at all.
        """
        rows = let_through(self._rows(mails))
        # One plain connection for all its short transactions: a session costs more than they do.
        with self.connection() as connection:
            delivering = _Delivering(self, connection, token)
            try:
                delivering.run(rows, ensure_lease, should_stop)
            finally:
                self.transport.abandon()
                delivering.settle()
        return delivering.left

    def give_up(self, mails: Sequence[int], reason: str) -> None:
        """Mark those of ``mails`` that are still queued as failed: nobody will try them again."""
        with self.session() as session:
            for row in self._read(session, mails):
                if row.status == "queued":
                    self.recorder.record(session, row, Outcome("failed", reason), self.clock.now())
            session.commit()

    def owner(self) -> str | None:
        """Return the public name of the organisation whose mails these are, None: nobody's."""
        if self.tenant_id is None:
            return None
        with self.session(read_only=True) as session:
            return session.scalars(select(Tenant.uid)).one()

    def session(self, *, read_only: bool = False) -> GuardedSession:
        """Return a session in the scope of the mails' owner."""
        if self.tenant_id is None:
            return self.database.system_session(OWN_MAIL, read_only=read_only)
        return self.database.tenant_session(self.tenant_id, read_only=read_only)

    def connection(self) -> Connection:
        """Return a connection in that scope."""
        if self.tenant_id is None:
            return self.database.system_connection(OWN_MAIL)
        return self.database.tenant_connection(self.tenant_id)

    def _rows(self, mails: Sequence[int]) -> list[Row[Any]]:
        with self.session(read_only=True) as session:
            return self._read(session, mails)

    def _read(self, session: Session, mails: Sequence[int]) -> list[Row[Any]]:
        wanted = {"mails": list(mails), "tenant": self.tenant_id}
        return list(session.connection().execute(sql.READ_MAILS, wanted))


@dataclass(frozen=True, slots=True)
class _Sealed:
    """A mail that is to be sent, as its row and as it goes over the wire."""

    row: Row[Any]
    envelope: Envelope


class _Delivering:
    """One call of ``deliver``: holds the answers that are still to be recorded.

    A mail's answer and the next mail's claim share a commit if the server lets the next one in
    without a wait; else the answer is recorded first.
    """

    def __init__(self, delivery: MailDelivery, connection: Connection, token: str) -> None:
        self.delivery, self.connection, self.token = delivery, connection, token
        self.left: list[int] = []
        self._unsettled: list[tuple[Row[Any], Outcome]] = []

    def run(
        self,
        rows: Sequence[Row[Any]],
        ensure_lease: Callable[[], None],
        should_stop: Callable[[], bool],
    ) -> None:
        """Send those that are to be sent, one after the other."""
        waiting = self._waiting(rows, should_stop)
        mail = next(waiting, None)
        while mail is not None:
            # Sealed before the claim: nothing shall stand between a claim and its message.
            following = next(waiting, None)
            if self._is_prepared(mail):
                ensure_lease()
                if self._settle_and_claim(mail.row):
                    self._transmit(mail, following)
                else:
                    self.delivery.transport.abandon()
            mail = following

    def _waiting(
        self, rows: Sequence[Row[Any]], should_stop: Callable[[], bool]
    ) -> Iterator[_Sealed]:
        for row in rows:
            if should_stop():
                self.left.append(row.id)
            elif row.status == "sending":
                self._judge_standing_claim(row)
            elif row.status == "queued":
                sealed = self._sealed(row)
                if sealed is not None:
                    yield sealed

    def _sealed(self, row: Row[Any]) -> _Sealed | None:
        """Return the finished mail; None when its files cannot be had (now)."""
        try:
            files = self._files(row.attachments) if row.attachments else ()
        except AttachmentUnfit as error:
            self._unsettled.append((row, Outcome("failed", str(error))))
            return None
        except StoreFailed as error:
            self._put_off(row, DeliveryDeferred(row.to_addr, 0, f"the store: {error.detail}"))
            return None
        return _Sealed(row, seal(_letter(row, self.delivery.clock.now(), files)))

    def _files(self, attached: Sequence[Any]) -> Sequence[File]:
        owner = self.delivery.owner() if in_store(attached) else None
        return read_files(attached, self.delivery.store, owner)

    def settle(self) -> None:
        """Record the answers that are still unrecorded, in a commit of their own."""
        if self._unsettled:
            self._record_what_goes_far()
            with self.connection.begin():
                self._record()
            self._unsettled.clear()

    def _is_prepared(self, mail: _Sealed) -> bool:
        """Announce the mail to the server; what goes wrong here may be repeated."""
        try:
            self.delivery.transport.prepare(mail.envelope, meanwhile=self.settle)
        except TransportBroken as error:
            self._put_off(mail.row, error)
            raise  # each further mail would only be one more try with the same wrong password
        except DeliveryDeferred as error:
            self._put_off(mail.row, error)
            return False
        except DeliveryRefused as error:
            self._unsettled.append((mail.row, Outcome("failed", error.text, error.code)))
            return False
        return True

    def _settle_and_claim(self, row: Row[Any]) -> bool:
        """Record what is unrecorded and claim the next mail, in one commit."""
        delivery, now = self.delivery, self.delivery.clock.now()
        claim = {
            "mail": row.id,
            "tenant": delivery.tenant_id,
            "token": self.token,
            "until": now + LEASE,
            "now": now,
        }
        self._record_what_goes_far()
        with self.connection.begin():
            self._record()
            claimed = sql.CLAIM_MAIL.run(self.connection, claim)
        self._unsettled.clear()
        return bool(claimed)

    def _transmit(self, mail: _Sealed, following: _Sealed | None) -> None:
        after = None if following is None else following.envelope
        try:
            answer = self.delivery.transport.transmit(mail.envelope, after)
            given = answer if isinstance(answer, GivenName) else None
            outcome = Outcome("sent", answer, provider_id=given, claim=self.token)
        except DeliveryUncertain as error:
            outcome = Outcome("uncertain", error.text, claim=self.token)
        except DeliveryRefused as error:
            outcome = Outcome("failed", error.text, error.code, claim=self.token)
        except TransportBroken as error:  # as some say it only when they are given the message
            self._put_off(mail.row, error, self.token)
            raise
        except DeliveryDeferred as error:
            self._put_off(mail.row, error, self.token)
            return
        self._unsettled.append((mail.row, outcome))

    def _put_off(self, row: Row[Any], error: DeliveryDeferred, claim: str | None = None) -> None:
        outcome = Outcome("queued", error.text, error.code, logged="deferred", claim=claim)
        self._unsettled.append((row, outcome))
        self.left.append(row.id)

    def _judge_standing_claim(self, row: Row[Any]) -> None:
        """A standing claim is lost when an earlier run of the same job made it, or it lapsed."""
        lapsed = row.lease_until is None or row.lease_until <= self.delivery.clock.now()
        if row.lease_token != self.token and not lapsed:
            return
        self._unsettled.append((row, _of_lost_claim(row)))
        if row.delivery != AT_MOST_ONCE:
            self.left.append(row.id)

    def _record(self) -> None:
        now = self.delivery.clock.now()
        for row, outcome in self._unsettled:
            self.delivery.recorder.write(self.connection, row, outcome, now)

    def _record_what_goes_far(self) -> None:
        """Record outcomes that others must hear of; they are rare, and need a whole session."""
        for each in [each for each in self._unsettled if goes_far(each[1])]:
            with self.delivery.session() as session:
                self.delivery.recorder.record(session, *each, self.delivery.clock.now())
                session.commit()
            self._unsettled.remove(each)


class MailDeliveries:
    """Hands out the delivery of one tenant's mail; the transport is shared by a process."""

    def __init__(
        self,
        database: Database,
        transport: MailTransport,
        recorder: OutcomeRecorder,
        clock: Clock,
        rate: int = 0,
        store: Store | None = None,
    ) -> None:
        """Let ``rate`` mails leave in a second, all workers together; 0 is no limit."""
        self.store = store
        self.database = database
        self.transport = transport
        self.recorder = recorder
        self.clock = clock
        self.limits = SendingLimits(database, clock, rate)

    def of_tenant(self, tenant_id: int | None) -> MailDelivery:
        """Return the delivery in the scope of one tenant; None is the platform's own mail."""
        return MailDelivery(
            self.database, self.transport, self.recorder, self.clock, tenant_id, self.store
        )


def expire_lost_claims(
    session: Session, recorder: OutcomeRecorder, now: datetime, limit: int = 200
) -> int:
    """Turn claims whose time is over into ``uncertain``; returns how many. The caller commits."""
    lost = session.scalars(
        select(Mail)
        .where(Mail.status == "sending", Mail.lease_until <= now)
        .limit(limit)
        .with_for_update(skip_locked=True)  # the relay's step and the schedule's may meet
    ).all()
    for mail in lost:
        recorder.record(session, mail, _of_lost_claim(mail), now)
        if mail.delivery != AT_MOST_ONCE:
            # Not MailsQueued: a session of the platform's does not say whose mail it is.
            note_posted(session, mail.id, mail.tenant_id, mail.user_id, mail.to_norm, mail.kind)
    return len(lost)


def _of_lost_claim(mail: Any) -> Outcome:
    """What twice does no harm is sent again; about all else a person decides."""
    if mail.delivery == AT_MOST_ONCE:
        return Outcome("uncertain", LOST_CLAIM)
    return Outcome("queued", LOST_CLAIM, logged="deferred")


def _letter(row: Row[Any], now: datetime, files: Sequence[File]) -> Letter:
    return Letter(
        message_id=row.message_id or f"<{row.uid}@localhost>",
        from_addr=row.from_addr or "",
        to_addr=row.to_addr,
        subject=row.subject or "",
        text=row.body_text or "",
        html=row.body_html or "",
        sent_at=now,
        reply_to=row.reply_to,
        headers={KIND_HEADER: row.kind, **BY_ITSELF, **(row.headers or {})},
        files=files,
    )
