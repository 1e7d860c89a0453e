"""The jobs that send one mail are killed between the mail server's answer and their commit."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from meet2be.accounts import welcome
from meet2be.accounts.models import AccountToken
from meet2be.db import Database
from meet2be.mailings.models import Mail
from meet2be.mailings.services import MailDraft, post
from simulators.processes import MailSinkProcess
from support.factories import make_tenant, make_user
from support.mail_jobs import REFUND, SENDER

pytestmark = pytest.mark.crash
Play = Callable[..., list[int]]
ONE_DIED = [-signal.SIGKILL, 0, 0]


def test_a_transactional_mail_whose_sender_died_is_uncertain_and_arrives_once(
    sqlite_database: Database, sink: MailSinkProcess, play: Play
) -> None:
    """D6, D7."""
    tenant = make_tenant(sqlite_database)
    with sqlite_database.tenant_session(tenant.id) as session:
        draft = MailDraft(
            tenant_id=tenant.id, kind="refund_made", template="refund_made", locale="en",
            to_addr="ada@firma.example", dedupe_key="k", context=REFUND, sender=SENDER,
        )  # fmt: skip
        mail = post(session, draft, sqlite_database.clock.now()).mail_id
        session.commit()
    assert play("job", "after_data", "refund_made", mail) == ONE_DIED
    assert len(sink.control.messages()) == 1
    with sqlite_database.tenant_session(tenant.id, read_only=True) as session:
        assert session.get_one(Mail, mail).status == "uncertain"


@pytest.mark.parametrize(("point", "arrivals"), [("before_prepare", 1), ("after_data", 2)])
def test_a_welcome_whose_sender_died_leaves_again_with_the_same_link(
    sqlite_database: Database, sink: MailSinkProcess, play: Play, point: str, arrivals: int
) -> None:
    """F1, F2. Twice the same welcome does no harm; none at all would."""
    tenant = make_tenant(sqlite_database)
    user = make_user(sqlite_database, tenant, status="invited", email="new@firma.example")
    with sqlite_database.tenant_session(tenant.id) as session:
        now = sqlite_database.clock.now()
        (mail,) = welcome.welcome_many(session, tenant.id, [user.id], now)
        session.commit()
    assert play("job", point, "welcome", mail) == ONE_DIED
    received = sink.control.messages()
    assert len({item.message_id for item in received}) == 1
    texts = {re.sub(rb"Date: .*", b"", sink.control.body(item.number)) for item in received}
    assert (len(received), len(texts)) == (arrivals, 1)
    with sqlite_database.system_session("test: look", read_only=True) as session:
        row = session.get_one(Mail, mail)
        assert (row.status, row.body_text) == ("sent", None)
        assert session.scalar(select(func.count()).select_from(AccountToken)) == 1
