"""What webhooks are told of a cancellation, and that nothing is made where nobody listens."""

from sqlalchemy import func, select

from meet2be.webhooks.models import WebhookEvent
from support.cancelling import Conference
from support.factories import Ticket
from support.hooks import make_endpoint


def types(of: Conference) -> dict[str, int]:
    with of.database.tenant_session(of.tenant.id) as session:
        found = session.execute(select(WebhookEvent.type, func.count()).group_by(WebhookEvent.type))
        return {row[0]: row[1] for row in found}


def cancel(of: Conference) -> None:
    of.sell(Ticket(), Ticket(name="Bea"))
    of.sell(Ticket(price=0), payment=None)
    of.cancel()


def test_a_cancellation_announces_the_event_its_attendees_and_its_refunds(
    meeting: Conference,
) -> None:
    make_endpoint(meeting.database, meeting.tenant.id)
    cancel(meeting)
    assert types(meeting) == {
        "event.cancelling": 1, "attendee.cancelled": 3, "refund.succeeded": 1, "event.cancelled": 1,
    }  # fmt: skip


def test_where_nobody_listens_nothing_is_written(meeting: Conference) -> None:
    make_endpoint(meeting.database, meeting.tenant.id, status="deleted")
    cancel(meeting)
    assert types(meeting) == {}
