"""The log-in, sessions, forgery, headers, hosts: what every page stands behind."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from meet2be.accounts.models import User, WebSession
from meet2be.tenancy.models import Membership
from meet2be.web.security import HEADERS
from support.stage import Stage
from support.web import PASSWORD

# Programs call these: they sign, show a token, or are a mail program's one click (RFC 8058).
FOR_PROGRAMS = ("/hooks/", "/api/", "/unsubscribe/")


def test_a_log_in_leads_to_the_page_that_was_wanted(stage: Stage) -> None:
    email = stage.admin.user.email if stage.admin.user else ""
    nobody = stage.web.anybody()
    first = nobody.get("/refunds?status=failed")
    assert first.status_code == 302
    assert first.location == "/login?next=/refunds?status%3Dfailed"
    answer = nobody.log_in(email, next="/refunds?status=failed")
    assert (answer.status_code, answer.location) == (302, "/refunds?status=failed")


def test_a_database_that_others_write_to_for_long_is_said_to_be_busy(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meet2be.db.engine.BUSY_TIMEOUT_SECONDS", 0.02)
    path = str(stage.conference.database.engine.url.database)
    email = stage.admin.user.email if stage.admin.user else ""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = stage.web.anybody().log_in(email)
        other.execute("ROLLBACK")
    assert answer.status_code == 503
    assert "Try again in a minute. Nothing was lost." in answer.text
    assert stage.web.anybody().log_in(email).status_code == 302


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/", "//evil.example/", "/\\evil.example", "\\\\evil.example",
        "javascript:alert(1)", "evil.example", "/\t/evil.example", " //evil.example",
    ],
)  # fmt: skip
def test_a_log_in_never_leads_to_another_site(stage: Stage, target: str) -> None:
    email = stage.admin.user.email if stage.admin.user else ""
    answer = stage.web.anybody().log_in(email, next=target)
    assert (answer.status_code, answer.location) == (302, "/events")


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(stage: Stage) -> None:
    email = stage.admin.user.email if stage.admin.user else ""
    answers = [
        stage.web.anybody().log_in(email, "wrong"),
        stage.web.anybody().log_in("nobody@example.org", "wrong"),
    ]
    assert [each.status_code for each in answers] == [401, 401]
    words = "This e-mail address and password do not fit together"
    assert all(words in each.text for each in answers)


def test_guessing_is_slowed_down_and_forgiven_with_time(stage: Stage) -> None:
    email = stage.admin.user.email if stage.admin.user else ""
    stage.conference.clock.advance(1)  # a success at the same instant forgives what follows
    guesser = stage.web.anybody()
    codes = [guesser.log_in(email, f"guess {number}").status_code for number in range(6)]
    assert codes == [401] * 5 + [429]
    even_right = guesser.log_in(email)
    assert even_right.status_code == 429
    assert "Try again in" in even_right.text
    stage.conference.clock.advance(timedelta(minutes=16).total_seconds())
    assert guesser.log_in(email).status_code == 302


def test_a_form_without_its_token_is_refused(stage: Stage) -> None:
    stage.conference.confirm()
    client = stage.admin.client
    for rule in stage.web.app.url_map.iter_rules():
        if "POST" in (rule.methods or set()) and not rule.rule.startswith(FOR_PROGRAMS):
            path = rule.rule.replace("<uid>", stage.conference.run_uid)
            assert client.post(path, data={}).status_code == 400, path
            assert client.post(path, data={"csrf_token": "forged"}).status_code == 400, path
    assert stage.conference.run().state == "confirmed"


def test_another_browser_s_token_is_refused(stage: Stage) -> None:
    foreign = stage.web.anybody().token()
    answer = stage.admin.client.post("/notifications/read", data={"csrf_token": foreign})
    assert answer.status_code == 400


def test_every_answer_carries_the_headers_and_no_page_holds_inline_code(stage: Stage) -> None:
    stage.conference.cancel()
    for path in ("/login", "/events", stage.event_path, stage.run_path, "/nothing", "/audit",
                 "/refunds", "/mail", "/notifications", f"{stage.run_path}/progress"):  # fmt: skip
        answer = stage.admin.get(path, follow_redirects=True)
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, (path, name)
        assert "'unsafe" not in answer.headers["Content-Security-Policy"]
        assert " style=" not in answer.text, path
        assert " onclick=" not in answer.text, path
        assert "<style" not in answer.text, path
        assert "<script>" not in answer.text, path
        wanted = "private, no-cache" if path.endswith("/progress") else "no-store"
        assert answer.headers["Cache-Control"] == wanted, path


def test_the_session_cookie_is_kept_from_scripts_and_other_sites(stage: Stage) -> None:
    email = stage.admin.user.email if stage.admin.user else ""
    cookies = stage.web.anybody().log_in(email).headers.getlist("Set-Cookie")
    session = next(each for each in cookies if each.startswith("m2b_session="))
    assert "HttpOnly" in session
    assert "SameSite=Lax" in session
    assert "Path=/" in session


def test_each_log_in_is_a_session_of_its_own_and_ends_alone(stage: Stage) -> None:
    email = stage.admin.user.email if stage.admin.user else ""
    second = stage.web.anybody()
    second.log_in(email)
    stage.admin.post("/logout")
    assert stage.admin.get("/events").status_code == 302
    assert second.get("/events").status_code == 200


@pytest.mark.parametrize("minutes", [31, 60 * 13])
def test_an_idle_or_old_session_is_over(stage: Stage, minutes: int) -> None:
    assert stage.admin.get("/events").status_code == 200
    stage.conference.clock.advance(minutes * 60)
    assert stage.admin.get("/events").status_code == 302


def test_a_busy_session_ends_after_its_longest_time_all_the_same(stage: Stage) -> None:
    assert stage.admin.get("/events").status_code == 200
    answers = []
    for _ in range(29):
        stage.conference.clock.advance(25 * 60)
        answers.append(stage.admin.get("/events").status_code)
    assert answers[:28] == [200] * 28
    assert answers[28] == 302


def test_a_person_who_was_disabled_or_left_is_out_at_once(stage: Stage) -> None:
    database = stage.conference.database
    viewer, organiser = stage.as_a("viewer"), stage.as_a("organiser")
    assert viewer.user is not None
    assert organiser.user is not None
    with database.system_session("tests: disable one, remove another") as session:
        session.execute(
            update(User)
            .where(User.id == viewer.user.id)
            .values(status="disabled")
            .execution_options(synchronize_session=False)
        )
        gone = select(Membership).where(Membership.user_id == organiser.user.id)
        session.delete(session.scalars(gone).one())
        session.commit()
    assert viewer.get("/events").status_code == 302
    assert organiser.get("/events").status_code == 302


def test_the_database_holds_no_session_s_secret(stage: Stage) -> None:
    cookie = stage.admin.client.get_cookie("m2b_session")
    assert cookie is not None
    with stage.conference.database.system_session("tests: look at sessions") as session:
        stored = session.scalars(select(WebSession.token_hash)).all()
    assert cookie.value not in stored
    assert all(len(each) == 64 for each in stored)


def test_a_host_that_is_not_ours_is_refused(stage: Stage) -> None:
    answer = stage.web.anybody().get("/login", headers={"Host": "evil.example"})
    assert answer.status_code == 400


def test_a_poll_after_the_session_sends_the_browser_to_the_log_in(stage: Stage) -> None:
    stage.conference.confirm()
    answer = stage.web.anybody().get(f"{stage.run_path}/progress", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"].startswith("/login")


def test_a_password_never_comes_back_on_a_page(stage: Stage) -> None:
    answer = stage.web.anybody().log_in("nobody@example.org", PASSWORD)
    assert PASSWORD not in answer.text
