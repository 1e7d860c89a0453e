"""The pages in German on a phone: long words, and nothing is wider than the screen."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from meet2be.db import Database
from meet2be.payments.models import Refund
from onqueue.testing.clock import FakeClock
from support.browser import NARROW, chromium, serving
from support.cancelling import running_provider
from support.stage import Stage, staged
from support.web import PASSWORD

pytestmark = pytest.mark.browser
WIDER = """() => [...document.querySelectorAll("body *")]
  .filter((each) => !each.closest(".tabs, .tablewrap, .visually-hidden, .skip, .menu, .panel"))
  .filter((each) => each.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map((each) => each.outerHTML.slice(0, 120))"""


@pytest.fixture
def stage(sqlite_database: Database, clock: FakeClock, tmp_path: Path) -> Iterator[Stage]:
    """A conference with a provider of its own."""
    with (
        running_provider(tmp_path / "provider") as provider,
        staged(sqlite_database, clock, provider, tmp_path) as made,
    ):
        yield made


def look(page: Page, address: str) -> None:
    """Open a page; nothing of it may stick out."""
    page.goto(address)
    assert page.evaluate(WIDER) == [], address
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= NARROW, f"{address} is {width} pixels wide"


def test_nothing_is_wider_than_a_phone_in_german(stage: Stage) -> None:
    made = stage.conference
    person = stage.web.person(made.tenant, locale="de-DE", name="Grete Beispiel")
    assert person.user is not None
    with serving(stage.web.app) as base, chromium() as browser:
        page = browser.new_page(
            viewport={"width": NARROW, "height": 900}, locale="de-DE", reduced_motion="reduce"
        )
        page.set_default_timeout(60_000)
        look(page, f"{base}/login")
        page.get_by_label("E-Mail-Adresse").fill(person.user.email)
        page.get_by_label("Passwort").fill(PASSWORD)
        page.get_by_role("button", name="Anmelden").click()
        page.wait_for_url(f"{base}/events")
        run = made.preview()
        event = stage.event_path
        for path in ("/events", event, f"{event}/attendees", f"{event}/cancel"):
            look(page, base + path)
        page.goto(base + event)
        page.locator(".tabs.more-after").wait_for()
        page.locator(".tabs").evaluate("(bar) => { bar.scrollLeft = bar.scrollWidth; }")
        page.locator(".tabs.more-before:not(.more-after)").wait_for()
        page.locator(".areas > summary").click()
        assert Axe().run(page).violations_count == 0
        page.get_by_role("link", name="Absagen", exact=True).click()
        page.wait_for_url(f"{base}/cancellations")
        look(page, f"{base}/cancellations/{run.uid}/preview")
        made.confirm(run)
        made.work(0, chunks=1)
        look(page, base + stage.run_path)
        page.locator(".usermenu > summary").click()
        assert Axe().run(page).violations_count == 0
        made.finish()
        refund = made.rows(Refund)[0].uid
        for path in (stage.run_path, "/cancellations", "/refunds", f"/refunds/{refund}", "/mail",
                     "/notifications", "/audit"):  # fmt: skip
            look(page, base + path)
