"""Taking one mail from the outbox to the mail server, at most once.

The claim (``sending``) is committed before the message leaves, the answer (``sent``) after it. A
run that finds a claim nobody answered cannot know whether the message left: the mail becomes
``uncertain`` and waits for a person. What may be repeated (no connection, "try later") happens
before the claim and costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import select, update

from meet2be.integrations.mail import (
    DeliveryDeferred,
    DeliveryRefused,
    DeliveryUncertain,
    Envelope,
    MailTransport,
)
from meet2be.mailings.message import Letter, seal
from meet2be.mailings.models import Mail
from meet2be.mailings.outcomes import LOST_CLAIM, Outcome, OutcomeRecorder

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from sqlalchemy.orm import Session

    from meet2be.db import Database
    from onqueue.contracts import Clock

KIND_HEADER = "X-Meet2Be-Kind"
LEASE = timedelta(seconds=300)
"""How long a claim stands before anybody may call it lost: over two SMTP answers' time-outs."""


class SessionMaker(Protocol):
    """Opens a session in the scope of the mail's owner."""

    def __call__(self, *, read_only: bool = False) -> AbstractContextManager[Session]:
        """Return a new session."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How one try ended: the mail's status now, and why."""

    status: str
    detail: str = ""


class MailDelivery:
    """Delivers mails of one tenant; ``sessions`` opens a session in its scope."""

    def __init__(
        self,
        sessions: SessionMaker,
        transport: MailTransport,
        recorder: OutcomeRecorder,
        clock: Clock,
    ) -> None:
        self.sessions = sessions
        self.transport = transport
        self.recorder = recorder
        self.clock = clock

    def deliver(
        self, mail_id: int, token: str, ensure_lease: Callable[[], None] = lambda: None
    ) -> Delivery:
        """Send mail ``mail_id`` if it is still to be sent; ``token`` names the job that tries.

        ``ensure_lease`` is called right before the claim and raises when another worker may have
        taken over. Raises ``DeliveryDeferred`` when the mail is still queued and may be tried again
        later.
        """
        envelope = self._envelope_of(mail_id, token)
        if isinstance(envelope, Delivery):
            return envelope
        try:
            self.transport.prepare(envelope)
        except DeliveryDeferred as error:
            self._put_off(mail_id, error)
            raise
        except DeliveryRefused as error:
            return self._settle(mail_id, Outcome("failed", error.text, error.code))
        ensure_lease()
        if not self._claim(mail_id, token):
            return Delivery("sending", "another worker has claimed this mail")
        return self._transmit(mail_id, envelope)

    def _envelope_of(self, mail_id: int, token: str) -> Envelope | Delivery:
        with self.sessions(read_only=True) as session:
            mail = session.get(Mail, mail_id)
            if mail is None:
                return Delivery("cancelled", "the mail does not exist any more")
            if mail.status == "sending":
                return self._decide_lost_claim(mail_id, token)
            if mail.status != "queued":
                return Delivery(mail.status, "already decided")
            return seal(_letter(mail, self.clock.now()))

    def _claim(self, mail_id: int, token: str) -> bool:
        until = self.clock.now() + LEASE
        with self.sessions() as session:
            claimed = session.execute(
                update(Mail)
                .where(Mail.id == mail_id, Mail.status == "queued")
                .values(
                    status="sending",
                    lease_token=token,
                    lease_until=until,
                    attempts=Mail.attempts + 1,
                )
                .execution_options(synchronize_session=False)
            )
            session.commit()
            return bool(claimed.rowcount)

    def _transmit(self, mail_id: int, envelope: Envelope) -> Delivery:
        try:
            answer = self.transport.transmit(envelope)
        except DeliveryUncertain as error:
            return self._settle(mail_id, Outcome("uncertain", error.text))
        except DeliveryRefused as error:
            return self._settle(mail_id, Outcome("failed", error.text, error.code))
        except DeliveryDeferred as error:
            self._put_off(mail_id, error)
            raise
        return self._settle(mail_id, Outcome("sent", answer))

    def give_up(self, mail_id: int, reason: str) -> Delivery:
        """Mark a mail that is still queued as failed, because nobody will try it again."""
        with self.sessions(read_only=True) as session:
            mail = session.get(Mail, mail_id)
            if mail is None or mail.status != "queued":
                return Delivery(mail.status if mail else "cancelled", "already decided")
        return self._settle(mail_id, Outcome("failed", reason))

    def _put_off(self, mail_id: int, error: DeliveryDeferred) -> None:
        self._settle(mail_id, Outcome("queued", error.text, error.code, logged="deferred"))

    def _settle(self, mail_id: int, outcome: Outcome) -> Delivery:
        with self.sessions() as session:
            mail = session.get_one(Mail, mail_id)
            self.recorder.record(session, mail, outcome, self.clock.now())
            session.commit()
        return Delivery(outcome.status, outcome.detail)

    def _decide_lost_claim(self, mail_id: int, token: str) -> Delivery:
        """A standing claim is lost when an earlier run of the same job made it, or it lapsed."""
        with self.sessions() as session:
            mail = session.get_one(Mail, mail_id)
            lapsed = mail.lease_until is None or mail.lease_until <= self.clock.now()
            if mail.status != "sending" or (mail.lease_token != token and not lapsed):
                return Delivery(mail.status, "another worker is sending this mail")
            self.recorder.record(session, mail, Outcome("uncertain", LOST_CLAIM), self.clock.now())
            session.commit()
        return Delivery("uncertain", LOST_CLAIM)


class MailDeliveries:
    """Hands out the delivery of one tenant's mail; the transport is shared by a process."""

    def __init__(
        self, database: Database, transport: MailTransport, recorder: OutcomeRecorder, clock: Clock
    ) -> None:
        self.database = database
        self.transport = transport
        self.recorder = recorder
        self.clock = clock

    def of_tenant(self, tenant_id: int | None) -> MailDelivery:
        """Return the delivery in the scope of one tenant; None is the platform's own mail."""
        sessions: SessionMaker
        if tenant_id is None:
            sessions = partial(self.database.system_session, "deliver the platform's own mail")
        else:
            sessions = partial(self.database.tenant_session, tenant_id)
        return MailDelivery(sessions, self.transport, self.recorder, self.clock)


def expire_lost_claims(
    session: Session, recorder: OutcomeRecorder, now: datetime, limit: int = 200
) -> int:
    """Turn claims whose time is over into ``uncertain``; returns how many. The caller commits."""
    lost = session.scalars(
        select(Mail).where(Mail.status == "sending", Mail.lease_until <= now).limit(limit)
    ).all()
    for mail in lost:
        recorder.record(session, mail, Outcome("uncertain", LOST_CLAIM), now)
    return len(lost)


def _letter(mail: Mail, now: datetime) -> Letter:
    return Letter(
        message_id=mail.message_id or f"<{mail.uid}@localhost>",
        from_addr=mail.from_addr or "",
        to_addr=mail.to_addr,
        subject=mail.subject or "",
        text=mail.body_text or "",
        html=mail.body_html or "",
        sent_at=now,
        reply_to=mail.reply_to,
        headers={KIND_HEADER: mail.kind, **(mail.headers or {})},
    )
