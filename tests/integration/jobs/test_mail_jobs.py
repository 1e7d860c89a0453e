"""What a mail's job meets on its way: suspension, erasure, servers that refuse us, welcomes."""

from __future__ import annotations

import email
from collections.abc import Iterator
from datetime import timedelta
from email import policy

import pytest
from sqlalchemy import select, update

from jobs.triggers import TRIGGERS
from meet2be import facts
from meet2be.accounts import welcome
from meet2be.accounts.models import AccountToken, User
from meet2be.accounts.tokens import TokenRefused, look_up, redeem
from meet2be.audit.services import SYSTEM
from meet2be.integrations.mail import Envelope, TransportBroken
from meet2be.mailings.actions import cancel
from meet2be.mailings.decisions import decide_uncertain
from meet2be.mailings.errors import BodyGone
from meet2be.mailings.housekeeping import tidy_tx
from meet2be.mailings.models import Mail, MailNews, MailSuppression
from meet2be.mailings.news import News, take_in
from meet2be.mailings.suppressions import suppress
from meet2be.notifications.models import Notification
from meet2be.tenancy.models import Tenant
from simulators.control import MailSinkControl
from support.factories import make_user
from support.mail_jobs import MailRoom, hang_jobs

NOTICE = {"name": "Ada", "title": "T", "body": "", "link": "", "tenant_name": "A"}


def text_of(message: bytes) -> str:
    """Return the plain part of a message."""
    part = email.message_from_bytes(message, policy=policy.default).get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def set_tenant(room: MailRoom, status: str) -> Tenant:
    with room.database.system_session("test: suspend") as session:
        tenant = session.get_one(Tenant, 1)
        tenant.status = status
        session.commit()
        return tenant


def test_mail_of_a_suspended_organisation_is_held_but_not_what_it_owes(
    room: MailRoom, control: MailSinkControl
) -> None:
    """D22."""
    set_tenant(room, "suspended")
    held = room.post("k1", kind="notice", template="notice", context=NOTICE)
    refund = room.post("k2")
    room.work()
    assert (room.mail(held).status, room.mail(refund).status) == ("held", "sent")
    set_tenant(room, "active")
    tidy_tx(room.deliveries)
    assert room.mail(held).status == "queued"


def test_mail_to_somebody_who_was_erased_is_cancelled(
    room: MailRoom, control: MailSinkControl
) -> None:
    """D21."""
    user = make_user(room.database, email="gone@firma.example")
    mail = room.post("k1", to_addr=user.email, user_id=user.id)
    with room.database.system_session("test: erase") as session:
        session.execute(update(User).where(User.id == user.id).values(status="erased"))
        session.commit()
    room.work()
    assert (room.mail(mail).status, room.mail(mail).last_error) == (
        "cancelled",
        "the person was erased",
    )


class Refusing:
    """A mail server that does not take our password."""

    def __init__(self) -> None:
        self.asked = 0

    def prepare(self, envelope: Envelope, meanwhile: object = None) -> None:
        self.asked += 1
        raise TransportBroken("mail.example:25", 535, "wrong password")

    def transmit(self, envelope: Envelope, following: Envelope | None = None) -> str:
        raise AssertionError("nothing was prepared")

    def abandon(self) -> None:
        """Nothing was said."""

    def close(self) -> None:
        """Nothing is open."""


class RefusingWhatItIsGiven(Refusing):
    """One that says so only when it is handed the message, as SES does."""

    def prepare(self, envelope: Envelope, meanwhile: object = None) -> None:
        """Nothing is said here."""

    def transmit(self, envelope: Envelope, following: Envelope | None = None) -> str:
        self.asked += 1
        raise TransportBroken("SES", 403, "wrong password")


@pytest.fixture(params=[Refusing, RefusingWhatItIsGiven])
def refusing(room: MailRoom, request: pytest.FixtureRequest) -> Iterator[Refusing]:
    working, made = room.deliveries.transport, request.param()
    room.deliveries.transport = made
    yield made
    room.deliveries.transport = working


def test_a_wrong_password_stops_all_mail_with_one_try_and_one_notice(
    room: MailRoom, refusing: Refusing, control: MailSinkControl, sink: object
) -> None:
    """D24."""
    with room.database.system_session("test: look", read_only=True) as session:
        tenant = session.get_one(Tenant, 1)
    make_user(room.database, tenant)
    mails = [room.post(f"k{number}", to_addr=f"p{number}@firma.example") for number in range(5)]
    room.work()
    assert refusing.asked == 1
    assert {room.mail(mail).status for mail in mails} == {"queued"}
    with room.database.tenant_session(1, read_only=True) as session:
        (notice,) = session.scalars(select(Notification))
        assert notice.kind == "mail.circuit_open"
        assert "wrong password" in notice.body


def test_a_lost_claim_is_sent_again_where_twice_does_no_harm(
    room: MailRoom, control: MailSinkControl
) -> None:
    """D6. The schedule finds it, in the name of its organisation."""
    notice = room.post("k1", kind="notice", template="notice", context=NOTICE)
    refund = room.post("k2")
    with room.database.tenant_session(1) as session:
        for mail in (notice, refund):
            row = session.get_one(Mail, mail)
            row.status, row.lease_until = "sending", room.clock.now()
        session.commit()
    room.rig.client.flushall()
    with hang_jobs(room):
        tidy_tx(room.deliveries)
    assert (room.mail(notice).status, room.mail(refund).status) == ("queued", "uncertain")


def welcomed(room: MailRoom, *users: int) -> list[int]:
    with room.database.tenant_session(1) as session:
        new = welcome.welcome_many(session, 1, users, room.clock.now())
        jobs = [job for fact in facts.take(session) for job in TRIGGERS[type(fact)](fact)]
        session.commit()
    room.push(jobs)
    return new


def test_a_person_is_welcomed_once_for_ever_with_a_link_that_only_they_hold(
    room: MailRoom, control: MailSinkControl
) -> None:
    """F1, F2. The link works once, and ends."""
    with room.database.system_session("test: look", read_only=True) as session:
        tenant = session.get_one(Tenant, 1)
    user = make_user(room.database, tenant, status="invited", email="new@firma.example")
    (mail,) = welcomed(room, user.id)
    assert welcomed(room, user.id) == []
    assert room.mail(mail).body_text is None
    room.work()
    assert (room.mail(mail).status, room.mail(mail).body_text) == ("sent", None)
    (received,) = control.messages()
    text = text_of(control.body(received.number))
    secret = text.partition("/welcome/")[2].split()[0]
    with room.database.system_session("test: the person clicks") as session:
        now = room.clock.now()
        assert look_up(session, secret, "welcome", now).user_id == user.id
        assert session.scalars(select(AccountToken.token_hash)).one() != secret
        assert redeem(session, secret, "welcome", now).tenant_id == 1
        for purpose in ("welcome", "password_reset"):
            with pytest.raises(TokenRefused):
                redeem(session, secret, purpose, now)
        assert session.get_one(User, user.id).welcome_sent_at is not None


def test_a_welcome_that_was_held_leaves_with_a_link_of_its_own(
    room: MailRoom, control: MailSinkControl
) -> None:
    """F2, D22. What is held keeps no secret."""
    user = make_user(
        room.database, set_tenant(room, "suspended"), status="invited", email="new@firma.example"
    )
    (mail,) = welcomed(room, user.id)
    room.work()
    assert (room.mail(mail).status, room.mail(mail).body_text) == ("held", None)
    set_tenant(room, "active")
    with hang_jobs(room):
        tidy_tx(room.deliveries)
    room.work()
    assert (room.mail(mail).status, room.mail(mail).body_text) == ("sent", None)
    (received,) = control.messages()
    secret = text_of(control.body(received.number)).partition("/welcome/")[2].split()[0]
    with room.database.system_session("test: the person clicks") as session:
        assert look_up(session, secret, "welcome", room.clock.now()).user_id == user.id
        assert session.get_one(User, user.id).welcome_sent_at is not None


def test_welcomes_that_make_no_sense_any_more_are_skipped_with_a_reason(
    room: MailRoom, control: MailSinkControl
) -> None:
    """F3, F4."""
    with room.database.system_session("test: look", read_only=True) as session:
        tenant = session.get_one(Tenant, 1)
    active = make_user(room.database, tenant, status="active")
    erased = make_user(room.database, tenant, status="erased")
    left = make_user(room.database, status="invited")
    undone = make_user(room.database, tenant, status="invited")
    mails = welcomed(room, active.id, erased.id, left.id, undone.id)
    with room.database.tenant_session(1) as session:
        assert welcome.cancel_welcomes(session, [undone.id], "the import was taken back") == []
        session.commit()
    room.work()
    assert control.messages() == []
    reasons = {room.mail(mail).user_id: room.mail(mail).last_error for mail in mails}
    assert {room.mail(mail).status for mail in mails} == {"cancelled"}
    assert reasons == {
        active.id: "the account is in use already",
        erased.id: "the person was erased",
        left.id: "the person has left the organisation",
        undone.id: "the import was taken back",
    }


def test_a_welcome_nobody_knows_the_fate_of_leaves_once_more_with_a_new_link(
    room: MailRoom, control: MailSinkControl
) -> None:
    """D6, F2. Its text is forgotten, so its own job writes it another."""
    control.rule("drop_after_data", times=1)
    user = make_user(
        room.database, set_tenant(room, "active"), status="invited", email="new@firma.example"
    )
    (mail,) = welcomed(room, user.id)
    room.work()
    assert (room.mail(mail).status, room.mail(mail).body_text) == ("uncertain", None)
    with room.database.tenant_session(1) as session, hang_jobs(room):
        uid, now = session.get_one(Mail, mail).uid, room.clock.now()
        recorder = room.deliveries.recorder
        decide_uncertain(session, recorder, uid, "again", "never came", SYSTEM, now)
        session.commit()
    room.work()
    assert room.mail(mail).status == "sent"
    one, two = (text_of(control.body(each.number)) for each in control.messages())
    assert "/welcome/" in one
    assert "/welcome/" in two
    assert one != two


def test_a_welcome_that_is_withdrawn_keeps_no_link(
    room: MailRoom, control: MailSinkControl
) -> None:
    """F2, F4. By hand, or with its import."""
    control.rule("defer")
    tenant = set_tenant(room, "active")
    people = [make_user(room.database, tenant, status="invited") for _ in range(2)]
    mails = welcomed(room, *(user.id for user in people))
    room.work()
    assert all(room.mail(mail).body_text for mail in mails)
    with room.database.tenant_session(1) as session:
        welcome.cancel_welcomes(session, [people[0].id], "the import was taken back")
        uid = session.get_one(Mail, mails[1]).uid
        cancel(session, room.deliveries.recorder, uid, SYSTEM, room.clock.now())
        session.commit()
    assert [room.mail(mail).body_text for mail in mails] == [None, None]
    assert [room.mail(mail).status for mail in mails] == ["cancelled"] * 2


def test_texts_are_erased_after_ninety_days_and_the_log_stays(
    room: MailRoom, control: MailSinkControl
) -> None:
    """D25."""
    mail = room.post("k1")
    room.work()
    waiting = room.post("k2")
    room.clock.advance(91 * 86_400)
    tidy_tx(room.deliveries)
    assert room.mail(mail).body_text is None
    assert room.log(mail) == ["sent"]
    assert room.mail(waiting).body_text is not None
    with room.database.tenant_session(1) as session:
        session.get_one(Mail, waiting).status = "uncertain"
        session.commit()
    tidy_tx(room.deliveries)
    recorder, uid, now = room.deliveries.recorder, room.mail(waiting).uid, room.clock.now()
    with room.database.tenant_session(1) as session, pytest.raises(BodyGone):
        decide_uncertain(session, recorder, uid, "again", "lost", SYSTEM, now)


def test_what_is_of_no_use_any_more_is_forgotten(room: MailRoom, control: MailSinkControl) -> None:
    """D21, D25. A secret after a day, what providers told, and pauses that are over."""
    secret, now = room.post("k1", sensitive=True), room.clock.now()
    plain = room.post("k2")
    room.work()
    with room.database.system_session("test: what a provider tells") as session:
        for kind, days in (("short", 14), ("long", 100)):
            suppress(session, 1, kind, "hard_bounce", valid=timedelta(days=days), now=now)
        suppress(session, 1, "gone", "hard_bounce", now=now)
        told = News("generic", "n1", "delivered", "ada@firma.example", now)
        assert take_in(session, told, now) == "unknown mail"
        session.commit()
    room.clock.advance(86_400 + 1)
    tidy_tx(room.deliveries)
    assert (room.mail(secret).body_text, room.mail(plain).body_text is None) == (None, False)
    assert (left(room, MailNews), left(room, MailSuppression)) == (1, 3)
    room.clock.advance(90 * 86_400)
    tidy_tx(room.deliveries)
    assert (left(room, MailNews), left(room, MailSuppression)) == (0, 2)


def left(room: MailRoom, rows: type[MailNews | MailSuppression]) -> int:
    with room.database.system_session("test: look", read_only=True) as session:
        return len(session.scalars(select(rows)).all())
