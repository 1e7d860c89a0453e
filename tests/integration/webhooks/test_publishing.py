import json

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import func, select

from meet2be import facts
from meet2be.db import Database
from meet2be.webhooks import spreading
from meet2be.webhooks.bodies import canonical, unique_key
from meet2be.webhooks.errors import (
    ForeignAnnouncementError,
    TooMuchDataError,
    UnknownTypeError,
)
from meet2be.webhooks.facts import Announced
from meet2be.webhooks.models import WebhookEndpointEvent, WebhookEvent
from meet2be.webhooks.publishing import (
    DEEPEST,
    Announcement,
    caused_by_webhook,
    is_wanted,
    publish,
    publish_many,
)
from support.factories import make_event, make_tenant
from support.hooks import announce_and_spread, announcement, deliveries_of, make_endpoint


def stored(database: Database, tenant_id: int) -> int:
    with database.tenant_session(tenant_id) as session:
        return session.scalar(select(func.count()).select_from(WebhookEvent)) or 0


def test_where_nobody_listens_nothing_is_made_and_one_look_up_is_all(
    sqlite_database: Database,
) -> None:
    tenant = make_tenant(sqlite_database)
    other = make_tenant(sqlite_database)
    make_endpoint(sqlite_database, other.id)
    make_endpoint(sqlite_database, tenant.id, status="deleted")
    asked: list[str] = []

    def listen(_c: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    def never(number: int) -> Announcement:
        raise AssertionError(f"announcement {number} was made, and nobody wants it")

    sqlalchemy_event.listen(sqlite_database.engine, "before_cursor_execute", listen)
    with sqlite_database.tenant_session(tenant.id) as session:
        for _ in range(20):
            assert publish_many(session, map(never, (1, 2))) == 0
            assert not is_wanted(session, "refund.succeeded")
    assert len([each for each in asked if "webhook" in each]) == 1


def test_an_announcement_is_written_once_for_each_cause(database: Database) -> None:
    tenant = make_tenant(database)
    make_endpoint(database, tenant.id)
    with database.tenant_session(tenant.id) as session:
        assert publish(session, announcement()) == 1
        assert publish(session, announcement(data={"amount_minor": 7})) == 0
        assert publish_many(session, [announcement(n) for n in (1, 2, 3)]) == 2
        noted = facts.take(session)
        session.commit()
    assert [type(fact) for fact in noted] == [Announced, Announced]
    assert [len(fact.events) for fact in noted] == [1, 2]
    assert stored(database, tenant.id) == 3


def test_what_is_rolled_back_was_never_announced(database: Database) -> None:
    tenant = make_tenant(database)
    make_endpoint(database, tenant.id)
    with database.tenant_session(tenant.id) as session:
        publish(session, announcement())
        session.rollback()
    assert stored(database, tenant.id) == 0


def test_an_endpoint_made_meanwhile_is_seen_by_the_next_transaction(
    sqlite_database: Database,
) -> None:
    tenant = make_tenant(sqlite_database)
    with sqlite_database.tenant_session(tenant.id) as session:
        assert publish(session, announcement()) == 0
        session.commit()
        make_endpoint(sqlite_database, tenant.id, all_types=False, event_types=["mail.bounced"])
        assert publish(session, announcement()) == 0
        assert is_wanted(session, "refund.failed", "mail.bounced")
        session.commit()


def test_what_cannot_be_announced_is_refused_with_a_reason(sqlite_database: Database) -> None:
    tenant = make_tenant(sqlite_database)
    make_endpoint(sqlite_database, tenant.id)
    with sqlite_database.tenant_session(tenant.id) as session:
        with pytest.raises(UnknownTypeError, match=r"'refund\.made'"):
            publish(session, announcement(type="refund.made"))
        with pytest.raises(TooMuchDataError, match="has 16012 bytes, at most 16000"):
            publish(session, announcement(data={"text": "x" * 16_001}))
    with sqlite_database.system_session("tests: announce for nobody") as session:
        with pytest.raises(ForeignAnnouncementError, match="say tenant_id"):
            publish(session, announcement())
        assert publish(session, announcement(), tenant_id=tenant.id) == 1


def test_a_chain_of_webhooks_that_cause_each_other_ends(sqlite_database: Database) -> None:
    tenant = make_tenant(sqlite_database)
    make_endpoint(sqlite_database, tenant.id)
    with sqlite_database.tenant_session(tenant.id) as session:
        with caused_by_webhook(DEEPEST):
            assert publish(session, announcement(1)) == 1
        with caused_by_webhook(DEEPEST + 1):
            assert publish(session, announcement(2)) == 0
        assert session.scalars(select(WebhookEvent.depth)).all() == [DEEPEST]


def test_each_endpoint_that_wants_it_gets_one_delivery(database: Database) -> None:
    """W14, W15, W21: canonical bytes, stored; the announcement's own id is in them."""
    tenant = make_tenant(database)
    other = make_tenant(database)
    event = make_event(database, tenant)
    wants_all = make_endpoint(database, tenant.id)
    same_address = make_endpoint(database, tenant.id)
    some = make_endpoint(
        database, tenant.id, url="https://b.example/x", all_types=False,
        event_types=["refund.succeeded"], all_events=False,
    )  # fmt: skip
    make_endpoint(database, tenant.id, url="https://c.example/", all_types=False)
    paused = make_endpoint(database, tenant.id, url="https://d.example/", status="paused")
    gone = make_endpoint(database, tenant.id, url="https://e.example/", status="disabled_gone")
    make_endpoint(database, other.id)
    with database.tenant_session(tenant.id) as session:
        session.add(WebhookEndpointEvent(endpoint_id=some.id, event_id=event.id))
        session.commit()
    first = announcement(1, event_id=event.id, data={"b": 1, "a": "ü\ud800\0\\u0000"})
    made = announce_and_spread(database, tenant.id, first, announcement(2))
    assert [(each.endpoint_id, each.status) for each in made] == [
        (wants_all.id, "pending"), (some.id, "pending"), (paused.id, "held"),
        (gone.id, "cancelled"),
        (wants_all.id, "pending"), (paused.id, "held"), (gone.id, "cancelled"),
    ]  # fmt: skip
    assert same_address.id not in {each.endpoint_id for each in made}
    body = made[0].body
    told = json.loads(body)
    assert canonical(told) == body.encode()
    assert told["data"] == {"a": "ü\ufffd\\u0000", "b": 1}
    assert (told["event"], told["subject"]) == (event.uid, {"type": "refund", "uid": "refund-1"})
    assert told["sequence"] < json.loads(made[-1].body)["sequence"]
    assert made[0].unique_key == unique_key(wants_all.url, body.encode())
    assert announce_and_spread(database, tenant.id, first)[-1].id == made[-1].id
    assert deliveries_of(database, other.id) == []


def test_an_endpoint_that_wants_it_is_sent_the_whole_object(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W21, W24: only there; null when it is gone, or too large."""
    tenant = make_tenant(sqlite_database)
    event = make_event(sqlite_database, tenant, title="Aurora")
    make_endpoint(sqlite_database, tenant.id)
    make_endpoint(sqlite_database, tenant.id, full_data=True)

    def told(number: int, uid: str) -> list[dict[str, object]]:
        fields = {"type": "event.updated", "subject_type": "event", "subject_uid": uid}
        made = announce_and_spread(
            sqlite_database, tenant.id, announcement(number, event_id=event.id, **fields)
        )
        return [json.loads(each.body) for each in made[-2:]]

    thin, full = told(1, event.uid)
    whole = full.pop("object")
    assert isinstance(whole, dict) and (whole["uid"], whole["title"]) == (event.uid, "Aurora")
    assert thin == full
    assert told(2, "0" * 26)[1]["object"] is None
    monkeypatch.setattr(spreading, "LARGEST_OBJECT", 10)
    assert told(3, event.uid)[1]["object"] is None
