"""What an organiser does with a list of attendees, in a real browser: from the view to the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select

from meet2be.db import Database
from meet2be.exports.models import Export
from meet2be.exports.running import run_export
from onqueue.testing.clock import FakeClock
from support.browser import WIDE, chromium, fits_a_phone, log_in, serving
from support.exporting import Control, Exporting
from support.factories import make_event, make_tenant
from support.web import PASSWORD, Web, web_on

pytestmark = pytest.mark.browser
MEANT = re.compile(r"status of (422|404)")


@dataclass
class Visit:
    """A browser at the served pages, and what its console said."""

    desk: Exporting
    web: Web
    base: str
    browser: Browser
    email: str
    pictures: Path
    complaints: list[str] = field(default_factory=list)

    def page(self, width: int, locale: str) -> Page:
        context = self.browser.new_context(
            viewport={"width": width, "height": 900}, reduced_motion="reduce", locale=locale
        )
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        log_in(page, self.base, self.email, PASSWORD)
        return page

    def make(self) -> None:
        """Do what a worker does with the newest export."""
        with self.desk.database.tenant_session(self.desk.tenant.id, read_only=True) as session:
            uid = session.scalars(select(Export.uid).order_by(Export.id.desc())).first()
        run_export(self.desk.counter, self.desk.tenant.id, str(uid), Control())

    def _heard(self, message: object) -> None:
        kind, text = message.type, message.text  # type: ignore[attr-defined]
        if kind in {"error", "warning"} and not MEANT.search(text):
            self.complaints.append(f"{kind}: {text}")


@pytest.fixture
def visit(sqlite_database: Database, clock: FakeClock, tmp_path: Path) -> Iterator[Visit]:
    """The pages of an organisation with one event, in a browser."""
    with web_on(sqlite_database, clock, tmp_path) as web:
        tenant = make_tenant(sqlite_database)
        person = web.person(tenant, "organiser", email="organiser@example.org")
        assert person.user is not None
        event = make_event(sqlite_database, tenant, title="Aurora Summit")
        desk = Exporting(web.services.exports, tenant, event, person.user.id)
        desk.sell("Ada Arden", "Bea Müller", "Cy Arden", "日本語 太郎")
        with serving(web.app) as base, chromium() as browser:
            yield Visit(desk, web, base, browser, person.user.email, tmp_path)


def look(visit: Visit, page: Page, name: str) -> None:
    """Hold the page against the rules of accessibility, and against its width."""
    page.screenshot(path=visit.pictures / f"{name}.png", full_page=True)
    found = Axe().run(page)
    serious = [each["id"] for each in found.response["violations"]]
    assert not serious, f"{name}: {serious}\n{found.generate_report()}"
    fits_a_phone(page)
    wide = page.evaluate(
        "[...document.querySelectorAll('main *')].filter(one => !one.closest('.tablewrap')"
        " && one.getBoundingClientRect().right > innerWidth + 1)"
        ".map(one => one.outerHTML.slice(0, 80))"
    )
    assert not wide, f"{name} is wider than the window: {wide}"


@pytest.mark.parametrize("width", [WIDE])
def test_a_view_becomes_a_file_that_is_watched_fetched_and_comes_again(
    visit: Visit, width: int
) -> None:
    page = visit.page(width, "en-GB")
    page.goto(f"{visit.base}/exports")
    expect(page.get_by_role("heading", name="No exports yet")).to_be_visible()
    look(visit, page, f"empty-{width}")
    page.goto(f"{visit.base}/events/{visit.desk.event.uid}/attendees?q=Arden")
    page.get_by_role("link", name="Export this view").click()
    expect(page.get_by_role("heading", name="New export")).to_be_visible()
    expect(page.get_by_text("2 attendees fit at the moment.")).to_be_visible()
    page.get_by_role("radio", name=re.compile("CSV")).check()
    page.get_by_role("button", name="Email: up", exact=True).click()
    page.get_by_text("Repeat on a schedule").first.click()
    look(visit, page, f"new-{width}")
    page.get_by_role("button", name="Start the export").last.click()
    expect(page.get_by_role("heading", name="A worker begins in a moment")).to_be_visible()
    look(visit, page, f"waiting-{width}")
    visit.make()
    expect(page.get_by_role("heading", name="The file is ready")).to_be_visible()
    look(visit, page, f"ready-{width}")
    with page.expect_download() as caught:
        page.get_by_role("link", name=re.compile("Download")).click()
    lines = Path(caught.value.path()).read_text("utf-8-sig").splitlines()
    assert caught.value.suggested_filename.startswith("Aurora Summit")
    assert lines[0].startswith("Email,Name,Company")
    assert len(lines) == 3
    page.goto(f"{visit.base}/exports")
    look(visit, page, f"list-{width}")
    page.goto(f"{visit.base}/events/{visit.desk.event.uid}/export")
    page.get_by_text("Repeat on a schedule").first.click()
    page.get_by_label("Name", exact=True).last.fill("For the caterer")
    page.get_by_role("button", name="Repeat on a schedule").click()
    expect(page.get_by_role("link", name="For the caterer")).to_be_visible()
    look(visit, page, f"schedules-{width}")
    page.get_by_role("button", name=re.compile("Pause")).click()
    expect(page.get_by_text("paused").last).to_be_visible()
    assert visit.complaints == []
