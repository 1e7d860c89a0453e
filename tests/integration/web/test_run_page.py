"""The page of a cancellation under way: its figures, its buttons, and how it moves."""

import re
from typing import Any

import pytest
from sqlalchemy import QueuePool, update

from meet2be.cancellations import preparing, services
from meet2be.cancellations.models import CancelItem, CancelRun
from meet2be.cancellations.options import CancelOptions
from support.factories import Ticket
from support.stage import Stage

BUTTONS = ("pause", "resume", "abort", "retry")


def buttons(page: str) -> set[str]:
    return {name for name in BUTTONS if re.search(rf'action="/cancellations/\w+/{name}"', page)}


def set_items(stage: Stage, **values: object) -> None:
    """Give all items of the run these values."""
    with stage.conference.database.tenant_session(stage.conference.tenant.id) as session:
        session.execute(
            update(CancelItem).values(**values).execution_options(synchronize_session=False)
        )
        session.commit()


def set_run(stage: Stage, **values: object) -> None:
    with stage.conference.database.tenant_session(stage.conference.tenant.id) as session:
        session.execute(
            update(CancelRun).values(**values).execution_options(synchronize_session=False)
        )
        session.commit()


def figures_of(stage: Stage) -> dict[str, Any]:
    """Return the figures for programs."""
    answer = stage.admin.get(f"{stage.run_path}/progress.json")
    assert answer.json is not None
    return dict(answer.json)


def test_the_figures_for_programs_have_the_agreed_shape(stage: Stage) -> None:
    stage.conference.confirm()
    figures = figures_of(stage)
    assert set(figures) == {
        "state", "tracks", "rate_per_minute", "seconds_left", "pause_reason", "as_of"
    }  # fmt: skip
    assert set(figures["tracks"]) == {"refund", "cancel", "mail"}
    for track in figures["tracks"].values():
        assert track == {"done": 0, "total": 8, "failed": 0, "uncertain": 0, "open": 8}


def test_the_tracks_never_go_back_and_end_where_everything_is_done(stage: Stage) -> None:
    stage.conference.confirm()
    seen = [{"refund": 0, "cancel": 0, "mail": 0}]
    for _ in range(6):
        for lane in range(2):
            stage.conference.work(lane, chunks=1)
        tracks = figures_of(stage)["tracks"]
        now = {name: track["done"] for name, track in tracks.items()}
        assert all(now[name] >= seen[-1][name] for name in now)
        assert all(track["done"] + track["open"] == track["total"] for track in tracks.values())
        seen.append(now)
    assert seen[-1]["refund"] == seen[-1]["cancel"] == 8


def test_the_moving_part_is_polled_and_says_unchanged_with_304(stage: Stage) -> None:
    stage.conference.confirm()
    page = stage.admin.page(stage.run_path)
    polled = re.search(r'hx-get="([^"]+)" hx-trigger="every 2s"', page)
    assert polled is not None
    path = polled[1].replace("&amp;", "&")
    first = stage.admin.get(path)
    assert first.status_code == 200
    assert 'id="progress"' in first.text
    assert "data-title=" in first.text
    assert first.headers["Cache-Control"] == "private, no-cache"
    etag = first.headers["ETag"]
    assert stage.admin.get(path, headers={"If-None-Match": etag}).status_code == 304
    stage.conference.work(0, chunks=1)
    assert stage.admin.get(path, headers={"If-None-Match": etag}).status_code == 200


def test_polling_ends_with_the_run_and_its_mails(stage: Stage) -> None:
    stage.conference.cancel()
    going = stage.admin.get(f"{stage.run_path}/progress")
    assert going.status_code == 200
    assert "hx-trigger" in going.text
    set_items(stage, mail_state="sent")
    over = stage.admin.get(f"{stage.run_path}/progress")
    assert over.status_code == 286
    assert "hx-trigger" not in over.text
    assert "hx-trigger" not in stage.admin.page(stage.run_path).split('id="items"')[0]


def test_a_large_run_says_that_it_is_prepared_and_leads_back_when_its_preview_was_stale(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "IN_THE_REQUEST", 0)
    monkeypatch.setattr(preparing, "CHUNK", 2)
    run = stage.conference.preview()
    stage.conference.sell(Ticket(price=4_000))
    stage.conference.confirm(run, lanes=1)
    assert "The list is being prepared: 0 of 8." in stage.admin.page(stage.run_path)
    stage.conference.work(0, chunks=1)
    assert (
        "The list is being prepared: 2 of 8." in stage.admin.get(f"{stage.run_path}/progress").text
    )
    stage.conference.work(0)
    back = stage.admin.get(f"{stage.run_path}/progress?seen=confirmed")
    assert (back.status_code, back.headers["HX-Refresh"]) == (200, "true")
    page = stage.admin.get(f"{stage.run_path}/preview").text
    assert "Nothing was started." in page
    assert "Orders have changed since the preview" in page
    assert "Make a new preview" in page
    assert "Cancel the event now" not in page


def test_polling_ends_with_an_aborted_run_that_wrote_to_nobody(stage: Stage) -> None:
    stage.conference.confirm()
    stage.conference.act(services.abort, stage.conference.admin)
    assert stage.admin.get(f"{stage.run_path}/progress").status_code == 200
    stage.conference.finish()
    over = stage.admin.get(f"{stage.run_path}/progress")
    assert over.status_code == 286
    assert "hx-trigger" not in over.text


def test_a_run_that_a_worker_halted_does_not_blame_a_person(stage: Stage) -> None:
    conference = stage.conference
    conference.confirm()
    services.halt_tx(
        conference.desk, conference.tenant.id, conference.run_uid, 0, "disk full", is_second=True
    )
    page = stage.admin.page(stage.run_path)
    assert "A worker could not go on." in page
    assert "Somebody paused" not in page


def test_the_whole_page_is_loaded_anew_when_its_buttons_have_changed(stage: Stage) -> None:
    stage.conference.confirm()
    same = stage.admin.get(f"{stage.run_path}/progress?seen=confirmed")
    assert "HX-Refresh" not in same.headers
    changed = stage.admin.get(f"{stage.run_path}/progress?seen=running")
    assert changed.headers["HX-Refresh"] == "true"


def test_without_javascript_the_page_reloads_by_itself_while_it_moves(stage: Stage) -> None:
    stage.conference.confirm()
    refresh = '<noscript><meta http-equiv="refresh" content="5"></noscript>'
    assert refresh in stage.admin.page(stage.run_path)
    stage.conference.finish()
    set_items(stage, mail_state="sent")
    assert refresh not in stage.admin.page(stage.run_path)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("confirmed", {"pause", "abort"}),
        ("running", {"pause", "abort"}),
        ("sweeping", {"pause", "abort"}),
        ("paused", {"resume", "abort"}),
        ("done", set()),
        ("done_with_errors", set()),
        ("aborted", set()),
    ],
)
def test_buttons_are_those_the_state_allows(stage: Stage, state: str, expected: set[str]) -> None:
    stage.conference.confirm()
    set_run(stage, state=state)
    assert buttons(stage.admin.page(stage.run_path)) == expected
    assert buttons(stage.as_a("viewer").page(stage.run_path)) == set()


def test_a_pause_shows_why_and_is_taken_back(stage: Stage) -> None:
    stage.conference.confirm()
    assert stage.admin.post(f"{stage.run_path}/pause", reason="waiting for Bea").status_code == 303
    page = stage.admin.page(stage.run_path)
    assert "Somebody paused this cancellation" in page
    assert "waiting for Bea" in page
    again = stage.admin.post(f"{stage.run_path}/pause")
    assert again.status_code == 303
    assert "cannot be paused" in stage.admin.page(stage.run_path)
    stage.admin.post(f"{stage.run_path}/resume")
    assert stage.conference.run().state == "running"


def test_a_provider_s_trouble_says_when_it_goes_on(stage: Stage) -> None:
    stage.conference.confirm()
    set_run(
        stage,
        state="paused",
        pause_code="provider",
        pause_reason="10 calls failed in a row",
        resume_at=stage.conference.clock.now(),
    )
    page = stage.admin.page(stage.run_path)
    assert "The payment provider is in trouble" in page
    assert "It goes on by itself" in page


def test_an_abort_needs_the_box_ticked(stage: Stage) -> None:
    stage.conference.confirm()
    refused = stage.admin.post(f"{stage.run_path}/abort")
    assert refused.status_code == 422
    assert stage.conference.run().state == "confirmed"
    assert stage.admin.post(f"{stage.run_path}/abort", sure="yes").status_code == 303
    assert stage.conference.run().state == "aborted"


def test_failures_are_told_by_cause_and_tried_again(stage: Stage) -> None:
    stage.conference.cancel()
    item = stage.conference.items()[0]
    with stage.conference.database.tenant_session(stage.conference.tenant.id) as session:
        session.execute(
            update(CancelItem)
            .where(CancelItem.id == item.id)
            .values(refund_state="failed", error_code="insufficient_funds")
            .execution_options(synchronize_session=False)
        )
        session.commit()
    page = stage.admin.page(stage.run_path)
    assert "The provider&#39;s balance did not suffice" in page
    assert "Retry 1 failed" in page
    only = stage.admin.page(f"{stage.run_path}?cause=insufficient_funds").split('id="items"')[1]
    assert item.name_snapshot in only
    assert "1 attendee" in only
    assert stage.admin.post(f"{stage.run_path}/retry").status_code == 303
    assert stage.conference.states().count("failed") == 0
    assert "What had failed is tried again." in stage.admin.page(stage.run_path)
    stage.admin.post(f"{stage.run_path}/retry")
    assert "Nothing has failed." in stage.admin.page(stage.run_path)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("refund_state=none_needed", {"Cy Disputed", "Di Pending", "Ed Free"}),
        ("mail_state=no_address", {"Bea Nomail"}),
        ("q=arden", {"Ada Arden", "Abe Arden"}),
        ("refund_state=nonsense&q=flo", {"Flo Part"}),
        ("q=nobody", set()),
    ],
)
def test_the_table_is_filtered(stage: Stage, query: str, names: set[str]) -> None:
    stage.conference.cancel()
    page = stage.admin.page(f"{stage.run_path}?{query}").split('id="items"')[1]
    found = set(re.findall(r'<td class="lead"><a [^>]+>([^<]+)</a>', page))
    assert found == names


def test_the_report_has_a_line_for_everybody(stage: Stage) -> None:
    stage.conference.cancel()
    answer = stage.as_a("viewer").get(f"{stage.run_path}/report.csv")
    assert answer.mimetype == "text/csv"
    assert len(answer.get_data(as_text=True).splitlines()) == 9
    german = stage.web.person(stage.conference.tenant, "viewer", locale="de-DE")
    lines = german.get(f"{stage.run_path}/report.csv").get_data(as_text=True).splitlines()
    assert lines[0].startswith("\ufeffBestellung,Ticket,Name,E-Mail,Währung,Geplant")
    assert len(lines) == 9


@pytest.mark.parametrize("taken", ["all", "a part", "nothing"])
def test_a_report_leaves_the_database_when_it_is_sent_or_dropped(stage: Stage, taken: str) -> None:
    stage.conference.cancel()
    pool = stage.conference.database.engine.pool
    assert isinstance(pool, QueuePool)
    before = pool.checkedout()
    answer = stage.admin.get(f"{stage.run_path}/report.csv", buffered=False)
    if taken != "nothing":
        lines = iter(answer.response)
        assert next(lines)
        if taken == "all":
            assert list(lines) == []
    answer.close()
    assert pool.checkedout() == before


def test_a_refund_by_hand_is_written_down_with_how(stage: Stage) -> None:
    stage.conference.cancel(CancelOptions(refund_mode="manual"))
    item = next(each for each in stage.conference.items() if each.refund_state == "manual")
    without = stage.admin.post(f"{stage.run_path}/paid", item=str(item.id), reason=" ")
    assert without.status_code == 422
    done = stage.admin.post(f"{stage.run_path}/paid", item=str(item.id), reason="bank transfer")
    assert done.status_code == 303
    states = {each.id: each.refund_state for each in stage.conference.items()}
    assert states[item.id] == "done"


def test_all_refunds_by_hand_are_written_down_once_their_number_is_typed(stage: Stage) -> None:
    stage.conference.cancel(CancelOptions(refund_mode="manual"))
    waiting = stage.conference.states().count("manual")
    page = stage.admin.page(stage.run_path)
    assert f'action="{stage.run_path}/paid-all"' in page
    listed = stage.admin.get(f"{stage.run_path}/report.csv?refund_state=manual")
    assert len(listed.text.splitlines()) == 1 + waiting
    for number, reason in (("", "cash"), (str(waiting + 1), "cash"), (str(waiting), " ")):
        refused = stage.admin.post(f"{stage.run_path}/paid-all", number=number, reason=reason)
        assert refused.status_code == 422
    assert stage.conference.states().count("manual") == waiting
    for _ in range(2):  # pressed twice, it says that nobody is left
        done = stage.admin.post(f"{stage.run_path}/paid-all", number=str(waiting), reason="cash")
        assert done.status_code == 303
    assert "manual" not in stage.conference.states()
    assert "paid-all" not in stage.admin.page(stage.run_path)
