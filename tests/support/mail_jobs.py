"""Mail jobs in a worker of the test's own: a real broker, a real mail server, the test's clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import svcs
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from jobs.send_transactional_email import SendTransactionalEmail
from jobs.triggers import TRIGGERS
from meet2be import facts
from meet2be.config import Settings
from meet2be.db import GuardedSession
from meet2be.db.sessions import Database
from meet2be.integrations.mail import MailTransport
from meet2be.mailings.delivery import MailDeliveries
from meet2be.mailings.limits import person_key
from meet2be.mailings.models import EmailLog, Mail
from meet2be.mailings.outcomes import OutcomeRecorder
from meet2be.mailings.services import MailDraft, Sender, post
from onqueue.payload import plan_of
from onqueue.testing import FakeClock
from support.child_loop import Bench
from support.redis_rig import Rig, message

SENDER = Sender("Aurora Conferences", "tickets@aurora.example")
REFUND = {
    "name": "Ada",
    "event_title": "Aurora Summit",
    "order_code": "C1",
    "tenant_name": "Aurora Conferences",
    "amount_minor": 1_000,
    "currency": "EUR",
}


class MailRoom:
    """Runs the jobs that facts of mails cause."""

    def __init__(
        self, database: Database, rig: Rig, transport: MailTransport, settings: Settings
    ) -> None:
        self.database = database
        self.rig = rig
        assert isinstance(database.clock, FakeClock)
        self.clock = database.clock
        self.deliveries = MailDeliveries(database, transport, OutcomeRecorder(), database.clock)
        registry = svcs.Registry()
        registry.register_value(MailDeliveries, self.deliveries, enter=False)
        registry.register_value(Settings, settings, enter=False)
        self._bench = Bench(registry)
        self._bench.clock = database.clock
        consumer = rig.consumer("default")
        self._bench.consumer = consumer  # type: ignore[assignment]
        self._bench.checkpoints = consumer.checkpoints()

    def post(self, key: str, tenant_id: int = 1, **fields: Any) -> int:
        """Write a mail in a commit of its own, push its job, and return its number."""
        given: dict[str, Any] = {
            "kind": "refund_made",
            "template": "refund_made",
            "locale": "en-GB",
            "to_addr": "ada@firma.example",
            "context": REFUND,
            "sender": SENDER,
            **fields,
        }
        with self.database.tenant_session(tenant_id) as session:
            draft = MailDraft(tenant_id=tenant_id, dedupe_key=key, **given)
            written = post(session, draft, self.clock.now())
            jobs = self.jobs_of(session)
            session.commit()
        self.push(jobs, tenant_id)
        return written.mail_id

    def jobs_of(self, session: Any) -> list[Any]:
        """Return the jobs that a session's facts cause, and forget the facts."""
        return [job for fact in facts.take(session) for job in TRIGGERS[type(fact)](fact)]

    def push(self, jobs: list[Any], tenant_id: int | None = 1) -> None:
        """Put jobs into the queue in the name of a tenant."""
        context = {} if tenant_id is None else {"tenant": str(tenant_id)}
        for job in jobs:
            payload = plan_of(type(job)).encode(job, self.clock.time(), context)
            assert self.rig.queue.push_many([message("default", payload)]) == 1

    def work(self) -> None:
        """Run what is ready."""
        self._bench.run()

    def pass_time(self, seconds: float) -> None:
        """Move our clock and the broker's."""
        self.clock.advance(seconds)
        self.rig.queue.time_offset += seconds

    def mail(self, mail_id: int, tenant_id: int = 1) -> Mail:
        """Return a mail as it stands."""
        with self.database.tenant_session(tenant_id, read_only=True) as session:
            return session.get_one(Mail, mail_id)

    def states(self) -> list[str]:
        """Return the states of all mails, in their order."""
        with self.database.system_session("tests: look", read_only=True) as session:
            return list(session.scalars(select(Mail.status).order_by(Mail.id)))

    def log(self, mail_id: int) -> list[str]:
        """Return what came of each try."""
        with self.database.system_session("tests: look", read_only=True) as session:
            tries = select(EmailLog.outcome).where(EmailLog.mail_id == mail_id)
            return list(session.scalars(tries.order_by(EmailLog.n)))

    def push_again(self, mail_id: int) -> None:
        """Put a mail's job into the queue once more, as the outbox of jobs does after a loss."""
        mail = self.mail(mail_id)
        person = person_key(mail.tenant_id, mail.user_id, mail.to_norm)
        self.push([SendTransactionalEmail(mail=mail_id, person=person)])


@contextmanager
def hang_jobs(room: MailRoom) -> Iterator[None]:
    """Push the jobs of facts that are noted inside jobs, in the commit that makes them true."""

    def before_commit(session: Session) -> None:
        room.push(room.jobs_of(session))

    event.listen(GuardedSession, "before_commit", before_commit)
    try:
        yield
    finally:
        event.remove(GuardedSession, "before_commit", before_commit)
