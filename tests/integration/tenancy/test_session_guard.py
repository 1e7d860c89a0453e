"""A tenant's session reaches that tenant's rows only, whatever it is asked."""

from collections.abc import Callable

import pytest
from sqlalchemy import (
    column,
    delete,
    exists,
    func,
    insert,
    literal_column,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from meet2be.audit.models import AuditEntry
from meet2be.db import (
    Base,
    Database,
    ForeignTenantError,
    UnguardedStatementError,
    UnscopedSessionError,
)
from meet2be.db.errors import ReadOnlySessionError, UnknownTenantError
from meet2be.db.sessions import NoReasonError
from meet2be.events.models import Event, TicketType
from meet2be.mailings.models import MailSuppression
from meet2be.orders.models import Order
from meet2be.tenancy.models import Membership, Tenant
from support.factories import make_event, make_order, make_tenant, make_user

EVENTS, ORDERS, KINDS = (
    Base.metadata.tables[name] for name in ("events", "orders", "ticket_types")
)


class Two:
    """Two tenants with an event and an order each."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.mine = make_tenant(database)
        self.theirs = make_tenant(database)
        self.my_event = make_event(database, self.mine, title="Mine")
        self.their_event = make_event(database, self.theirs, title="Theirs")
        self.my_order = make_order(database, self.my_event)
        self.their_order = make_order(database, self.their_event)

    def session(self) -> Session:
        """Return a session of the first tenant."""
        return self.database.tenant_session(self.mine.id)


@pytest.fixture
def two(database: Database) -> Two:
    """Two tenants side by side."""
    return Two(database)


READS: dict[str, Callable[[], object]] = {
    "entity": lambda: select(Event.title),
    "entities": lambda: select(Event).with_only_columns(Event.title),
    "alias": lambda: select(aliased(Event).title),
    "where": lambda: select(Event.title).where((Event.id > 0) | (Event.id < 0)),
    "join": lambda: select(Event.title).join(Order, Order.event_id == Event.id),
    "implicit join": lambda: select(Event.title).where(Order.event_id == Event.id),
    "subquery": lambda: select(select(Event.title).subquery().c.title),
    "cte": lambda: select(select(Event.title).cte().c.title),
    "union": lambda: union_all(select(Event.title), select(Event.title)),
    "scalar": lambda: select(select(func.min(Event.title)).scalar_subquery()),
    "exists": lambda: select(Event.title).where(exists().where(Order.event_id == Event.id)),
    "in": lambda: select(Event.title).where(Event.id.in_(select(Order.event_id))),
    "aggregate": lambda: select(func.max(Event.title)),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
def test_reads_are_confined(two: Two, read: Callable[[], object]) -> None:
    with two.session() as session:
        assert set(session.scalars(read())) == {"Mine"}  # type: ignore[call-overload]


def test_counts_and_existence_see_nothing_of_others(two: Two) -> None:
    theirs = two.their_order.order.code
    with two.session() as session:
        assert session.scalar(select(func.count()).select_from(Order)) == 1
        assert session.scalar(select(func.count()).where(Order.id > 0)) == 1
        assert session.scalar(select(exists().where(Order.code == theirs))) is False
        assert session.scalar(select(exists(select(Order.id).where(Order.code == theirs)))) is False


def test_get_and_refresh_are_confined(two: Two) -> None:
    with two.session() as session:
        assert session.get(Event, two.their_event.id) is None
        mine = session.get(Event, two.my_event.id)
        assert mine is not None
        session.expire(mine)
        assert mine.title == "Mine"


def test_a_tenant_sees_itself_only(two: Two) -> None:
    with two.session() as session:
        assert [tenant.id for tenant in session.scalars(select(Tenant))] == [two.mine.id]


def test_updates_and_deletes_with_where_are_confined(two: Two) -> None:
    with two.session() as session:
        session.execute(update(Event).values(title="Changed"))
        session.execute(delete(TicketType).where(TicketType.sold < 0))
        session.commit()
    with two.database.system_session("tests: look at all") as session:
        titles = set(session.scalars(select(Event.title)))
    assert titles == {"Changed", "Theirs"}


HOLES: dict[str, Callable[[Session, Two], object]] = {
    "text": lambda s, _: s.execute(text("SELECT title FROM events")),
    "from_statement": lambda s, _: s.scalars(
        select(Event).from_statement(text("SELECT * FROM events"))
    ),
    "text in where": lambda s, _: s.scalars(select(Event).where(text("1=1 OR 1=1"))),
    "textual columns": lambda s, _: s.execute(
        select(text("SELECT title FROM events").columns(column("title")).subquery())
    ),
    "literal column": lambda s, _: s.scalars(
        select(literal_column("(SELECT max(title) FROM events)"))
    ),
    "plain table": lambda s, _: s.execute(select(EVENTS)),
    "plain column": lambda s, _: s.execute(select(EVENTS.c.title)),
    "plain alias": lambda s, _: s.execute(select(EVENTS.alias())),
    "plain join": lambda s, _: s.execute(
        select(Event.title).join(ORDERS, ORDERS.c.event_id == Event.id)
    ),
    "plain subquery": lambda s, _: s.execute(
        select(Event.id, select(func.max(ORDERS.c.code)).scalar_subquery())
    ),
    "plain update": lambda s, _: s.execute(update(EVENTS).values(title="x")),
    "plain delete": lambda s, _: s.execute(delete(EVENTS)),
    "plain insert": lambda s, t: s.execute(
        insert(KINDS),
        {"tenant_id": t.mine.id, "event_id": t.my_event.id, "name": "x", "price_minor": 0,
         "quota": 0, "held": 0, "sold": 0},
    ),
    "bulk update by key": lambda s, t: s.execute(
        update(Event), [{"id": t.their_event.id, "title": "Stolen"}]
    ),
    "bulk_update_mappings": lambda s, t: s.bulk_update_mappings(
        Event.__mapper__, [{"id": t.their_event.id, "title": "Stolen"}]
    ),
    "bulk_insert_mappings": lambda s, _: s.bulk_insert_mappings(Event.__mapper__, []),
    "bulk_save_objects": lambda s, _: s.bulk_save_objects([]),
    "update of another table": lambda s, t: s.execute(
        update(Event).values(title="x").where(Order.event_id == Event.id)
    ),
    "update that moves": lambda s, t: s.execute(
        update(Event).values(tenant_id=t.theirs.id)
    ),
    "update past the mapper": lambda s, _: s.execute(
        update(Event).values(title="x"), execution_options={"dml_strategy": "core_only"}
    ),
    "insert from select": lambda s, _: s.execute(
        insert(Membership).from_select(["tenant_id"], select(Membership.tenant_id))
    ),
    "upsert": lambda s, t: s.execute(
        upsert(Event)
        .values(id=t.their_event.id, tenant_id=t.mine.id)
        .on_conflict_do_update(index_elements=["id"], set_={"title": "Stolen"})
    ),
    "a new tenant": lambda s, _: s.execute(insert(Tenant), {"slug": "x", "name": "x"}),
}  # fmt: skip


@pytest.mark.parametrize("hole", HOLES.values(), ids=HOLES.keys())
def test_what_cannot_be_confined_is_refused(
    two: Two, hole: Callable[[Session, Two], object]
) -> None:
    with two.session() as session, pytest.raises(UnguardedStatementError):
        hole(session, two)
    with two.database.system_session("tests: look at all") as session:
        assert set(session.scalars(select(Event.title))) == {"Mine", "Theirs"}


def test_an_insert_may_not_name_another_tenant(two: Two) -> None:
    row = {"event_id": two.their_event.id, "name": "x", "price_minor": 1, "quota": 1}
    for wrong in (two.theirs.id, None):
        with two.session() as session, pytest.raises(ForeignTenantError):
            session.execute(insert(TicketType), [{**row, "tenant_id": wrong}])
        with two.session() as session, pytest.raises(ForeignTenantError):
            session.execute(insert(TicketType).values({**row, "tenant_id": wrong}))
        with two.session() as session, pytest.raises(ForeignTenantError):
            session.execute(insert(TicketType).values([{**row, "tenant_id": wrong}]))


def test_a_bulk_insert_of_the_own_tenant_is_stamped(two: Two) -> None:
    rows = [
        {"tenant_id": two.mine.id, "event_id": two.my_event.id, "name": name, "price_minor": 1,
         "quota": 1}
        for name in ("a", "b")
    ]  # fmt: skip
    with two.session() as session:
        session.execute(insert(TicketType), rows)
        session.commit()
        found = session.scalars(select(TicketType).where(TicketType.name.in_(["a", "b"]))).all()
    assert {kind.created_at for kind in found} == {two.database.clock.now()}


def test_a_new_row_takes_the_sessions_tenant(two: Two) -> None:
    with two.session() as session:
        kind = TicketType(event_id=two.my_event.id, name="Late", price_minor=1, quota=1)
        session.add(kind)
        session.commit()
    assert kind.tenant_id == two.mine.id


def test_rows_of_another_tenant_are_refused_at_the_door(two: Two) -> None:
    with two.session() as session, pytest.raises(ForeignTenantError):
        session.add(two.their_event)
    with two.session() as session, pytest.raises(ForeignTenantError):
        session.add(
            TicketType(tenant_id=two.theirs.id, event_id=1, name="", price_minor=1, quota=1)
        )


def test_a_row_cannot_be_moved_to_another_tenant(two: Two) -> None:
    with two.session() as session:
        event = session.get_one(Event, two.my_event.id)
        event.tenant_id = two.theirs.id
        with pytest.raises(ForeignTenantError):
            session.commit()


def test_a_parent_of_another_tenant_is_refused_by_the_database(two: Two) -> None:
    with two.session() as session:
        session.add(TicketType(event_id=two.their_event.id, name="x", price_minor=1, quota=1))
        with pytest.raises(IntegrityError):
            session.commit()
    with two.database.system_session("tests: even the platform cannot") as session:
        session.add(
            Order(
                tenant_id=two.mine.id, event_id=two.their_event.id, code="X", buyer_name="x",
                locale="en-GB", total_minor=0, currency="EUR",
            )
        )  # fmt: skip
        with pytest.raises(IntegrityError):
            session.commit()


def test_shared_rows_can_be_read_but_not_changed(two: Two) -> None:
    with two.database.system_session("tests: suppress everywhere") as session:
        session.add(MailSuppression(email_norm="gone@example.org", reason="hard_bounce"))
        session.commit()
    with two.session() as session:
        assert session.scalars(select(MailSuppression.email_norm)).all() == ["gone@example.org"]
        session.execute(update(MailSuppression).values(email_norm="x"))
        session.execute(delete(MailSuppression))
        session.commit()
        assert session.scalars(select(MailSuppression.email_norm)).all() == ["gone@example.org"]


def test_the_platforms_own_rows_are_hidden(two: Two) -> None:
    with two.database.system_session("tests: note something") as session:
        session.add(
            AuditEntry(
                at=two.database.clock.now(), actor_kind="system", action="a", object_type="b",
                object_id="c",
            )
        )  # fmt: skip
        session.commit()
    with two.session() as session:
        assert session.scalars(select(AuditEntry)).all() == []


def test_a_session_without_a_tenant_touches_nothing_of_tenants(two: Two) -> None:
    for statement in (
        select(Event),
        select(EVENTS),
        select(func.count()).select_from(Order),
        update(Event).values(title="x"),
        insert(Event),
    ):
        with Session(two.database.engine) as session, pytest.raises(UnscopedSessionError):
            session.execute(statement)
    with Session(two.database.engine) as session, pytest.raises(UnscopedSessionError):
        session.add(two.my_event)


def test_a_read_only_session_writes_nothing(two: Two) -> None:
    with two.database.tenant_session(two.mine.id, read_only=True) as session:
        event = session.get_one(Event, two.my_event.id)
        with pytest.raises(ReadOnlySessionError):
            session.execute(update(Event).values(title="x"))
        event.title = "x"
        with pytest.raises(ReadOnlySessionError):
            session.commit()


@pytest.mark.parametrize("value", [0, -1, None, "1", True, 1.0])
def test_only_a_tenants_number_opens_a_tenants_session(database: Database, value: object) -> None:
    with pytest.raises(UnknownTenantError, match="no tenant's number"):
        database.tenant_session(value)  # type: ignore[arg-type]


def test_a_system_session_needs_a_reason(database: Database) -> None:
    with pytest.raises(NoReasonError):
        database.system_session("  ")


def test_people_can_be_found_before_their_tenant_is_known(database: Database) -> None:
    tenant = make_tenant(database)
    user = make_user(database, tenant, role="viewer")
    with database.system_session("tests: log in") as session:
        roles = session.scalars(select(Membership.role).where(Membership.user_id == user.id)).all()
    assert roles == ["viewer"]
