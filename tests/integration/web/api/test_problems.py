"""What the API says of what it refuses: sentences of ours, in the caller's language."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from meet2be.api_tokens.models import LONGEST_KEY
from meet2be.db import Database
from meet2be.queueing import _context, after_webhooks
from meet2be.tenancy.models import Tenant
from meet2be.webhooks.depths import GOOD_FOR, Depths
from meet2be.webhooks.models import WebhookEvent
from meet2be.webhooks.publishing import DEEPEST
from meet2be.webhooks.vault import Vault
from onqueue.testing.clock import FakeClock
from support.api import V1, Program, program
from support.factories import make_tenant
from support.hooks import make_endpoint
from support.web import Web, web_on

EVENT = {
    "title": "Spring Days", "timezone": "Europe/Berlin", "currency": "EUR",
    "starts_at": "2027-06-10T09:00:00+02:00", "ends_at": "2027-06-11T18:00:00+02:00",
}  # fmt: skip
PYDANTICS = re.compile(r"Input should|Field required|valid|Extra inputs|Value error|permitted")


@pytest.fixture
def web(sqlite_database: Database, clock: FakeClock, tmp_path: Path) -> Iterator[Web]:
    with web_on(sqlite_database, clock, tmp_path) as made:
        yield made


@pytest.fixture
def tenant(web: Web) -> Tenant:
    return make_tenant(web.services.database)


@pytest.fixture
def admin(web: Web, tenant: Tenant) -> Program:
    return program(web, tenant, "owner")


WRONG: list[tuple[str, Any, str, str, str]] = [
    ("/events", {}, "/title", "This is missing", "Das fehlt"),
    ("/events", {**EVENT, "more": 1}, "/more", "not known here", "hier nicht bekannt"),
    ("/events", {**EVENT, "title": 7}, "/title", "Give a text, not 7.", "Text an, nicht 7."),
    ("/events", {**EVENT, "title": "x" * 201}, "/title", "at most 200", "höchstens 200"),
    ("/events", {**EVENT, "test_mode": "yes"}, "/test_mode", 'not "yes".', 'nicht "yes".'),
    ("/events", {**EVENT, "capacity": 1.5}, "/capacity", "whole number, not 1.5", "nicht 1.5"),
    ("/events", {**EVENT, "capacity": 0}, "/capacity", "0 is too small", "0 ist zu klein"),
    ("/events", {**EVENT, "starts_at": "soon"}, "/starts_at", '"soon" is no', '"soon" ist'),
    ("/events", {**EVENT, "starts_at": "2027-06-10T09:00:00"}, "/starts_at", "no time zone",
     "keine Zeitzone"),
    ("/events", {**EVENT, "starts_at": "0001-01-01T00:00:00Z"}, "/starts_at", "years 1000",
     "Jahren 1000"),
    ("/events", {**EVENT, "title": "a\u202etxt.exe"}, "/title", "U+202E", "U+202E"),
    ("/events", {**EVENT, "title": "a\u001b[2J"}, "/title", "U+001B", "U+001B"),
    ("/events", [], "/", "Give an object", "Geben Sie ein Objekt"),
    ("/webhook-deliveries/replay", {"statuses": []}, "/statuses", "at least 1", "mindestens 1"),
    ("/webhook-deliveries/replay", {"statuses": "all"}, "/statuses", "Give a list", "Liste"),
    ("/webhook-deliveries/replay", {"statuses": ["sent"]}, "/statuses/0",
     '"sent" is not possible here. Give one of: succeeded, failed, cancelled.',
     '"sent" ist hier nicht möglich.'),
    ("/webhook-deliveries/replay", {"endpoint": "x"}, "/endpoint", "“x” is no name",
     "„x“ ist kein Name"),
    ("/webhook-endpoints", {"url": "https://a.example", "headers": {"X-Key": 777}},
     "/headers/X-Key", "not what was given", "nicht das, was angegeben war"),
]  # fmt: skip
"""Where it is sent, the body, the place that is wrong, words of the sentence in both languages."""


def test_each_thing_wrong_is_said_in_a_sentence(admin: Program) -> None:
    for path, body, where, *sentences in WRONG:
        for language, words in zip(("en", "de"), sentences, strict=True):
            answer = admin.ask("POST", path, body, headers={"Accept-Language": language})
            told = answer.get_json()
            assert (answer.status_code, told["code"]) == (422, "invalid"), told
            found = {each["where"]: each["detail"] for each in told["errors"]}
            assert words in found[where], found
            assert found[where].endswith(".") and not PYDANTICS.search(found[where])


def asked(admin: Program, case: str) -> TestResponse:
    """Return the answer to a request that is no good."""
    one = {"method": "POST", "path": "/events"}
    ways: dict[str, dict[str, Any]] = {
        "broken": {**one, "data": '{"a":', "content_type": "application/json"},
        "empty": {**one, "data": "", "content_type": "application/json"},
        "form": {**one, "data": "a=1", "content_type": "application/x-www-form-urlencoded"},
        "large": {**one, "data": b" " * 300_000, "content_type": "application/json"},
        "upload": {"method": "POST", "path": "/imports", "data": "x", "content_type": "image/png"},
        "address": {"method": "GET", "path": f"/events?q={'x' * 8_000}"},
        "unknown": {"method": "GET", "path": "/nothing/here"},
        "method": {"method": "DELETE", "path": "/events"},
        "options": {"method": "OPTIONS", "path": "/events"},
        "twice": {"method": "GET", "path": "/events?limit=1&limit=2"},
        "key": {**one, "json": EVENT, "headers": {"Idempotency-Key": " "}},
        "host": {"method": "GET", "path": "/events", "headers": {"Host": "evil.example"}},
    }
    return admin.ask(**ways[case])


REFUSED = [
    ("broken", 400, "breaks off at line 1, column"),
    ("empty", 400, "The body is no JSON"),
    ("form", 415, "'application/x-www-form-urlencoded' is not read here. Send applic"),
    ("large", 413, "at most 262144 bytes"),
    ("upload", 415, "'image/png' is not read here. Send text/csv, application/octet"),
    ("address", 414, "at most 8,000 characters"),
    ("unknown", 404, "The address does not exist"),
    ("method", 405, "The header Allow says"),
    ("options", 405, "The header Allow says"),
    ("twice", 422, "This is given twice."),
    ("key", 422, f"Give 1 to {LONGEST_KEY} visible ASCII characters."),
    ("host", 400, "This host name is not ours."),
]


def test_whatever_goes_wrong_below_api_is_a_problem(admin: Program) -> None:
    for case, status, words in REFUSED:
        answer = asked(admin, case)
        kind = "application/problem+json"
        assert (answer.status_code, answer.content_type) == (status, kind), case
        told = answer.get_json()
        assert words in answer.text and told["request_id"] and told["detail"].endswith("."), case


def test_the_root_of_the_api_is_the_api(web: Web) -> None:
    answer = web.anybody().get(V1.rpartition("/")[0])
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")


def test_a_change_that_answers_a_webhook_counts_the_webhooks_before_it(
    web: Web, admin: Program, tenant: Tenant
) -> None:
    """W20: a loop through our own API ends, also where a job stands between."""
    database, depths = web.services.database, web.services.webhooks.depths
    make_endpoint(database, tenant.id)
    now = web.services.clock.now()
    late, foreign = now - GOOD_FOR - timedelta(minutes=1), Depths(Vault(["f" * 48]))
    told = (
        ("", 0),
        (depths.told(tenant.id, 3, now), 3),
        (depths.told(tenant.id, 3, now - GOOD_FOR), 3),
        (depths.told(tenant.id, DEEPEST, now), DEEPEST),
        (depths.told(tenant.id, DEEPEST + 1, now), None),
        # What we have not told this organisation lately hides nothing from its endpoints.
        (depths.told(tenant.id, DEEPEST + 1, late), 0),
        (depths.told(tenant.id + 1, DEEPEST + 1, now), 0),
        (foreign.told(tenant.id, DEEPEST + 1, now), 0),
        (depths.told(tenant.id, 3, now).replace("3", str(DEEPEST + 1), 1), 0),
        (str(DEEPEST + 1), 0),
        ("many", 0),
    )
    for number, (depth, _announced) in enumerate(told):
        body = {**EVENT, "title": f"Days {number}"}
        headers = {"Meet2Be-Webhook-Depth": depth}
        assert admin.ask("POST", "/events", body, headers=headers).status_code == 201
    with database.tenant_session(tenant.id, read_only=True) as session:
        found = session.scalars(select(WebhookEvent.depth).order_by(WebhookEvent.id)).all()
    assert found == [announced for _depth, announced in told if announced is not None]
    with after_webhooks(2):
        assert _context() == {"webhooks": "2"}
    assert _context() == {}, "a plain payload bears nothing of it"
