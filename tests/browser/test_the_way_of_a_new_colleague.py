"""How somebody joins: invited by an admin, in with a password of their own, later in German."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from meet2be.db import Database
from onqueue.testing.clock import FakeClock
from support.browser import WIDE, chromium, fits_a_phone, log_in, serving
from support.house import NEW, House, housed
from support.mailed import link_in
from support.web import PASSWORD

pytestmark = pytest.mark.browser


@pytest.fixture
def house(sqlite_database: Database, clock: FakeClock, tmp_path: Path) -> Iterator[House]:
    with housed(sqlite_database, clock, tmp_path) as made:
        yield made


def visitor(browser: Browser, width: int, complaints: list[str]) -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, reduced_motion="reduce", locale="en-GB"
    )
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page


def look(page: Page, name: str) -> None:
    """Hold the page against the rules of accessibility, and against its width."""
    found = Axe().run(page)
    serious = [each["id"] for each in found.response["violations"]]
    assert not serious, f"{name}: {serious}\n{found.generate_report()}"
    fits_a_phone(page)
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.viewport_size["width"], f"{name} is {width} wide"  # type: ignore[index]


@pytest.mark.parametrize("width", [WIDE])
def test_somebody_is_invited_joins_and_logs_in_in_german(house: House, width: int) -> None:
    complaints: list[str] = []
    with serving(house.web.app) as base, chromium() as browser:
        admin = visitor(browser, width, complaints)
        log_in(admin, base, "ada@example.org", PASSWORD)
        admin.goto(f"{base}/settings/members")
        look(admin, "members")
        admin.get_by_label("E-mail address").fill("nora@example.org")
        admin.get_by_label("Language of the mail").select_option("de")
        admin.get_by_role("button", name="Send the invitation").click()
        expect(admin.get_by_role("heading", name="Open invitations")).to_be_visible()
        look(admin, "members with an invitation")

        nora = visitor(browser, width, complaints)
        nora.goto(base + link_in(house.database, "invitation"))
        expect(nora.get_by_role("heading", name="Aurora beitreten")).to_be_visible()
        look(nora, "invitation")
        nora.get_by_label("Ihr Name").fill("Nora Neu")
        nora.get_by_label("Neues Passwort", exact=True).fill(NEW)
        nora.get_by_label("Neues Passwort, noch einmal").fill(NEW)
        nora.get_by_role("button", name="Einladung annehmen").click()
        expect(nora.get_by_text("Willkommen bei Aurora.")).to_be_visible()
        nora.context.clear_cookies()

        nora.goto(f"{base}/login")
        nora.locator("#email").fill("nora@example.org")
        nora.locator("#password").fill(NEW)
        nora.locator("button.primary").click()
        nora.wait_for_url(f"{base}/events")
        expect(nora.locator("html")).to_have_attribute("lang", "de")
        nora.goto(f"{base}/account")
        expect(nora.get_by_role("heading", name="Ihr Konto")).to_be_visible()
        look(nora, "account")
        for path in ("/settings", "/settings/sender", "/settings/limits", "/audit"):
            admin.goto(base + path)
            look(admin, path)
        for path in ("/signup", "/password"):
            nora.context.clear_cookies()
            nora.goto(base + path)
            look(nora, path)
    assert not complaints
