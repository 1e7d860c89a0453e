"""Ten mails an hour to one person; what is beyond waits, with nothing spent."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from meet2be import facts
from meet2be.mailings.facts import MailsQueued
from meet2be.mailings.limits import day_of
from meet2be.mailings.services import PRIORITY_BULK, PRIORITY_SECURITY, MailDraft, enqueue_many
from meet2be.organisations.usage import usage
from meet2be.tenancy.limits import set_limits
from meet2be.tenancy.models import Tenant
from onqueue.limits import Limit
from simulators.control import MailSinkControl
from support.mail_jobs import REFUND, SENDER, MailRoom, hang_jobs
from support.web import web_on

HOUR = 3_600.0
CODE = {
    "name": "Ada", "code": "12345678", "event_title": "Aurora Summit", "total": "9 €",
    "minutes": 15, "tenant_name": "Aurora Conferences",
}  # fmt: skip


def test_of_twelve_mails_to_one_person_two_wait_to_the_second(
    room: MailRoom, control: MailSinkControl
) -> None:
    """D1, D2, A19."""
    sent = [room.post(f"k{number}") for number in range(5)]
    room.work()
    room.pass_time(60)
    sent += [room.post(f"k{number}") for number in range(5, 10)]
    late = [room.post(f"k{number}", to_addr=" ADA@firma.example ") for number in (10, 11)]
    room.work()
    assert [room.mail(mail).status for mail in sent] == ["sent"] * 10
    assert [room.mail(mail).status for mail in late] == ["limited"] * 2
    free_at = room.clock.now() + timedelta(seconds=HOUR - 60)
    for mail in late:
        waiting = room.mail(mail)
        assert waiting.next_at is not None
        assert abs((waiting.next_at - free_at).total_seconds()) < 20
        assert (waiting.attempts, waiting.releases) == (0, 1)
    room.pass_time(HOUR - 80)
    room.work()
    assert len(control.messages()) == 10
    room.pass_time(40)
    room.work()
    assert [room.mail(mail).status for mail in late] == ["sent"] * 2
    assert room.log(late[0]) == ["limited", "sent"]
    assert len(control.messages()) == 12


def test_mails_that_wait_for_longer_than_a_day_leave_all_the_same(
    room: MailRoom, control: MailSinkControl
) -> None:
    """A19. A job's end comes while it is parked; its mail goes on with another."""
    mails = [room.post(f"k{number}") for number in range(12)]
    room.work()
    room.pass_time(24 * HOUR + 60)
    with hang_jobs(room):
        room.work()
        room.work()
    assert room.states() == ["sent"] * 12
    assert room.log(mails[-1]) == ["limited", "sent"]
    assert len(control.messages()) == 12


def test_a_mail_that_the_server_put_off_for_a_day_has_failed(
    room: MailRoom, control: MailSinkControl
) -> None:
    """D23."""
    control.rule("defer")
    mail = room.post("k0")
    room.work()
    room.pass_time(24 * HOUR + 60)
    with hang_jobs(room):
        room.work()
    assert room.mail(mail).status == "failed"


def test_security_mails_are_counted_but_never_wait(
    room: MailRoom, control: MailSinkControl
) -> None:
    """D5."""
    for number in range(11):
        room.post(
            f"code{number}", kind="confirmation_code", template="confirmation_code",
            context=CODE, priority=PRIORITY_SECURITY,
        )  # fmt: skip
    room.work()
    assert room.states() == ["sent"] * 11
    waits = room.post("k1")
    others = room.post("k2", to_addr="kurt@firma.example")
    elsewhere = room.post("k3", tenant_id=2)
    room.work()
    assert room.mail(waits).status == "limited"
    assert room.mail(others).status == room.mail(elsewhere, 2).status == "sent"


def test_a_mail_the_server_puts_off_is_counted_once(
    room: MailRoom, control: MailSinkControl
) -> None:
    """D23."""
    control.rule("defer", times=1)
    first = room.post("k0")
    room.work()
    assert room.mail(first).status == "queued"
    control.behave_well()
    room.pass_time(31)
    rest = [room.post(f"k{number}") for number in range(1, 10)]
    room.work()
    assert {room.mail(mail).status for mail in [first, *rest]} == {"sent"}


def test_a_broker_that_lost_its_memory_sends_nothing_twice(
    room: MailRoom, control: MailSinkControl
) -> None:
    """D3."""
    mail = room.post("k0")
    room.work()
    room.rig.client.flushall()
    room.push_again(mail)
    room.work()
    assert room.mail(mail).status == "sent"
    assert len(control.messages()) == 1


def wave(room: MailRoom, *names: str) -> None:
    """Write mails in one commit, as a cancellation does, and push their jobs."""
    with room.database.tenant_session(1) as session:
        drafts = [
            MailDraft(
                tenant_id=1, kind="refund_made", template="refund_made", locale="en-GB",
                to_addr=f"{name}@firma.example", dedupe_key=f"wave{number}{name}", context=REFUND,
                sender=SENDER, priority=PRIORITY_BULK,
            )
            for number, name in enumerate(names)
        ]  # fmt: skip
        written = enqueue_many(session, drafts, room.clock.now())
        facts.note(session, MailsQueued(tuple(each.mail_id for each in written)))
        jobs = room.jobs_of(session)
        session.commit()
    assert len(jobs) == 1
    room.push(jobs)


def test_a_wave_to_one_person_leaves_what_is_beyond_to_jobs_that_wait(
    room: MailRoom, control: MailSinkControl
) -> None:
    """A19. None fails, none is lost, others are not held up."""
    wave(room, *["same"] * 12, "other")
    with hang_jobs(room):
        room.work()
    assert room.states() == ["sent"] * 10 + ["limited"] * 2 + ["sent"]
    room.pass_time(HOUR + 1)
    room.work()
    assert room.states() == ["sent"] * 13
    assert len(control.messages()) == 13


def give_a_day(room: MailRoom, most: int) -> None:
    with room.database.system_session("test: an operator gives a limit") as session:
        set_limits(session.get_one(Tenant, 1), {"mails_a_day": most})
        session.commit()


def tried_in_a_day(room: MailRoom) -> int:
    """Return the figure of the organisation's page."""
    with room.database.tenant_session(1, read_only=True) as session:
        now = room.clock.now()
        used = usage(session, now, day_of(room.rig.queue, 1, now))
        found = {use.limit.key: use.used for use in used}
    return found["mails_a_day"]


def test_what_is_beyond_an_organisations_day_waits_for_the_next(
    room: MailRoom, control: MailSinkControl
) -> None:
    """D1. Codes are counted and leave; other organisations have days of their own."""
    give_a_day(room, 4)
    room.post("k0")
    room.post("code", kind="confirmation_code", template="confirmation_code", context=CODE)
    wave(room, "a", "b", "c")
    with hang_jobs(room):
        room.work()
    late = room.post("k1", to_addr="late@firma.example")
    code = room.post("more", kind="confirmation_code", template="confirmation_code", context=CODE)
    elsewhere = room.post("k2", tenant_id=2)
    room.work()
    assert room.states() == ["sent"] * 4 + ["limited", "limited", "sent", "sent"]
    assert room.mail(code).status == room.mail(elsewhere, 2).status == "sent"
    waiting = room.mail(late)
    assert waiting.next_at is not None
    assert abs((waiting.next_at - room.clock.now()).total_seconds() - 24 * HOUR) < 60
    assert tried_in_a_day(room) == 5, "the page counts what sending counts: not those that wait"
    room.pass_time(24 * HOUR + 5)
    with hang_jobs(room):
        room.work()
        room.work()
    assert room.states() == ["sent"] * 8


def test_a_new_day_is_shown_with_what_sending_has_counted_in_it(
    room: MailRoom, control: MailSinkControl
) -> None:
    """D1. Not with what left in the last 24 hours, which may be of two days."""
    give_a_day(room, 4)
    assert tried_in_a_day(room) == 0
    room.post("k0")
    room.work()
    room.pass_time(23 * HOUR)
    wave(room, "a", "b", "c")
    room.work()
    assert tried_in_a_day(room) == 4
    room.pass_time(HOUR + 5)
    assert tried_in_a_day(room) == 0, "the day is over: all four may leave"
    wave(room, "d", "e")
    room.work()
    assert tried_in_a_day(room) == 2, "the next three are of the day before"
    wave(room, "f", "g", "h")
    with hang_jobs(room):
        room.work()
    assert room.states() == ["sent"] * 8 + ["limited"]
    assert tried_in_a_day(room) == 4


def test_the_page_of_limits_says_when_the_day_of_mails_ends(
    room: MailRoom, redis_url: str, tmp_path: Path
) -> None:
    """D1. And what it counts while nobody can tell what sending has counted."""
    with web_on(room.database, room.clock, tmp_path, REDIS_URL=redis_url) as web:
        with room.database.system_session("tests: look", read_only=True) as session:
            tenant = session.get_one(Tenant, 1)
        admin = web.person(tenant, "admin")
        assert "The last day is over: the next mail begins one." in admin.page("/settings/limits")
        give_a_day(room, 4)
        wave(room, *"abcde")
        room.work()
        page = admin.page("/settings/limits")
        assert "Sent, or tried, in the day that ends" in page and "reached" in page
    with web_on(room.database, room.clock, tmp_path, REDIS_URL="redis://127.0.0.1:1/0") as web:
        page = web.operator().page(f"/operator/tenants/{tenant.uid}")
        assert "Sent, or tried, in the last 24 hours." in page


MOMENT = 60.0
"""What a second is for the tests below: the broker's clock goes on while their mails leave."""


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch, room: MailRoom) -> None:
    """Let the limit of a second be one of a moment."""
    limits = room.deliveries.limits
    limits.rate = 7
    assert limits.per_second() == Limit.per_second(7).by("transport")
    monkeypatch.setattr(
        type(limits), "per_second", lambda self: Limit.per_second(self.rate, MOMENT).by("transport")
    )


@pytest.mark.usefixtures("slowly")
def test_a_mail_server_gets_no_more_in_a_second_than_it_takes(
    room: MailRoom, control: MailSinkControl
) -> None:
    """D1. Neither of a wave nor of single mails; none is tried twice for it."""
    room.deliveries.limits.rate = 3
    wave(room, *"abcdefg")
    sent = []
    for _second in range(3):
        room.work()
        sent.append(len(control.messages()))
        room.pass_time(MOMENT + 0.1)
    assert sent == [3, 6, 7]
    singles = [room.post(f"k{number}", to_addr=f"p{number}@firma.example") for number in range(4)]
    room.work()
    assert [room.mail(mail).status for mail in singles] == ["sent"] * 3 + ["limited"]
    room.pass_time(MOMENT + 0.1)
    room.work()
    assert room.mail(singles[-1]).status == "sent"
    assert len(control.messages()) == 11


@pytest.mark.usefixtures("slowly")
def test_what_had_no_turn_in_a_second_is_counted_when_it_has(
    room: MailRoom, control: MailSinkControl
) -> None:
    """D1. Of a wave whose first try has ended, those tried are counted once, the others then."""
    give_a_day(room, 3)
    room.deliveries.limits.rate = 2
    control.rule("defer", subject="a@firma.example", times=1)
    wave(room, *"abcd")
    room.work()
    assert room.states() == ["queued", "sent", "queued", "queued"]
    room.pass_time(MOMENT)
    with hang_jobs(room):
        for _second in range(3):
            room.work()
            room.pass_time(MOMENT + 0.1)
    assert room.states() == ["sent", "sent", "sent", "limited"]


@pytest.mark.usefixtures("slowly")
def test_what_had_no_turn_for_a_day_has_not_failed(
    room: MailRoom, control: MailSinkControl
) -> None:
    """D1, D23. Of a wave, those the server put off for so long have; a single mail goes on."""
    room.deliveries.limits.rate = 2
    control.rule("defer", subject="a@firma.example")
    wave(room, *"abcd")
    room.work()
    room.post("k0")
    room.work()
    assert room.states() == ["queued", "sent", "queued", "queued", "limited"]
    room.pass_time(24 * HOUR + 60)
    with hang_jobs(room):
        for _second in range(3):
            room.work()
            room.pass_time(MOMENT + 0.1)
    assert room.states() == ["failed"] + ["sent"] * 4
