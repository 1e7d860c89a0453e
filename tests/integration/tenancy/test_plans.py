"""Rows that are asked for by their ids are found by them, however many rows the tenant has."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import ColumnElement, Connection, Select, Update, event

from meet2be.cancellations import statements as cancelling
from meet2be.db import Database
from meet2be.mailings import statements as mailing
from meet2be.mailings.housekeeping import claim_texts, old_secrets, old_texts
from meet2be.payments import statements as paying
from meet2be.payments.inbox import refund_of
from meet2be.payments.provider import ProviderEvent, ProviderRefund

IDS = list(range(1, 41))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
VALUES = {
    "tenant": 1, "run": 1, "of_lane": 1, "token": "t", "limit": 32, "now": NOW, "after": -1,
    "units": 32,
    "attendees": IDS, "orders": IDS, "items": IDS, "refunds": IDS, "payments": IDS, "mails": IDS,
}  # fmt: skip


@pytest.mark.parametrize(
    "statement",
    [
        cancelling.CANCEL_ATTENDEES,
        cancelling.CANCEL_ORDERS,
        cancelling.DETAILS_OF_ITEMS,
        cancelling.DETAILS_OF_REFUNDS,
        cancelling.DUE_REFUNDS,
        cancelling.KNOWN_PROVIDER_IDS,
        cancelling.NEXT_ITEMS,
        cancelling.OTHERS_UNDER_WAY,
        mailing.READ_MAILS,
        paying.LAST_ATTEMPTS,
        paying.LAST_SEQS,
        paying.LOCK_PAYMENTS,
        paying.LOCK_REFUNDS,
    ],
)
def test_no_statement_of_a_lane_goes_through_all_rows_of_the_tenant(
    sqlite_database: Database, statement: Select[Any] | Update
) -> None:
    with sqlite_database.system_connection("tests: plans") as connection, connection.begin():
        plans = plans_of(connection, lambda: connection.execute(statement, VALUES))
    assert plans
    assert not [plan for plan in plans if goes_through_all(plan)]


def test_a_message_of_the_provider_finds_its_refund_by_the_provider_s_id(
    sqlite_database: Database,
) -> None:
    refund = ProviderRefund("re_1", "pi_1", 100, "EUR", "succeeded", "succeeded", NOW)
    message = ProviderEvent("evt_1", "refund.updated", "refund", None, False, NOW, refund)
    with sqlite_database.system_session("tests: plans") as session:
        plans = plans_of(session.connection(), lambda: refund_of(session, "stripe", message))
    assert plans
    assert not [plan for plan in plans if goes_through_all(plan)]


@pytest.mark.parametrize(
    ("old", "index"),
    [(old_texts, "ix_mails_created_at_text"), (old_secrets, "ix_mails_created_at_secret")],
)
def test_texts_that_are_to_be_erased_are_found_by_their_age(
    sqlite_database: Database, old: Callable[[datetime], ColumnElement[bool]], index: str
) -> None:
    with sqlite_database.system_session("tests: plans") as session:
        plans = plans_of(session.connection(), lambda: claim_texts(session, old(NOW)))
    assert any(f"{index} (created_at<?)" in plan for plan in plans), plans
    assert not [plan for plan in plans if goes_through_all(plan)]


def goes_through_all(plan: str) -> bool:
    return plan.endswith("(tenant_id=?)") or "SCAN" in plan


def plans_of(connection: Connection, ask: Callable[[], object]) -> list[str]:
    """Return SQLite's plan of the first statement that `ask` runs."""
    said: list[tuple[str, Any]] = []

    def note(_link: Any, _cursor: Any, text: str, parameters: Any, *_more: Any) -> None:
        said.append((text, parameters))

    event.listen(connection, "before_cursor_execute", note)
    ask()
    text, parameters = said[0]
    rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", parameters)
    return [str(row[3]) for row in rows]
