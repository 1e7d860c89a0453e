"""What an import does to the quotas of tickets, and that its undo takes that back, too."""

from __future__ import annotations

from sqlalchemy import select, update

from meet2be.attendees.models import Attendee
from meet2be.events.models import TicketType
from meet2be.imports.models import ImportRow
from onqueue.testing.clock import FakeClock
from support.importing import Importing

LIST = "Name,E-mail,Ticket\r\n"


def rows(first: int, last: int, ticket: str) -> str:
    return "".join(f"P{n},p{n}@example.org,{ticket}\r\n" for n in range(first, last))


def quotas(rig: Importing) -> dict[str, tuple[int, int]]:
    """Return quota and sold of each kind of ticket."""
    with rig.database.tenant_session(rig.tenant.id) as session:
        found = session.execute(select(TicketType.name, TicketType.quota, TicketType.sold))
        return {name: (quota, sold) for name, quota, sold in found}


def offer(rig: Importing, name: str, quota: int, sold: int = 0) -> None:
    with rig.database.tenant_session(rig.tenant.id) as session:
        event = rig.event.id
        session.add(TicketType(event_id=event, name=name, price_minor=0, quota=quota, sold=sold))
        session.commit()


def test_an_undo_lowers_the_quotas_that_the_import_raised(any_rig: Importing) -> None:
    offer(any_rig, "Regular", 10, 8)
    offer(any_rig, "Roomy", 100)
    uid = any_rig.imported(
        LIST + rows(0, 5, "Regular") + rows(5, 8, "Roomy") + rows(8, 10, "Brought along")
    )
    assert quotas(any_rig) == {"Regular": (13, 13), "Roomy": (100, 3), "Brought along": (2, 2)}
    assert any_rig.undo(uid) == "undone"
    assert quotas(any_rig) == {"Regular": (10, 8), "Roomy": (100, 0), "Brought along": (0, 0)}


def test_a_quota_stays_as_high_as_what_is_kept(rig: Importing, clock: FakeClock) -> None:
    uid = rig.imported(LIST + rows(0, 5, "Guest"))
    clock.advance(60)
    with rig.database.tenant_session(rig.tenant.id) as session:
        session.execute(
            update(Attendee).where(Attendee.name == "P3").values(company="Changed"),
            execution_options={"synchronize_session": False},
        )
        session.commit()
    rig.undo(uid)
    assert quotas(rig) == {"Guest": (1, 1)}


def test_rows_that_are_written_later_raise_as_well(rig: Importing) -> None:
    offer(rig, "Regular", 1)
    uid = rig.checked(LIST + rows(0, 3, "Regular"))
    rig.start(uid)
    with rig.database.tenant_session(rig.tenant.id) as session:
        session.execute(
            update(ImportRow).where(ImportRow.row_no == 4).values(state="failed"),
            execution_options={"synchronize_session": False},
        )
        session.commit()
    assert rig.work(uid, "write") == "done_with_errors"
    assert quotas(rig) == {"Regular": (2, 2)}
    rig.retry(uid)
    assert rig.work(uid, "write") == "done"
    assert quotas(rig) == {"Regular": (3, 3)}
    rig.undo(uid)
    assert quotas(rig) == {"Regular": (1, 0)}
