"""A sender is killed at each point of a delivery; its successor runs the same jobs again."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable

import pytest
from sqlalchemy import select

from meet2be.db import Database
from meet2be.mailings.models import Mail
from meet2be.mailings.services import MailDraft, Sender, enqueue_many
from meet2be.tenancy.models import Tenant
from simulators.processes import MailSinkProcess

pytestmark = pytest.mark.crash
Play = Callable[..., list[int]]
MAILS, TURN = 6, 3
CODE = {"code": "12345678", "name": "Ada", "event_title": "Aurora", "total": "1", "minutes": 15}


def outbox(database: Database) -> list[int]:
    with database.system_session("test: a tenant") as session:
        session.add(Tenant(slug="aurora", name="Aurora Conferences"))
        session.commit()
    with database.tenant_session(1) as session:
        drafts = [
            MailDraft(
                tenant_id=1,
                kind="code",
                template="confirmation_code",
                locale="en",
                to_addr=f"person{number}@firma.example",
                dedupe_key=f"k{number}",
                context={**CODE, "tenant_name": "Aurora Conferences"},
                sender=Sender("Aurora", "tickets@aurora.example"),
            )
            for number in range(MAILS)
        ]
        written = enqueue_many(session, drafts, database.clock.now())
        session.commit()
    return [item.mail_id for item in written]


@pytest.mark.parametrize(
    ("point", "uncertain", "received"),
    [
        # The answer of the mail before is here, and to be recorded with the next claim.
        ("before_prepare", 1, MAILS),
        ("after_prepare", 1, MAILS),
        ("after_claim", 1, MAILS - 1),
        ("after_data", 1, MAILS),
    ],
)
def test_a_killed_sender_makes_at_most_one_mail_uncertain_and_none_arrives_twice(
    sqlite_database: Database,
    sink: MailSinkProcess,
    play: Play,
    point: str,
    uncertain: int,
    received: int,
) -> None:
    mails = outbox(sqlite_database)
    assert play("deliver", point, TURN, *mails) == [-signal.SIGKILL, 0]
    arrivals = Counter(item.message_id for item in sink.control.messages())
    with sqlite_database.tenant_session(1, read_only=True) as session:
        states = Counter(session.scalars(select(Mail.status)))
    assert states == Counter({"sent": MAILS - uncertain, "uncertain": uncertain})
    assert arrivals.total() == received
    assert max(arrivals.values()) == 1
