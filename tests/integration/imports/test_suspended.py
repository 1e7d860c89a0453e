"""Imports and undos that a suspension of the organisation stops, and their going on."""

from __future__ import annotations

from sqlalchemy import update

from meet2be import facts
from meet2be.audit.services import SYSTEM
from meet2be.imports import services as verbs
from meet2be.imports.closing import end_step, stop_import
from meet2be.imports.errors import ImportStopped
from meet2be.imports.facts import StepWanted
from meet2be.imports.limits import CHUNK_ROWS
from meet2be.imports.steps import work_chunk
from meet2be.organisations.suspension import lift
from meet2be.tenancy.models import Tenant
from onqueue.testing.clock import FakeClock
from support.importing import PEOPLE, Importing

LIST = PEOPLE + "".join(f"P{n},p{n}@example.org,\r\n" for n in range(CHUNK_ROWS + 1))


def suspend(rig: Importing) -> None:
    with rig.database.tenant_session(rig.tenant.id) as session:
        session.execute(update(Tenant).values(status="suspended"))
        session.commit()


def lifted(rig: Importing) -> list[object]:
    """Lift the suspension; return the facts that causes."""
    with rig.database.tenant_session(rig.tenant.id) as session:
        assert lift(session, "paid", SYSTEM, rig.desk.clock.now())
        noted = facts.take(session)
        session.commit()
        return list(noted)


def half_undone(rig: Importing) -> str:
    """Return an import whose undo met a suspension after its first chunk."""
    uid = rig.imported(LIST)
    rig.begin_undo(uid)
    rig.work(uid, "undo", [1])
    suspend(rig)
    return uid


def test_an_undo_that_a_suspension_stopped_goes_on_as_an_undo(
    rig: Importing, clock: FakeClock
) -> None:
    uid = half_undone(rig)
    assert rig.work(uid, "undo") == "done_with_errors"
    assert rig.counts(uid) == {"undone": CHUNK_ROWS, "created": 1}
    assert "What was taken back stays so" in rig.error(uid)
    clock.advance(8 * 24 * 3600)  # longer than an undo may be begun
    assert StepWanted(uid, rig.row(uid).turn + 1, "undo") in lifted(rig)
    assert rig.row(uid).state == "undoing"
    assert rig.work(uid, "undo") == "undone"
    assert rig.count() == 0


def test_an_undo_whose_suspension_is_lifted_before_it_ended_goes_on(rig: Importing) -> None:
    uid = half_undone(rig)
    turn = rig.row(uid).turn
    try:
        work_chunk(rig.desk, rig.tenant.id, uid, turn, "undo", 2)
    except ImportStopped as error:
        stop_import(rig.desk, rig.tenant.id, uid, turn, error.why)
    lifted(rig)
    assert end_step(rig.desk, rig.tenant.id, uid, turn, "undo")
    assert (rig.row(uid).state, rig.row(uid).turn) == ("undoing", turn + 1)
    assert rig.work(uid, "undo") == "undone"


def test_an_import_that_a_suspension_stopped_is_written_on(rig: Importing) -> None:
    uid = rig.checked(LIST)
    rig.start(uid)
    rig.work(uid, "write", [1])
    suspend(rig)
    assert rig.work(uid, "write") == "failed"
    assert StepWanted(uid, rig.row(uid).turn + 1, "write") in lifted(rig)
    assert rig.work(uid, "write") == "done"
    assert rig.count() == CHUNK_ROWS + 1


def test_trying_the_rest_of_a_half_undone_import_again_takes_it_back(rig: Importing) -> None:
    uid = half_undone(rig)
    rig.work(uid, "undo")
    with rig.database.tenant_session(rig.tenant.id) as session:
        session.execute(update(Tenant).values(status="active"))
        verbs.retry(session, rig.found(session, uid), SYSTEM, rig.user.id)
        session.commit()
    assert rig.row(uid).state == "undoing"
    assert rig.work(uid, "undo") == "undone"
