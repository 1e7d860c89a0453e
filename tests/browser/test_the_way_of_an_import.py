"""What an organiser does with a list, in a real browser: from the file to taking it back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from meet2be.db import Database
from meet2be.imports.desk import ImportDesk
from onqueue.testing.clock import FakeClock
from support.browser import WIDE, chromium, fits_a_phone, log_in, serving
from support.factories import make_event, make_tenant
from support.importing import Importing
from support.web import PASSWORD, Web, web_on

pytestmark = pytest.mark.browser
MEANT = re.compile(r"status of (422|409|404)")
LIST = (
    "Vorname;Nachname;E-Mail;Firma;Betrag\r\n"
    + "".join(f"Gast{n};Müller;gast{n}@example.org;Firma {n};12,50\r\n" for n in range(30))
    + "Doppelt;Müller;GAST3@example.org;;0\r\n;;;ohne Namen;\r\n"
)


@dataclass
class Visit:
    """A browser at the served pages, and what its console said."""

    rig: Importing
    web: Web
    base: str
    browser: Browser
    email: str
    complaints: list[str] = field(default_factory=list)

    def page(self, width: int) -> Page:
        context = self.browser.new_context(
            viewport={"width": width, "height": 900}, reduced_motion="reduce", locale="en-GB"
        )
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        log_in(page, self.base, self.email, PASSWORD)
        return page

    def _heard(self, message: object) -> None:
        kind, text = message.type, message.text  # type: ignore[attr-defined]
        if kind in {"error", "warning"} and not MEANT.search(text):
            self.complaints.append(f"{kind}: {text}")


@pytest.fixture
def visit(sqlite_database: Database, clock: FakeClock, tmp_path: Path) -> Iterator[Visit]:
    """The pages of an organisation with one event, in a browser."""
    with web_on(sqlite_database, clock, tmp_path) as web:
        tenant = make_tenant(sqlite_database)
        admin = web.person(tenant, "admin", email="admin@example.org")
        assert admin.user is not None
        desk = ImportDesk(sqlite_database, web.services.store, clock)
        event = make_event(sqlite_database, tenant, title="Aurora Summit")
        rig = Importing(sqlite_database, desk, tenant, event, admin.user)
        with serving(web.app) as base, chromium() as browser:
            yield Visit(rig, web, base, browser, admin.user.email)


def look(page: Page, name: str) -> None:
    """Hold the page against the rules of accessibility, and against its width."""
    found = Axe().run(page)
    serious = [each["id"] for each in found.response["violations"]]
    assert not serious, f"{name}: {serious}\n{found.generate_report()}"
    fits_a_phone(page)
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"{name} is {wide} pixels wider than the window"


@pytest.mark.parametrize("width", [WIDE])
def test_a_list_is_uploaded_mapped_checked_written_and_taken_back(
    visit: Visit, tmp_path: Path, width: int
) -> None:
    file = tmp_path / "gäste.csv"
    file.write_bytes(LIST.encode("cp1252"))
    page = visit.page(width)
    page.goto(f"{visit.base}/imports")
    expect(page.get_by_role("heading", name="No imports yet")).to_be_visible()
    look(page, "no imports")
    page.get_by_role("link", name="Import a list").first.click()
    look(page, "new import")
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_role("button", name="Upload").click()

    expect(page.get_by_label("Encoding")).to_have_value("cp1252")
    look(page, "layout")
    page.get_by_label("Columns are separated by").select_option("|")
    expect(page.locator("#preview th[scope=col]")).to_have_count(2)
    page.get_by_label("Columns are separated by").select_option(";")
    expect(page.get_by_role("cell", name="Müller").first).to_be_visible()
    page.get_by_role("button", name="Continue to the columns").click()

    expect(page.get_by_label("Column for First name")).to_have_value("0")
    look(page, "mapping")
    page.get_by_role("button", name="Check all rows").click()
    expect(page.get_by_role("heading", name="The list is being read")).to_be_visible()
    uid = page.url.rsplit("/", 1)[-1]
    look(page, "being read")
    visit.rig.check(uid)
    expect(page.get_by_role("button", name="Import 30 rows")).to_be_visible()
    expect(page.get_by_text("repeats row 5: the same address.")).to_be_visible()
    look(page, "checked")
    page.get_by_role("button", name="Import 30 rows").click()
    expect(page.get_by_role("heading", name="The rows are being written")).to_be_visible()
    look(page, "being written")
    visit.rig.work(uid, "write")
    expect(page.get_by_role("heading", name="The import is done")).to_be_visible()
    look(page, "done")
    page.locator("summary", has_text="Undo").click()
    page.get_by_label("I am sure").check()
    page.get_by_role("button", name="Undo the import").click()
    visit.rig.work(uid, "undo")
    expect(page.get_by_role("heading", name="The import was taken back")).to_be_visible()
    page.goto(f"{visit.base}/imports")
    look(page, "imports")
    assert visit.rig.count() == 0
    assert not visit.complaints
