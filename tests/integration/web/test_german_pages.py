"""The pages in German: nothing on them stayed English, and everybody can choose."""

import re

from sqlalchemy import select

from meet2be.accounts.models import User
from meet2be.figures.computing import compute_tx
from meet2be.payments.models import Refund
from support.stage import Stage
from support.visible_text import foreign_sentences, visible_text
from support.web import Person

# What is no text of ours though it reads like it: a mail to an English attendee, names of scopes.
NOT_OURS = {
    "/mail": {"%(event)s has been cancelled"},
    "/settings": {"cancellations", "notifications"},
}


def paths_of(stage: Stage) -> list[str]:
    """Return every page that needs no name, and those about the stage's own things."""
    made = stage.conference
    plain = [
        rule.rule
        for rule in stage.web.app.url_map.iter_rules()
        if "GET" in (rule.methods or set())
        and "<" not in rule.rule
        and not rule.rule.startswith(("/api", "/health", "/static"))
    ]
    return [
        *plain,
        *(f"/refunds/{refund.uid}" for refund in made.rows(Refund)),
        *(f"/attendees/{order.attendee.uid}" for order in made.orders),
        stage.event_path, f"{stage.event_path}/attendees", f"{stage.event_path}/cancel",
        f"{stage.event_path}/attendees?q=nobody-at-all", f"/mail/{made.mails()[0].uid}",
        stage.run_path, f"{stage.run_path}?refund_state=failed", "/no/such/page",
    ]  # fmt: skip


def read(person: Person, paths: list[str]) -> dict[str, str]:
    """Return what is read on each of these pages that is one."""
    found = {}
    for path in paths:
        answer = person.get(path)
        assert answer.status_code < 500, path
        if answer.mimetype == "text/html" and answer.status_code not in {302, 303}:
            assert '<html lang="de">' in answer.text, path
            found[path] = visible_text(answer.text)
    return found


def test_a_german_person_reads_no_english_sentence_of_ours(stage: Stage) -> None:
    made = stage.conference
    person = stage.web.person(made.tenant, locale="de-DE", name="Grete Beispiel")
    run = made.preview()
    pages = read(person, [f"/cancellations/{run.uid}/preview", f"{stage.event_path}/cancel"])
    made.confirm(run)
    made.work(0, chunks=1)
    pages[f"{stage.run_path} while it runs"] = read(person, [stage.run_path])[stage.run_path]
    made.finish()
    pages |= read(person, paths_of(stage))
    assert len(pages) > 30
    english = {
        path: foreign_sentences("de", text) - NOT_OURS.get(f"/{path.split('/')[1]}", set())
        for path, text in pages.items()
    }
    assert {path: found for path, found in english.items() if found} == {}


def test_a_sentence_that_stayed_english_would_be_found() -> None:
    shown = visible_text("<p>Nothing was started.</p><input placeholder='Name or address'>")
    assert foreign_sentences("de", shown) == {"Nothing was started.", "Name or address"}


def test_who_is_not_logged_in_chooses_by_a_cookie(stage: Stage) -> None:
    somebody = stage.web.anybody()
    answer = somebody.post("/language", language="de", next="/login?next=/refunds")
    assert answer.location == "/login?next=/refunds"
    page = somebody.page("/login")
    assert '<html lang="de">' in page
    assert "Anmelden" in page
    somebody.post("/language", language="en")
    assert "Log in" in somebody.page("/login")


def test_who_is_logged_in_chooses_for_good(stage: Stage) -> None:
    stage.admin.post("/language", language="de", next="/refunds")
    assert "Erstattungen" in stage.admin.page("/refunds")
    user = stage.admin.user
    assert user is not None
    with stage.conference.database.system_session("tests: read a locale") as session:
        assert session.scalars(select(User.locale).where(User.id == user.id)).one() == "de-DE"


def test_an_unknown_language_changes_nothing_and_no_way_leads_elsewhere(stage: Stage) -> None:
    for target in ("https://elsewhere.example/", "//elsewhere.example", "x"):
        assert stage.admin.post("/language", language="fr", next=target).location == "/"
    assert '<html lang="en">' in stage.admin.page("/events")
    assert stage.admin.client.get_cookie("m2b_language") is None


def test_what_a_page_refuses_is_said_in_german(stage: Stage) -> None:
    person = stage.web.person(stage.conference.tenant, locale="de-DE")
    answer = person.post(
        f"{stage.event_path}/cancel", fee_kind="percent", fee_percent="viel", refund_mode="auto"
    )
    assert "„viel“ ist kein Prozentsatz" in answer.text
    wrong = stage.web.anybody()
    wrong.post("/language", language="de")
    assert "passen nicht zusammen" in wrong.log_in("nobody@example.org", "wrong").text


def test_figures_and_amounts_are_written_as_germans_write_them(stage: Stage) -> None:
    made, german = stage.conference, stage.web.person(stage.conference.tenant, locale="de-DE")
    assert compute_tx(made.database, made.tenant.id, made.event.uid, made.clock.now())
    page = german.page(f"{stage.event_path}/figures")
    beside = re.findall(r'<ol class="(?:values|places)".*?</ol>', page, re.DOTALL)
    drawn = [words for each in beside for words in re.findall(r"<li>([^<]+)</li>", each)]
    assert [each for each in drawn if re.fullmatch(r"[0-9]{2}[.][0-9]{2}[.][0-9]{4}", each)]
    assert not [each for each in drawn if re.search(r"[A-Z][a-z]{2} [0-9]", each)]
    assert not re.search(r"[0-9]:[0-9]{2}:[0-9]{2}", visible_text(page)), "to the minute"
    kinds = german.page(f"{stage.event_path}/tickets")
    uid = re.search(r"/ticket-types/([0-9a-z]{26})", kinds)
    assert uid is not None
    assert 'value="399,00"' in german.page(f"/ticket-types/{uid[1]}")
