"""The pages of exports: from the list of attendees to the file, and who gets it."""

import io
import re
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from openpyxl import load_workbook
from sqlalchemy import select, update

from meet2be.attendees.models import Attendee
from meet2be.exports.models import Export, ExportSchedule
from meet2be.exports.running import run_export
from meet2be.exports.schedules import run_due
from meet2be.notifications.models import Notification
from meet2be.tenancy.models import Membership, Tenant
from onqueue.testing.clock import FakeClock
from support.bucket import bucket_server, small_parts
from support.exporting import Control
from support.stage import Stage


def newest(stage: Stage) -> Export:
    made = stage.conference
    with made.database.tenant_session(made.tenant.id, read_only=True) as session:
        return session.scalars(select(Export).order_by(Export.id.desc())).first()  # type: ignore[return-value]


def start(stage: Stage, **fields: str) -> Export:
    given = {"do": "start", "format": "csv", "columns": "name", "q": "", **fields}
    answer = stage.as_a("organiser").post(f"{stage.event_path}/export", **given)
    assert answer.status_code == 303, answer.text
    return newest(stage)


def run(stage: Stage, export: Export) -> None:
    run_export(stage.web.services.exports, stage.conference.tenant.id, export.uid, Control())


def ready(stage: Stage, **fields: str) -> tuple[Export, str]:
    """Make an export and return it with its link."""
    export = start(stage, **fields)
    run(stage, export)
    page = stage.as_a("organiser").page(f"/exports/{export.uid}")
    found = re.search(r'href="(/exports/\w+/download/\w+)"', page)
    assert found is not None, page
    return newest(stage), found[1]


def test_a_view_of_the_list_becomes_a_file(stage: Stage) -> None:
    person = stage.as_a("organiser")
    listed = person.page(f"{stage.event_path}/attendees?q=Arden&state=active")
    link = re.search(r'href="([^"]+/export\?[^"]+)"', listed)
    assert link is not None
    form = person.page(link[1].replace("&amp;", "&"))
    assert 'value="Arden"' in form
    assert "2 attendees fit at the moment." in form
    assert "Export this view" not in stage.as_a("viewer").page(f"{stage.event_path}/attendees")

    export, download = ready(stage, q="Arden", state="active")
    answer = person.get(download)
    assert answer.data.decode("utf-8-sig").split() == ["Name", "Abe", "Arden", "Ada", "Arden"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "filename*=UTF-8''Aurora%20Summit" in answer.headers["Content-Disposition"]
    assert (newest(stage).downloads, export.downloads) == (1, 0)


def test_columns_come_in_the_order_of_their_numbers(stage: Stage) -> None:
    person = stage.as_a("organiser")
    answer = person.client.post(
        f"{stage.event_path}/export",
        data={
            "csrf_token": person.token(), "do": "start", "format": "xlsx",
            "columns": ["name", "email", "price"],
            "place-name": "3", "place-email": "1", "place-price": "2",
        },
    )  # fmt: skip
    assert answer.status_code == 303
    run(stage, newest(stage))
    _, link = newest(stage), person.page(f"/exports/{newest(stage).uid}")
    path = re.search(r'href="(/exports/\w+/download/\w+)"', link)
    assert path is not None
    book = load_workbook(io.BytesIO(person.get(path[1]).data))
    assert [cell.value for cell in book.worksheets[0][1]] == ["Email", "Price", "Name"]


def test_a_wish_that_cannot_be_is_told_beside_its_field(stage: Stage) -> None:
    answer = stage.as_a("organiser").post(
        f"{stage.event_path}/export", do="start", format="csv", timezone="Mars/Base"
    )
    assert answer.status_code == 422
    assert "Choose one column at least." in answer.text
    assert "There is no time zone" in answer.text


def test_only_the_link_of_the_export_opens_it_and_only_for_whom_it_is(stage: Stage) -> None:
    """B20."""
    export, link = ready(stage)
    person = stage.as_a("organiser")
    assert person.get(f"/exports/{export.uid}/download/{'0' * 48}").status_code == 404
    assert stage.web.anybody().get(link).location.startswith("/login")
    assert stage.as_a("viewer").get(link).status_code == 403


def test_whoever_lost_the_right_cannot_fetch_what_was_made(stage: Stage) -> None:
    """B19."""
    _, link = ready(stage)
    made = stage.conference
    with made.database.tenant_session(made.tenant.id) as session:
        session.execute(update(Membership).values(role="viewer"))
        session.commit()
    assert stage.as_a("organiser").get(link).status_code == 403


def test_a_file_that_expired_is_told_in_words(stage: Stage, clock: FakeClock) -> None:
    export, link = ready(stage)
    made = stage.conference
    with made.database.tenant_session(made.tenant.id) as session:
        session.execute(update(Export).values(expires_at=clock.now()))
        session.commit()
    answer = stage.as_a("organiser").get(link)
    assert answer.location == f"/exports/{export.uid}"
    assert "kept for 7 days and is gone" in stage.as_a("organiser").page(f"/exports/{export.uid}")


def test_from_s3_a_click_gives_an_address_of_five_minutes(stage: Stage) -> None:
    """B20, B21."""
    with bucket_server() as settings:
        services = stage.web.services
        store = small_parts(settings)
        there = replace(services, store=store, exports=replace(services.exports, store=store))
        stage.web.services = there
        stage.web.app.extensions["meet2be"] = there
        _, link = ready(stage)
        answer = stage.as_a("organiser").get(link)
        assert answer.status_code == 302
        query = urlsplit(answer.location).query
        assert "X-Amz-Expires=300" in query
        assert "X-Amz-Signature=" in query
        assert answer.headers["Cache-Control"] == "no-store"


def test_progress_moves_and_ends_the_polling(stage: Stage) -> None:
    export, person = start(stage), stage.as_a("organiser")
    waiting = person.get(f"/exports/{export.uid}/progress?seen=queued")
    assert waiting.status_code == 200
    assert 'hx-trigger="every 2s"' in waiting.text
    assert 'hx-trigger="every 2s"' in person.page("/exports")
    run(stage, export)
    done = person.get(f"/exports/{export.uid}/progress?seen=queued")
    assert (done.status_code, done.headers["HX-Refresh"]) == (286, "true")
    assert "every 2s" not in person.page("/exports")


def test_an_export_is_cancelled_made_again_and_deleted(stage: Stage) -> None:
    export, person = start(stage), stage.as_a("organiser")
    assert person.post(f"/exports/{export.uid}/cancel").status_code == 303
    assert newest(stage).state == "cancelled"
    again = person.post(f"/exports/{export.uid}/again")
    assert again.location != f"/exports/{export.uid}"
    run(stage, newest(stage))
    made = newest(stage)
    assert made.state == "ready"
    assert person.post(f"/exports/{made.uid}/delete").status_code == 303
    assert person.get(f"/exports/{made.uid}").status_code == 404
    assert stage.web.services.store.size(made.storage_key) is None


def test_a_selection_is_saved_and_used_again(stage: Stage) -> None:
    person = stage.as_a("organiser")
    answer = person.post(
        f"{stage.event_path}/export", do="save", preset_name="For the caterer", format="csv",
        columns="company",
    )  # fmt: skip
    form = person.page(answer.location)
    checked = re.findall(r'name="columns" value="(\w+)" checked', form)
    assert checked == ["company"]
    uid = answer.location.split("preset=")[1]
    assert person.post(f"/exports/presets/{uid}/delete").status_code == 303
    assert person.get(answer.location).status_code == 404


def test_an_export_comes_regularly_and_tells_its_recipients(stage: Stage, clock: FakeClock) -> None:
    person, admin = stage.as_a("organiser"), stage.as_a("admin")
    assert admin.user is not None
    answer = person.post(
        f"{stage.event_path}/export", do="schedule", format="csv", columns="name", name="Weekly",
        repeat="daily", time_of_day="07:30", recipients=str(admin.user.id),
    )  # fmt: skip
    assert answer.location == "/exports/schedules"
    assert "Weekly" in person.page("/exports/schedules")
    made, services = stage.conference, stage.web.services
    clock.advance(3 * 86_400)  # missed ticks are made up once
    assert [run_due(services.database, clock), run_due(services.database, clock)] == [1, 0]
    export = newest(stage)
    assert export.schedule_id is not None
    run(stage, export)
    with made.database.tenant_session(made.tenant.id, read_only=True) as session:
        told = set(
            session.scalars(select(Notification.user_id).where(Notification.kind == "export.ready"))
        )
    assert told == {person.user and person.user.id, admin.user.id}


def test_a_schedule_whose_owner_lost_the_right_stops_after_five_errors(
    stage: Stage, clock: FakeClock
) -> None:
    person = stage.as_a("organiser")
    person.post(
        f"{stage.event_path}/export", do="schedule", format="csv", columns="name", name="Daily",
        repeat="daily", time_of_day="07:30",
    )  # fmt: skip
    made, services = stage.conference, stage.web.services
    with made.database.tenant_session(made.tenant.id) as session:
        session.execute(
            update(Membership)
            .where(Membership.user_id == (person.user and person.user.id))
            .values(role="viewer")
        )
        session.commit()
    for _ in range(7):
        clock.advance(86_400)
        run_due(services.database, clock)
    with made.database.tenant_session(made.tenant.id, read_only=True) as session:
        schedule = session.scalars(select(ExportSchedule)).one()
        told = session.scalars(
            select(Notification).where(Notification.kind == "export.schedule_stopped")
        ).all()
    assert (schedule.enabled, schedule.error_count, schedule.next_at) == (False, 5, None)
    assert "failed 5 times in a row" in told[0].body


@pytest.mark.parametrize("action", ["pause", "resume", "run", "delete"])
def test_a_schedule_has_its_buttons(stage: Stage, action: str) -> None:
    person = stage.as_a("organiser")
    person.post(
        f"{stage.event_path}/export", do="schedule", format="csv", columns="name", name="Daily",
        repeat="monthly", monthday="31", time_of_day="07:30",
    )  # fmt: skip
    made = stage.conference
    with made.database.tenant_session(made.tenant.id, read_only=True) as session:
        uid = session.scalars(select(ExportSchedule.uid)).one()
    assert "Change a regular export" in person.page(f"/exports/schedules/{uid}")
    changed = person.post(
        f"/exports/schedules/{uid}", format="csv", columns="email", name="Nightly",
        repeat="weekly", weekday="6", time_of_day="23:00", timezone="UTC",
    )  # fmt: skip
    assert changed.status_code == 303
    assert "Sunday, 23:00" in person.page("/exports/schedules")
    assert person.post(f"/exports/schedules/{uid}/{action}").status_code == 303
    assert person.get("/exports/schedules").status_code == 200


def test_nobody_of_another_name_is_in_the_file(stage: Stage) -> None:
    made = stage.conference
    with made.database.tenant_session(made.tenant.id) as session:
        session.execute(update(Attendee).values(company="Aurora Ltd"))
        session.commit()
    _, link = ready(stage, columns="company")
    text = stage.as_a("organiser").get(link).data.decode("utf-8-sig")
    assert set(text.split("\r\n")) == {"Company", "Aurora Ltd", ""}


def test_while_the_organisation_is_suspended_nothing_is_offered_that_is_refused(
    stage: Stage,
) -> None:
    export, download = ready(stage)
    made = stage.conference
    with made.database.system_session("test: suspend") as session:
        session.execute(
            update(Tenant).where(Tenant.id == made.tenant.id).values(status="suspended"),
            execution_options={"synchronize_session": False},
        )
        session.commit()
    page = stage.as_a("organiser").page(f"/exports/{export.uid}")
    assert "While the organisation is suspended, nothing can be downloaded" in page
    assert download not in page
    assert f"/exports/{export.uid}/again" not in page
    assert f"/exports/{export.uid}/delete" not in page
