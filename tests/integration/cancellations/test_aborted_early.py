"""A large run that is aborted before its items are written."""

import pytest
from sqlalchemy import select

from meet2be.cancellations import preparing, services
from meet2be.webhooks.models import WebhookEvent
from support.cancelling import Conference
from support.factories import Ticket
from support.hooks import make_endpoint


def test_an_abort_in_the_preparation_tells_that_the_event_is_being_cancelled(
    meeting: Conference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "IN_THE_REQUEST", 0)
    make_endpoint(meeting.database, meeting.tenant.id, event_types=["event.cancelling"],
                  all_types=False)  # fmt: skip
    meeting.sell(Ticket(price=10_000))
    meeting.confirm()
    told = select(WebhookEvent.type)
    with meeting.database.tenant_session(meeting.tenant.id, read_only=True) as session:
        assert session.scalars(told).all() == []
    meeting.act(services.abort, meeting.admin)
    assert meeting.finish().state == "aborted"
    with meeting.database.tenant_session(meeting.tenant.id, read_only=True) as session:
        assert session.scalars(told).all() == ["event.cancelling"]
