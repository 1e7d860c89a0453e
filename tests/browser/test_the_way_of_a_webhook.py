"""Webhooks in a real browser: add an endpoint, look at a delivery that failed, send it again."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from meet2be.db import Database
from onqueue.testing.clock import FakeClock
from support.browser import WIDE, chromium, fits_a_phone, log_in, serving
from support.factories import make_event, make_tenant
from support.hooks import announce_and_spread, announcement
from support.receivers import Receiver, in_turn, receiving, status
from support.web import PASSWORD, Web, web_on

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(in_turn(status(400, body=b'{"error":"unknown order"}'), status(200))) as found:
        yield found


@pytest.fixture
def web(sqlite_database: Database, clock: FakeClock, tmp_path: Path) -> Iterator[Web]:
    with web_on(
        sqlite_database, clock, tmp_path, WEBHOOKS_ALLOW_PRIVATE="127.0.0.0/8",
        WEBHOOKS_ALLOW_HTTP="yes", WEBHOOKS_PORTS="any",
    ) as found:  # fmt: skip
        yield found


def is_sound(page: Page, name: str, folder: Path) -> None:
    """Look for what axe finds wrong, and for what sticks out; keep a picture."""
    page.screenshot(path=folder / f"{name}.png", full_page=True)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    fits_a_phone(page)
    wide = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    assert not wide, f"{name}: the page is wider than the window"


@pytest.mark.parametrize("width", [WIDE])
def test_from_the_first_endpoint_to_a_replay(
    browser: Browser, web: Web, receiver: Receiver, tmp_path: Path, width: int
) -> None:
    database = web.services.database
    tenant = make_tenant(database, name="Aurora Conferences")
    make_event(database, tenant, title="Aurora Summit")
    admin = web.person(tenant)
    assert admin.user is not None
    folder = Path(os.environ.get("WEBHOOK_PICTURES", tmp_path))  # noqa: TID251 -- the test run's
    complaints: list[str] = []
    with serving(web.app) as base:
        page = browser.new_context(viewport={"width": width, "height": 900}).new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        log_in(page, base, admin.user.email, PASSWORD)
        page.goto(f"{base}/webhooks")
        is_sound(page, f"empty-{width}", folder)
        page.get_by_role("link", name="Add an endpoint").first.click()
        page.get_by_label("Address", exact=True).fill(receiver.url())
        page.get_by_label("Description").fill("Bookkeeping")
        page.get_by_label("Everything, also what is added later").check()
        is_sound(page, f"form-{width}", folder)
        page.get_by_role("button", name="Add").click()
        page.get_by_text("whsec_").wait_for()
        is_sound(page, f"endpoint-{width}", folder)
        (delivery,) = announce_and_spread(database, tenant.id, announcement())
        web.services.webhooks.deliver(tenant.id, delivery.id)
        page.goto(f"{base}/webhooks/deliveries")
        is_sound(page, f"deliveries-{width}", folder)
        page.get_by_role("link", name="A refund was made").click()
        page.get_by_text("unknown order").wait_for()
        is_sound(page, f"delivery-{width}", folder)
        page.get_by_role("button", name="Send again").click()
        page.get_by_text("This is the new delivery").wait_for()
        page.goto(f"{base}/webhooks/tester")
        is_sound(page, f"tester-{width}", folder)
    assert complaints == []
