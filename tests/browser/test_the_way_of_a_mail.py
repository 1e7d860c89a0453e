"""What an administrator does with mails and notices, in a real browser, wide and narrow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from meet2be.db import Database
from meet2be.mailings.models import Mail
from meet2be.mailings.services import MailDraft, enqueue
from meet2be.notifications.services import Notice, notify
from meet2be.tenancy.models import Tenant
from onqueue.testing.clock import FakeClock
from support.browser import WIDE, chromium, fits_a_phone, log_in, serving
from support.factories import make_tenant
from support.mail_jobs import REFUND, SENDER
from support.web import PASSWORD, web_on

pytestmark = pytest.mark.browser
MEANT = re.compile(r"status of (422|409|404)")


@dataclass
class Visit:
    """A browser at the served pages, and what its console said."""

    base: str
    browser: Browser
    mails: dict[str, str]
    complaints: list[str] = field(default_factory=list)

    def page(self, width: int) -> Page:
        context = self.browser.new_context(
            viewport={"width": width, "height": 900}, reduced_motion="reduce", locale="en-GB"
        )
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        log_in(page, self.base, "admin@example.org", PASSWORD)
        return page

    def _heard(self, message: object) -> None:
        kind, text = message.type, message.text  # type: ignore[attr-defined]
        if kind in {"error", "warning"} and not MEANT.search(text):
            self.complaints.append(f"{kind}: {text}")


def written(database: Database, tenant: Tenant, key: str, **fields: object) -> str:
    draft = MailDraft(
        tenant_id=tenant.id, kind="refund_made", template="refund_made", locale="en-GB",
        to_addr=f"{key}@firma.example", dedupe_key=key, context=REFUND, sender=SENDER,
    )  # fmt: skip
    with database.tenant_session(tenant.id) as session:
        mail = session.get_one(Mail, enqueue(session, draft, database.clock.now()).mail_id)
        for name, value in fields.items():
            setattr(mail, name, value)
        session.commit()
        return mail.uid


@pytest.fixture
def visit(sqlite_database: Database, clock: FakeClock, tmp_path: Path) -> Iterator[Visit]:
    """The pages of an organisation with some mails, in a browser."""
    with web_on(sqlite_database, clock, tmp_path) as web:
        tenant = make_tenant(sqlite_database, name="Aurora Conferences")
        admin = web.person(tenant, "admin", email="admin@example.org").user
        assert admin is not None
        until = clock.now() + timedelta(minutes=41)
        mails = {
            "waits": written(sqlite_database, tenant, "ada", status="limited", next_at=until),
            "sent": written(sqlite_database, tenant, "kurt", status="sent", sent_at=clock.now()),
            "back": written(
                sqlite_database, tenant, "gone", status="bounced", last_error="550 no such user"
            ),
        }
        with sqlite_database.tenant_session(tenant.id) as session:
            notice = Notice("export.ready", "success", "Your export is ready", "12 rows", "n1")
            notify(session, tenant.id, [admin.id], notice, clock.now())
            session.commit()
        with serving(web.app) as base, chromium() as browser:
            yield Visit(base, browser, mails)


def looks_right(page: Page) -> None:
    """Check what a page owes everybody: no barrier, nothing wider than the screen."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    fits_a_phone(page)
    width = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert width <= 0, f"{page.url} is {width} px too wide"


@pytest.mark.parametrize("width", [WIDE])
def test_an_administrator_looks_after_mails(visit: Visit, width: int) -> None:
    page = visit.page(width)
    pictures = Path("var/pictures")
    steps = 0

    def seen(address: str | None = None) -> None:
        nonlocal steps
        if address is not None:
            page.goto(f"{visit.base}{address}")
        looks_right(page)
        if pictures.is_dir():
            page.screenshot(path=pictures / f"mail-{width}-{steps}.png", full_page=True)
        steps += 1

    seen("/mail")
    page.get_by_label("State").select_option("limited")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("table")).to_contain_text("ada@firma.example")
    expect(page.get_by_role("table")).not_to_contain_text("kurt@firma.example")
    seen(f"/mail/{visit.mails['waits']}")
    expect(page.get_by_text("Waits for a free slot at")).to_be_visible()
    page.get_by_role("button", name="Withdraw").click()
    expect(page.get_by_text("will not leave")).to_be_visible()
    seen(f"/mail/{visit.mails['sent']}")
    page.get_by_role("button", name="Send a copy").click()
    expect(page.get_by_text("A copy is queued.")).to_be_visible()
    seen("/mail/templates")
    page.get_by_role("link", name=re.compile("A refund was made, English")).click()
    seen()
    page.get_by_role("textbox", name="Text", exact=True).fill("Dear {{ nmae }},")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("alert")).to_contain_text("'nmae' is not known here")
    page.get_by_role("textbox", name="Text", exact=True).fill(
        "Dear {{ name }},\n\nhttps://aurora.example"
    )
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name="Preview with sample values")).to_be_visible()
    seen()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("own text, version 1")).to_be_visible()
    seen("/mail/suppressions")
    page.get_by_label("Addresses, one a line").fill("a@firma.example\nb@firma.example\nnonsense")
    page.get_by_role("button", name="Add all").click()
    expect(page.get_by_text("2 addresses added")).to_be_visible()
    seen()
    seen("/notifications")
    seen("/notifications/preferences")
    page.get_by_role("checkbox", name="Your export is ready: By mail").uncheck()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("It holds for notices from now on.")).to_be_visible()
    seen("/notifications/channels")
    assert visit.complaints == []
