"""From the event to the confirmed cancellation, and everything that is refused on the way."""

import re

import pytest
from sqlalchemy import update

from meet2be.cancellations.models import CancelItem, CancelRun
from meet2be.mailings.models import Mail
from meet2be.tenancy.models import Tenant
from support.factories import Sale, Ticket
from support.stage import Stage
from support.web import Person

NAME = "Aurora Summit"


def make_preview(stage: Stage, person: Person | None = None, /, **options: str) -> str:
    """Send the options and return the new run's uid."""
    answer = (person or stage.admin).post(f"{stage.event_path}/cancel", **options)
    assert answer.status_code == 303, answer.text
    found = re.fullmatch(r"/cancellations/(\w{26})/preview", answer.location)
    assert found is not None, answer.location
    return found[1]


def hash_on(stage: Stage, run: str) -> str:
    """Return the hash that the preview page hands on."""
    page = stage.admin.page(f"/cancellations/{run}/preview")
    found = re.search(r'name="preview_hash" value="([0-9a-f]{64})"', page)
    assert found is not None, "the page carries no hash"
    return found[1]


def need_a_code(stage: Stage) -> None:
    """Lower the organisation's limit, so that confirming needs a code."""
    database = stage.conference.database
    with database.system_session("tests: lower the limit") as session:
        session.execute(
            update(Tenant)
            .where(Tenant.id == stage.conference.tenant.id)
            .values(confirm_limit_minor=100)
        )
        session.commit()


def mailed_code(stage: Stage) -> str:
    mail = stage.conference.rows(Mail, Mail.kind == "confirmation_code")[-1]
    found = re.search(r"\b\d{8}\b", mail.subject or "")
    assert found is not None, mail.subject
    return found[0]


def test_who_changes_the_options_of_a_preview_finds_them_as_they_were(stage: Stage) -> None:
    told = {"fee_kind": "fixed", "fee_amount": "3.50", "message": "We are <sorry>.", "reason": "x"}
    run = make_preview(stage, **told, refund_mode="manual")
    preview = stage.admin.page(f"/cancellations/{run}/preview")
    assert f'{stage.event_path}/cancel?as={run}"' in preview
    form = stage.admin.page(f"{stage.event_path}/cancel?as={run}")
    assert 'value="fixed" checked' in form
    assert 'value="manual" checked' in form
    assert 'value="3.50"' in form
    assert "We are &lt;sorry&gt;.</textarea>" in form
    for nobodys in ("", "?as=nothing"):
        assert "sorry" not in stage.admin.page(f"{stage.event_path}/cancel{nobodys}")


def test_the_way_of_an_admin_leads_from_the_event_to_the_run(stage: Stage) -> None:
    assert f"{stage.event_path}/cancel" in stage.admin.page(stage.event_path)
    stage.admin.page(f"{stage.event_path}/cancel")
    run = make_preview(stage)
    answer = stage.admin.post(
        f"/cancellations/{run}/confirm", event_name=NAME, preview_hash=hash_on(stage, run)
    )
    assert (answer.status_code, answer.location) == (303, f"/cancellations/{run}")
    assert "Cancelling Aurora Summit" in stage.admin.page(answer.location)
    assert "being cancelled" in stage.admin.page("/events")


def test_a_preview_tells_outcomes_sums_and_people_and_changes_nothing(stage: Stage) -> None:
    run = make_preview(stage)
    page = stage.admin.page(f"/cancellations/{run}/preview")
    for words in ("Paid back", "Disputed", "Not paid yet", "Free ticket", "checked in already",
                  "€1,896.00", "Flo Part", "no address: gets no mail"):  # fmt: skip
        assert words in page, words
    assert stage.conference.rows(CancelItem) == []
    assert stage.conference.rows(Mail) == []
    assert "on sale" in stage.admin.page("/events")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fee_kind": "fixed", "fee_amount": "10,50"}, "€10.50 of each ticket"),
        ({"fee_kind": "percent", "fee_percent": "12.5 %"}, "12.5 % of each ticket"),
        ({"refund_mode": "manual"}, "by hand"),
        ({"message": "We are <b>sorry</b>"}, "We are &lt;b&gt;sorry&lt;/b&gt;"),
    ],
)
def test_options_are_kept_and_shown(stage: Stage, options: dict[str, str], words: str) -> None:
    run = make_preview(stage, None, **options)
    assert words in stage.admin.page(f"/cancellations/{run}/preview")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fee_kind": "fixed", "fee_amount": "a lot"}, "is no amount"),
        ({"fee_kind": "fixed", "fee_amount": ""}, "is empty"),
        ({"fee_kind": "percent", "fee_percent": "101"}, "is no percentage"),
        ({"fee_kind": "percent", "fee_percent": ""}, "no percentage"),
        ({"fee_kind": "half"}, "not &#39;half&#39;"),
        ({"refund_mode": "pigeon"}, "not &#39;pigeon&#39;"),
        ({"message": "x" * 5001}, "5000 at most"),
    ],
)
def test_bad_options_are_named_and_make_no_run(
    stage: Stage, options: dict[str, str], words: str
) -> None:
    answer = stage.admin.post(f"{stage.event_path}/cancel", **options)
    assert answer.status_code == 422
    assert words in answer.text
    assert stage.conference.rows(CancelRun) == []


def test_a_wrong_name_is_refused_beside_its_field_and_changes_nothing(stage: Stage) -> None:
    run = make_preview(stage)
    answer = stage.admin.post(
        f"/cancellations/{run}/confirm",
        event_name="Aurora Sumit",
        preview_hash=hash_on(stage, run),
    )
    assert answer.status_code == 422
    assert 'id="event_name-problem"' in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert 'value="Aurora Sumit"' in answer.text
    assert [each.state for each in stage.conference.rows(CancelRun)] == ["preview"]


def test_a_code_is_asked_for_above_the_limit_and_opens_the_way(stage: Stage) -> None:
    need_a_code(stage)
    run = make_preview(stage)
    given = {"event_name": NAME, "preview_hash": hash_on(stage, run)}
    without = stage.admin.post(f"/cancellations/{run}/confirm", **given)
    assert (without.status_code, 'id="code-problem"' in without.text) == (422, True)
    sent = stage.admin.post(f"/cancellations/{run}/code")
    assert sent.status_code == 303
    code = mailed_code(stage)
    wrong = stage.admin.post(
        f"/cancellations/{run}/confirm", **given, code=str((int(code) + 1) % 10**8).zfill(8)
    )
    assert wrong.status_code == 422
    assert "Tries left: 4" in wrong.text
    right = stage.admin.post(
        f"/cancellations/{run}/confirm", **given, code=f" {code[:4]} {code[4:]} "
    )
    assert right.status_code == 303


def test_a_sixth_code_in_a_quarter_of_an_hour_is_not_mailed(stage: Stage) -> None:
    need_a_code(stage)
    run = make_preview(stage)
    pages = [
        stage.admin.client.post(
            f"/cancellations/{run}/code",
            data={"csrf_token": stage.admin.token()},
            follow_redirects=True,
        ).text
        for _ in range(6)
    ]
    assert "A code is on its way" in pages[4]
    assert "5 codes were mailed in the last 15 minutes" in pages[5]
    assert len(stage.conference.mails("confirmation_code")) == 5


def test_a_code_has_no_form_below_the_limit(stage: Stage) -> None:
    run = make_preview(stage)
    page = stage.admin.page(f"/cancellations/{run}/preview")
    assert f"/cancellations/{run}/code" not in page
    assert 'name="code"' not in page


def test_a_stale_preview_is_refused_with_what_changed(stage: Stage) -> None:
    run = make_preview(stage)
    given = {"event_name": NAME, "preview_hash": hash_on(stage, run)}
    stage.conference.sell(Ticket(name="Late Comer", price=9_900))
    answer = stage.admin.post(f"/cancellations/{run}/confirm", **given)
    assert answer.status_code == 422
    assert "Nothing was started" in answer.text
    assert "Make a new preview" in answer.text
    assert re.search(r"attendees</td><td class=\"num\">8</td><td class=\"num\">9<", answer.text)
    assert [each.state for each in stage.conference.rows(CancelRun)] == ["preview"]


def test_a_hash_of_another_preview_is_refused(stage: Stage) -> None:
    run = make_preview(stage)
    answer = stage.admin.post(
        f"/cancellations/{run}/confirm", event_name=NAME, preview_hash="0" * 64
    )
    assert answer.status_code == 422


def test_a_double_click_leads_twice_to_the_same_run(stage: Stage) -> None:
    run = make_preview(stage)
    given = {"event_name": NAME, "preview_hash": hash_on(stage, run)}
    answers = [stage.admin.post(f"/cancellations/{run}/confirm", **given) for _ in range(2)]
    assert {(each.status_code, each.location) for each in answers} == {
        (303, f"/cancellations/{run}")
    }
    assert len(stage.conference.rows(CancelItem)) == 8


def test_a_second_cancellation_gets_a_link_to_the_first(stage: Stage) -> None:
    second = make_preview(stage)
    seen = hash_on(stage, second)
    first = stage.conference.confirm()
    pages = (
        stage.admin.post(f"/cancellations/{second}/confirm", event_name=NAME, preview_hash=seen),
        stage.admin.post(f"{stage.event_path}/cancel"),
        stage.admin.get(f"{stage.event_path}/cancel"),
        stage.admin.get(f"/cancellations/{second}/preview"),
    )
    for page in pages:
        assert page.status_code == 409
        assert f'href="/cancellations/{first}"' in page.text


def test_the_preview_of_a_run_that_was_begun_leads_to_the_run(stage: Stage) -> None:
    run = stage.conference.confirm()
    answer = stage.admin.get(f"/cancellations/{run}/preview")
    assert (answer.status_code, answer.location) == (302, f"/cancellations/{run}")


def test_an_organiser_sees_the_preview_and_cannot_confirm(stage: Stage) -> None:
    organiser = stage.as_a("organiser")
    run = make_preview(stage, organiser)
    page = organiser.page(f"/cancellations/{run}/preview")
    assert "An administrator confirms" in page
    assert "/confirm" not in page
    assert organiser.post(f"/cancellations/{run}/confirm").status_code == 403


def test_an_event_that_is_over_is_not_cancelled_again(stage: Stage) -> None:
    stage.conference.cancel()
    answer = stage.admin.post(f"{stage.event_path}/cancel")
    assert answer.status_code == 409
    assert "cannot be cancelled" in answer.text
    assert "Cancel this event" not in stage.admin.page(stage.event_path)


def test_the_preview_s_list_is_paged_and_filtered_without_losing_anybody(stage: Stage) -> None:
    stage.conference.sell_all(
        *(Sale([Ticket(name=f"Pat {n}"), Ticket(name=f"Sam {n}")]) for n in range(60)),
        at_provider=False,
    )
    run = make_preview(stage)
    path: str | None = f"/cancellations/{run}/preview"
    names: list[str] = []
    while path:
        page = stage.admin.page(path)
        listed = page.split('id="list"', 1)[1]
        names += re.findall(r'<td class="lead"><a [^>]+>([^<]+)</a>', listed)
        following = re.search(r'rel="next" href="([^"#]+)', listed)
        path = following[1].replace("&amp;", "&") if following else None
    assert len(names) == len(set(names)) == 128
    only = stage.admin.page(f"/cancellations/{run}/preview?outcome=disputed").split('id="list"')[1]
    assert re.findall(r'<td class="lead"><a [^>]+>([^<]+)</a>', only) == ["Cy Disputed"]


def test_the_whole_list_comes_as_csv_that_no_spreadsheet_runs(stage: Stage) -> None:
    stage.conference.sell(Ticket(name="=HYPERLINK(1)"), at_provider=False)
    run = make_preview(stage)
    answer = stage.admin.get(f"/cancellations/{run}/preview.csv")
    assert answer.mimetype == "text/csv"
    assert "attachment" in answer.headers["Content-Disposition"]
    lines = answer.get_data(as_text=True).splitlines()
    assert len(lines) == 10
    assert "'=HYPERLINK(1)" in answer.text
