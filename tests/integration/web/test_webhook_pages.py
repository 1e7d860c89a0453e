import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import g
from sqlalchemy import select

from meet2be.db import Database
from meet2be.integrations.guarded_urls import Target, target_of
from meet2be.webhooks.models import WebhookDelivery, WebhookEndpoint, WebhookSecret
from meet2be.webhooks.signing import key_of, sign
from onqueue.testing.clock import FakeClock
from support.api import program
from support.factories import make_event, make_tenant
from support.hooks import announce_and_spread, announcement, deliveries_of
from support.receivers import Receiver, in_turn, receiving, status
from support.web import Person, Web, web_on

SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]+")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(in_turn(status(400, body=b"<b>no</b>"), status(200))) as found:
        yield found


@pytest.fixture
def web(sqlite_database: Database, clock: FakeClock, tmp_path: Path) -> Iterator[Web]:
    with web_on(
        sqlite_database, clock, tmp_path, WEBHOOKS_ALLOW_PRIVATE="127.0.0.0/8",
        WEBHOOKS_ALLOW_HTTP="yes", WEBHOOKS_PORTS="any",
    ) as found:  # fmt: skip
        yield found


def endpoint_uid(web: Web, tenant_id: int) -> str:
    with web.services.database.tenant_session(tenant_id) as session:
        return session.scalars(select(WebhookEndpoint.uid)).one()


def add(person: Person, url: str, **fields: str) -> str:
    """Add an endpoint by its form and return the secret that the page shows."""
    answer = person.post("/webhooks/new", url=url, all_types="yes", all_events="yes", **fields)
    assert answer.status_code == 200, answer.text
    found = SECRET.search(answer.text)
    assert found is not None
    return found[0].replace("&#43;", "+")


def test_an_admin_adds_an_endpoint_and_sees_its_secret_once(web: Web, receiver: Receiver) -> None:
    tenant = make_tenant(web.services.database)
    make_event(web.services.database, tenant, title="Aurora")
    admin = web.person(tenant)
    assert "No endpoints yet" in admin.page("/webhooks")
    form = admin.page("/webhooks/new")
    assert "refund.succeeded" in form and "Aurora" in form
    secret = add(admin, receiver.url(), headers="X-Token: sesame-street", description="Books")
    uid = endpoint_uid(web, tenant.id)
    for page in ("/webhooks", f"/webhooks/{uid}", f"/webhooks/{uid}/edit", "/webhooks/deliveries"):
        text = admin.page(page)
        assert secret not in text and "sesame" not in text
    assert "X-Token" in admin.page(f"/webhooks/{uid}/edit")
    rotated = admin.post(f"/webhooks/{uid}/rotate")
    assert SECRET.search(rotated.text) and "Revoke the former one now" in rotated.text
    assert admin.post(f"/webhooks/{uid}/revoke").status_code == 303
    with web.services.database.tenant_session(tenant.id) as session:
        sealed = session.scalars(select(WebhookSecret.secret_enc)).all()
    assert [text is None for text in sealed] == [True, False]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"url": "http://10.0.0.1/x"}, "not on the public network"),
        ({"url": "http://169.254.169.254/latest"}, "not on the public network"),
        ({"url": "ftp://127.0.0.1/"}, "must begin with https://"),
        ({"url": "http://user:secret@127.0.0.1/"}, "user or password"),
        ({"headers": "Host: inner"}, "cannot be set here"),
        ({"headers": "webhook-id: 1"}, "cannot be set here"),
        ({"headers": "Transfer-Encoding: chunked"}, "cannot be set here"),
        ({"headers": "X-Bad: a\u0301"}, "plain characters"),
        ({"headers": "no header"}, "is not a header"),
        ({"all_types": "no"}, "at least one kind"),
        ({"types": "refund.made", "all_types": "no"}, "no event type"),
        ({"all_events": "no"}, "at least one event"),
    ],
)
def test_what_cannot_be_an_endpoint_is_said_in_words(
    web: Web, fields: dict[str, str], why: str
) -> None:
    """W1, W6: refused when it is saved; headers cannot be injected."""
    admin = web.person(make_tenant(web.services.database))
    given = {"url": "http://127.0.0.1:9/", "all_types": "yes", "all_events": "yes", **fields}
    answer = admin.post("/webhooks/new", **given)
    assert (answer.status_code, why in answer.text) == (422, True), answer.text


def test_a_delivery_is_shown_with_its_attempts_and_sent_again(web: Web, receiver: Receiver) -> None:
    database = web.services.database
    tenant = make_tenant(database)
    admin = web.person(tenant)
    add(admin, receiver.url())
    (delivery,) = announce_and_spread(database, tenant.id, announcement())
    web.services.webhooks.deliver(tenant.id, delivery.id)
    page = admin.page(f"/webhooks/deliveries/{delivery.uid}")
    for words in ("HTTP 400", "127.0.0.1", "webhook-signature", "&lt;b&gt;no&lt;/b&gt;"):
        assert words in page
    assert "1 delivery fits" in admin.page("/webhooks/deliveries/replay?status=failed")
    assert "Nothing that fits" in admin.page("/webhooks/deliveries/replay?status=succeeded")
    again = admin.post(f"/webhooks/deliveries/{delivery.uid}/replay")
    assert again.status_code == 303
    replayed = deliveries_of(database, tenant.id)[-1]
    assert again.location == f"/webhooks/deliveries/{replayed.uid}"
    assert admin.post(f"/webhooks/deliveries/{replayed.uid}/cancel").status_code == 303
    listed = admin.page("/webhooks/deliveries?status=cancelled&type=refund.succeeded")
    assert replayed.uid in listed and delivery.uid not in listed
    assert "No delivery matches" in admin.page("/webhooks/deliveries?from=2090-01-01")


def test_pausing_testing_and_deleting(web: Web, receiver: Receiver) -> None:
    database = web.services.database
    tenant = make_tenant(database)
    admin = web.person(tenant)
    add(admin, receiver.url())
    uid = endpoint_uid(web, tenant.id)
    tested = admin.post(f"/webhooks/{uid}/test")
    (delivery,) = deliveries_of(database, tenant.id)
    assert tested.location == f"/webhooks/deliveries/{delivery.uid}"
    assert admin.post(f"/webhooks/{uid}/pause").status_code == 303
    assert "held back" in admin.page(f"/webhooks/{uid}")
    assert (
        "not switched on"
        in admin.client.post(
            f"/webhooks/{uid}/test", data={"csrf_token": admin.token()}, follow_redirects=True
        ).text
    )
    assert admin.post(f"/webhooks/{uid}/on").status_code == 303
    assert admin.post(f"/webhooks/{uid}/delete").status_code == 303
    assert admin.get(f"/webhooks/{uid}").status_code == 404
    with database.tenant_session(tenant.id) as session:
        assert session.scalars(select(WebhookDelivery.status)).all() == ["cancelled"]


def test_the_tester_tells_a_right_signature_from_a_wrong_one(web: Web) -> None:
    admin = web.person(make_tenant(web.services.database))
    secret, body = "whsec_" + "QUJD" * 10, '{"a":\n1}'
    given = {"secret": secret, "id": "e1", "timestamp": "1700000000", "body": body}
    signature = sign([key_of(secret)], "e1", 1_700_000_000, body.encode())
    right = admin.post("/webhooks/tester", signature=f"v1,xxx {signature}", **given)
    assert "The signature is right" in right.text
    wrong = admin.post("/webhooks/tester", signature=signature, **{**given, "body": "{}"})
    assert "The signature is wrong" in wrong.text and secret not in wrong.text
    assert "is wrong" in admin.post("/webhooks/tester", signature="x", **{**given, "id": ""}).text


def test_organisers_have_no_business_here(web: Web) -> None:
    tenant = make_tenant(web.services.database)
    for path in ("/webhooks", "/webhooks/new", "/webhooks/deliveries", "/webhooks/tester"):
        assert web.person(tenant, "organiser").get(path).status_code == 403


def test_the_name_servers_are_asked_before_anything_is_held(
    web: Web, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = make_tenant(web.services.database)
    admin, by_token = web.person(tenant), program(web, tenant)
    http, asked = web.services.webhooks.http, []

    def check(url: str) -> Target:
        session = g.get("write_session")
        asked.append(session is not None and session.in_transaction())
        return target_of(url, http.urls)

    monkeypatch.setattr(http, "check", check)
    add(admin, receiver.url())
    uid, new = endpoint_uid(web, tenant.id), receiver.url("/new")
    wanted = {"url": new, "all_types": "yes", "all_events": "yes"}
    assert admin.post(f"/webhooks/{uid}/edit", **wanted).status_code == 303
    assert by_token.ask("PUT", f"/webhook-endpoints/{uid}", {"url": new}).status_code == 200
    assert by_token.post("/webhook-endpoints", {"url": new}, key="once").status_code == 201
    assert asked == [False] * 4
