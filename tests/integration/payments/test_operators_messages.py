"""Operators look after the provider's messages that matched nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from meet2be.audit.models import AuditEntry
from meet2be.db import Database
from meet2be.payments.models import ProviderEvent
from onqueue.testing.clock import FakeClock
from support.factories import make_tenant
from support.web import Person, Web, web_on

PAGE = "/operator/messages"


@pytest.fixture
def web(sqlite_database: Database, clock: FakeClock, tmp_path: Path) -> Iterator[Web]:
    with web_on(sqlite_database, clock, tmp_path) as made:
        yield made


def operator_of(web: Web) -> Person:
    """Return an operator who also works for an organisation."""
    return web.person(make_tenant(web.services.database), is_operator=True)


def make_message(web: Web, number: int, result: str | None) -> int:
    now = web.services.clock.now()
    with web.services.database.system_session("tests") as session:
        message = ProviderEvent(
            provider="stripe", event_id=f"evt_{number}", type="refund.updated", received_at=now,
            payload={"id": f"evt_{number}", "name": "<b>Ada</b>"}, result=result, tries=1,
            processed_at=now if result else None,
        )  # fmt: skip
        session.add(message)
        session.commit()
        return message.id


def message_of(web: Web, number: int) -> ProviderEvent:
    with web.services.database.system_session("tests", read_only=True) as session:
        return session.get_one(ProviderEvent, number)


def test_what_matched_nothing_is_listed_counted_and_filtered(web: Web) -> None:
    operator = operator_of(web)
    assert "Nothing waits for you" in operator.page(PAGE)
    results = ("unmatched", "conflict", "gave_up", "ignored", "settled", None)
    for number, result in enumerate(results):
        make_message(web, number, result)
    page = operator.page(PAGE)
    assert [f"evt_{number}<" in page for number in range(6)] == [True] * 3 + [False] * 3
    assert "evt_5" in operator.page(f"{PAGE}?state=waiting")
    assert "evt_4" in operator.page(f"{PAGE}?state=all&q=refund.")
    assert "No message fits" in operator.page(f"{PAGE}?q=evt_4")
    assert '<span class="visually-hidden">, open: </span>3<' in operator.page("/operator/tenants")


def test_the_list_goes_on_over_pages(web: Web) -> None:
    for number in range(53):
        make_message(web, number, "unmatched")
    operator = operator_of(web)
    first = operator.page(PAGE)
    later = first.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    assert "evt_2<" in operator.page(later)
    assert "evt_2<" not in first


def test_a_message_is_looked_at_again_or_marked_as_seen_with_a_note(web: Web) -> None:
    operator = operator_of(web)
    row = make_message(web, 1, "unmatched")
    assert "&lt;b&gt;Ada" in operator.page(f"{PAGE}/{row}")
    without = operator.post(f"{PAGE}/{row}/seen", note="  ")
    assert without.status_code == 422
    assert "Say what you found" in without.text
    assert operator.post(f"{PAGE}/{row}/seen", note="Made in the dashboard").status_code == 303
    assert "Nothing waits for you" in operator.page(PAGE)
    assert "Made in the dashboard" in operator.page(f"{PAGE}?state=seen")
    assert operator.post(f"{PAGE}/{row}/again").status_code == 303
    found = message_of(web, row)
    assert (found.processed_at, found.result, found.seen_at) == (None, None, None)
    twice = operator.post(f"{PAGE}/{row}/again")
    assert "being looked at already" in twice.text
    with web.services.database.system_session("tests", read_only=True) as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [entry.action for entry in entries] == [
        "provider_event.seen", "provider_event.looked_again"
    ]  # fmt: skip
    assert entries[0].reason == "Made in the dashboard"


def test_a_message_that_was_understood_is_left_alone(web: Web) -> None:
    operator = operator_of(web)
    row = make_message(web, 1, "settled")
    for verb in ("again", "seen"):
        assert operator.post(f"{PAGE}/{row}/{verb}", note="x").status_code == 422
        assert operator.post(f"{PAGE}/{row + 1}/{verb}", note="x").status_code == 404
    assert message_of(web, row).result == "settled"
