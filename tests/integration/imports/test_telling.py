"""What webhooks hear of an import."""

from __future__ import annotations

from sqlalchemy import delete, select

from meet2be.imports.closing import end_step
from meet2be.imports.errors import words_for
from meet2be.imports.steps import chunk_failed
from meet2be.notifications.models import Notification
from meet2be.tenancy.models import Membership
from meet2be.webhooks.models import WebhookEndpoint, WebhookEvent
from support.factories import make_user
from support.importing import PEOPLE, Importing

LIST = PEOPLE + "Ada,ada@example.org,\r\nBob,bob@example.org,\r\nAda,ada@example.org,\r\n"


def listen(rig: Importing) -> None:
    """Let an endpoint of the organisation want to know everything."""
    with rig.database.tenant_session(rig.tenant.id) as session:
        session.add(
            WebhookEndpoint(
                url="https://receiver.example/hook",
                all_types=True,
                enabled_at=rig.desk.clock.now(),
            )
        )
        session.commit()


def told(rig: Importing) -> list[tuple[str, dict[str, object]]]:
    """Return what was announced, in its order."""
    with rig.database.tenant_session(rig.tenant.id) as session:
        found = session.scalars(select(WebhookEvent).order_by(WebhookEvent.id))
        return [(each.type, each.data) for each in found]


def test_an_import_of_attendees_is_announced_once_with_counts(rig: Importing) -> None:
    listen(rig)
    uid = rig.imported(LIST)
    [(name, data)] = told(rig)
    assert name == "import.done"
    assert data == {
        "kind": "attendees", "rows": 3, "created": 2, "updated": 0, "skipped": 1, "failed": 0,
        "undone": 0, "kept": 0,
    }  # fmt: skip
    rig.undo(uid)
    name, data = told(rig)[-1]
    assert (name, data["undone"], len(told(rig))) == ("import.undone", 2, 2)


def test_an_undo_that_ended_half_way_is_announced_as_that(rig: Importing) -> None:
    uid = rig.imported(LIST)
    listen(rig)
    rig.begin_undo(uid)
    turn = rig.row(uid).turn
    chunk_failed(rig.desk, rig.tenant.id, uid, turn, 1, words_for(OSError("x")))
    assert end_step(rig.desk, rig.tenant.id, uid, turn, "undo")
    [(name, data)] = told(rig)
    assert (name, data["code"], data["created"]) == ("import.failed", "undone_in_part", 2)


def test_people_of_the_organisation_are_announced_one_by_one(rig: Importing) -> None:
    listen(rig)
    rig.imported("E-mail\nada@example.org\nbob@example.org\n", "users")
    assert [name for name, _ in told(rig)] == ["member.joined", "member.joined", "import.done"]


def test_administrators_hear_of_an_import_of_who_has_left_and_can_end_it(rig: Importing) -> None:
    owner = make_user(rig.database, rig.tenant, "owner")
    uid = rig.checked(LIST)
    rig.start(uid)
    with rig.database.tenant_session(rig.tenant.id) as session:
        session.execute(delete(Membership).where(Membership.user_id == rig.user.id))
        session.commit()
    assert rig.work(uid, "write") == "failed"
    with rig.database.tenant_session(rig.tenant.id) as session:
        told = [(row.user_id, row.kind) for row in session.scalars(select(Notification))]
    assert told == [(owner.id, "import.failed")]
    rig.user = owner
    rig.retry(uid)
    assert rig.work(uid, "write") == "done", "it is the owner's now"
    with rig.database.tenant_session(rig.tenant.id) as session:
        told = [(row.user_id, row.kind) for row in session.scalars(select(Notification))]
    assert told == [(owner.id, "import.failed"), (owner.id, "import.done")]
