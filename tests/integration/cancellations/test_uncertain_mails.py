"""Mails of a run that may or may not have arrived are told of once, with their number."""

from sqlalchemy import select, update

from meet2be.cancellations.letters import RELATED_TYPE
from meet2be.cancellations.mail_listener import on_mail_settled, uncertain_of_run
from meet2be.mailings.models import Mail
from meet2be.mailings.outcomes import Outcome, OutcomeRecorder
from meet2be.notifications.models import Notification
from support.cancelling import Conference
from support.factories import Ticket


def test_uncertain_mails_of_a_run_are_one_notice_that_counts_them(any_meeting: Conference) -> None:
    meeting = any_meeting
    for _ in range(3):
        meeting.sell(Ticket(price=10_000))
    meeting.cancel()
    lose_answers(meeting, 1)
    [notice] = notices(meeting)
    assert notice.title == f"1 mail about {meeting.event.title} may or may not have arrived"
    assert notice.link == f"/cancellations/{meeting.run_uid}?mail_state=uncertain#items"
    with meeting.database.tenant_session(meeting.tenant.id) as session:
        session.execute(update(Notification).values(read_at=meeting.clock.now()))
        session.commit()
    lose_answers(meeting, 2)
    [notice] = notices(meeting)
    assert notice.title == f"3 mails about {meeting.event.title} may or may not have arrived"
    assert notice.read_at is None


def notices(meeting: Conference) -> list[Notification]:
    """Return the notices of uncertain mails that the administrator has."""
    of_kind = Notification.kind == "mail_uncertain", Notification.user_id == meeting.admin
    return meeting.rows(Notification, *of_kind)


def lose_answers(meeting: Conference, number: int) -> None:
    """Have the answers to so many mails lost."""
    listeners, together = {RELATED_TYPE: on_mail_settled}, {RELATED_TYPE: uncertain_of_run}
    recorder = OutcomeRecorder(listeners, "smtp", together)
    waiting = select(Mail).where(
        Mail.kind == "event_cancelled",
        Mail.status == "queued",
        Mail.tenant_id == meeting.tenant.id,
    )
    # As claims whose worker is gone are found: for all tenants at once.
    with meeting.database.system_session("tests: lose answers") as session:
        for mail in session.scalars(waiting.limit(number)).all():
            lost = Outcome("uncertain", "no answer")
            assert recorder.record(session, mail, lost, meeting.clock.now())
        session.commit()
