"""A form that is sent after its log-in has ended: nothing is done, and nothing typed is lost."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import meet2be.web
from onqueue.testing.clock import FakeClock
from support.house import House

TYPED = {"title": "Aurora <1>", "description": "Hours of work.\nTwo lines.", "currency": "EUR"}
OURS = {"Sec-Fetch-Site": "same-origin", "Referer": "http://localhost/events/new?a=b"}


def test_what_was_typed_is_shown_when_the_log_in_has_ended(house: House, clock: FakeClock) -> None:
    person = house.web.person(house.tenant)
    data = {"csrf_token": person.token(), "password": "secret word", **TYPED}
    clock.advance(timedelta(hours=13).total_seconds())
    answer = person.client.post("/events/new", data=data, headers=OURS)
    assert answer.status_code == 401
    assert "Your log-in has ended" in answer.text
    assert "Nothing was saved." in answer.text
    assert "Aurora &lt;1&gt;" in answer.text
    assert "Hours of work.\nTwo lines." in answer.text
    assert "secret word" not in answer.text
    assert data["csrf_token"] not in answer.text
    assert "/login?next=/events/new?a%3Db" in answer.text or "next=%2Fevents%2Fnew" in answer.text


def test_it_is_shown_too_where_the_cookie_is_gone(house: House) -> None:
    answer = house.web.anybody().client.post("/events/new", data=TYPED, headers=OURS)
    assert answer.status_code == 401
    assert "Hours of work." in answer.text
    person = house.web.person(house.tenant)
    old = person.client.post("/events/new", data=TYPED, headers=OURS)
    assert old.status_code == 400
    assert "This form is too old" in old.text
    assert "Hours of work." in old.text


def test_nothing_secret_is_shown_whatever_its_field_is_called(house: House) -> None:
    pages = (Path(meet2be.web.__file__).parent / "templates").rglob("*.html")
    secrets = {
        name
        for page in pages
        for field in re.findall(r"<input [^>]*type=\"password\"[^>]*>", page.read_text())
        for name in re.findall(r" name=\"(\w+)\"", field)
    }
    assert {"password", "again", "present", "secret"} <= secrets
    secrets.add("headers")  # of webhooks: kept encrypted, never shown again
    data = {name: f"{name}: my own secret" for name in secrets} | TYPED
    answer = house.web.anybody().client.post("/account/password", data=data, headers=OURS)
    assert "Hours of work." in answer.text
    assert "my own secret" not in answer.text
    only = dict.fromkeys(secrets, "my own secret")
    answer = house.web.anybody().client.post("/account/password", data=only, headers=OURS)
    assert "my own secret" not in answer.text


def test_a_postcode_is_no_code(house: House) -> None:
    data = {"address_postcode": "10115", "code": "424242", "shown": "5000 EUR"}
    answer = house.web.anybody().client.post("/settings/warehouse", data=data, headers=OURS)
    assert "10115" in answer.text
    assert "424242" not in answer.text
    assert "5000 EUR" not in answer.text, "nobody typed it"


def test_another_site_gets_nothing_shown(house: House) -> None:
    for headers in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://other.example"}):
        answer = house.web.anybody().client.post("/events/new", data=TYPED, headers=headers)
        assert answer.status_code == 400
        assert "Hours of work." not in answer.text


def test_a_button_without_words_leads_to_the_log_in_and_says_why(
    house: House, clock: FakeClock
) -> None:
    person = house.web.person(house.tenant)
    token = person.token()
    clock.advance(timedelta(hours=13).total_seconds())
    answer = person.client.post("/logout", data={"csrf_token": token}, headers=OURS)
    assert answer.status_code == 302
    assert "so nothing was done" in person.client.get(answer.location).text


def test_no_way_on_leads_to_another_site_or_to_a_page_that_only_takes_forms(house: House) -> None:
    for path in ("//other.example/x", "/settings/sender/confirm", "/no/such/page"):
        headers = OURS | {"Referer": f"http://localhost{path}"}
        page = house.web.person(house.tenant).client.post(
            "/events/new", data=TYPED, headers=headers
        )
        assert "Hours of work." in page.text
        assert re.findall(r'<a class="button primary" href="([^"]*)"', page.text) == ["/"], path


def test_a_browser_that_says_nonsense_of_itself_breaks_nothing(house: House) -> None:
    for headers in ({"Origin": "http://["}, {**OURS, "Referer": "http://["}):
        answer = house.web.anybody().client.post("/events/new", data=TYPED, headers=headers)
        assert answer.status_code < 500, headers


def test_who_types_on_is_told_once_that_the_log_in_has_ended(
    house: House, clock: FakeClock
) -> None:
    person = house.web.person(house.tenant)
    data = {"csrf_token": person.token()}
    clock.advance(timedelta(hours=13).total_seconds())
    for _ in range(3):
        told = person.client.post(
            "/account/here", data=data, headers=OURS | {"Sec-Fetch-Mode": "cors"}
        )
        assert told.status_code == 302
    person.client.post("/logout", data=data, headers=OURS)
    assert person.client.get("/login").text.count("so nothing was done") == 1


def test_who_types_on_is_logged_out_at_the_end_of_the_day_all_the_same(
    house: House, clock: FakeClock
) -> None:
    person = house.web.person(house.tenant)
    data = {"csrf_token": person.token()}
    answers = []
    for _ in range(26):
        clock.advance(timedelta(minutes=29).total_seconds())
        answers.append(person.client.post("/account/here", data=data).status_code)
    assert answers == [204] * 24 + [302] * 2
    assert person.client.post("/account/here").status_code == 400, "only pages of ours may ask"
