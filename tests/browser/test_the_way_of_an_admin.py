"""What an administrator does, in a real browser: from the log-in to the last mail."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from meet2be.db import Database
from meet2be.events.models import TicketType
from meet2be.mailings.models import Mail
from meet2be.mailings.outcomes import Outcome
from onqueue.testing.clock import FakeClock
from simulators.processes import ProviderProcess
from support.browser import WIDE, chromium, fits_a_phone, log_in, serving
from support.cancelling import running_provider
from support.stage import Stage, staged
from support.web import PASSWORD

pytestmark = pytest.mark.browser
NAME = "Aurora Summit"
# What Chromium itself says about an answer that is meant: the pages show it.
MEANT = re.compile(r"status of (422|409|404)")


@dataclass
class Visit:
    """A browser at the served stage, and what its console said."""

    stage: Stage
    base: str
    browser: Browser
    complaints: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    def page(self, width: int = WIDE, **options: object) -> Page:
        """Return an administrator's page, logged in."""
        context = self.browser.new_context(
            viewport={"width": width, "height": 900},
            reduced_motion="reduce",
            **options,  # type: ignore[arg-type]
        )
        context.set_default_timeout(60_000)
        self.contexts.append(context)
        page = context.new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        assert self.stage.admin.user is not None
        log_in(page, self.base, self.stage.admin.user.email, PASSWORD)
        return page

    def _heard(self, message: object) -> None:
        kind, text = message.type, message.text  # type: ignore[attr-defined]
        if kind in {"error", "warning"} and not MEANT.search(text):
            self.complaints.append(f"{kind}: {text}")

    def mails_leave(self) -> None:
        """Let every mail that waits be sent."""
        made = self.stage.conference
        recorder = self.stage.web.services.deliveries.recorder
        with made.database.tenant_session(made.tenant.id) as session:
            for mail in session.query(Mail).filter(Mail.status == "queued"):
                recorder.record(session, mail, Outcome("sent", "250 accepted"), made.clock.now())
            session.commit()


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProviderProcess]:
    """A simulated provider for these tests."""
    with running_provider(tmp_path_factory.mktemp("provider")) as process:
        yield process


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for these tests; each page has a profile of its own."""
    with chromium() as started:
        yield started


@pytest.fixture
def visit(
    sqlite_database: Database,
    clock: FakeClock,
    provider: ProviderProcess,
    browser: Browser,
    tmp_path: Path,
) -> Iterator[Visit]:
    """A visit whose console must have stayed silent."""
    with staged(sqlite_database, clock, provider, tmp_path) as stage, serving(stage.web.app) as url:
        visit = Visit(stage, url, browser)
        yield visit
        for context in visit.contexts:
            context.close()
        assert visit.complaints == []


def confirm(visit: Visit, page: Page) -> None:
    """Go the whole way from the list of events to the run."""
    page.get_by_role("link", name=NAME).click()
    page.get_by_role("link", name="Cancel this event").click()
    page.get_by_role("button", name="Show the preview").click()
    page.get_by_label("Type the event's name").fill(NAME)
    page.get_by_role("button", name="Cancel the event now").click()
    page.wait_for_url(re.compile(r"/cancellations/\w+$"))
    visit.stage.conference.run_uid = page.url.rsplit("/", 1)[1]


def test_an_admin_cancels_and_watches_it_to_the_end_without_touching_the_page(
    visit: Visit,
) -> None:
    page, made = visit.page(), visit.stage.conference
    confirm(visit, page)
    expect(page.get_by_role("heading", name="0 % done")).to_be_visible()
    made.work(0, chunks=1)
    made.work(1, chunks=1)
    expect(page.locator("#progress h2")).not_to_have_text("0 % done")
    expect(page).to_have_title(re.compile(r"^[1-9]\d* % · Aurora Summit"))
    made.finish()
    expect(page.locator(".pagehead .badge")).to_have_text("done")
    expect(page.get_by_text("Refunds are through, mails are going out")).to_be_visible()
    visit.mails_leave()
    expect(page.get_by_text("Everything that could be done is done")).to_be_visible()
    expect(page.locator("#spoken")).to_have_text("The cancellation is done.")
    polls: list[str] = []
    page.on("request", lambda request: polls.append(request.url))
    page.wait_for_timeout(2_500)
    assert polls == []


def test_a_reload_shows_the_same_figures(visit: Visit) -> None:
    page = visit.page()
    confirm(visit, page)
    visit.stage.conference.work(0, chunks=1)
    page.reload()
    before = page.locator("#track-refund + span .of").inner_text()
    page.reload()
    assert page.locator("#track-refund + span .of").inner_text() == before != "0 of 8"


def test_the_way_works_without_javascript(visit: Visit) -> None:
    page = visit.page(java_script_enabled=False)
    confirm(visit, page)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Somebody paused this cancellation")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()


def test_the_way_works_with_the_keyboard_alone(visit: Visit) -> None:
    page = visit.page()
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.goto(f"{visit.base}{visit.stage.event_path}/cancel")
    page.get_by_label("Nothing, everybody gets the full price back").focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("The same amount of each ticket")).to_be_checked()
    page.get_by_label("Amount kept of each ticket").focus()
    page.keyboard.type("10.00")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/preview$"))
    expect(page.get_by_text("€10.00 of each ticket")).to_be_visible()
    page.get_by_label("Type the event's name").focus()
    page.keyboard.type(NAME)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/cancellations/\w+$"))
    page.locator("summary", has_text="Abort").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("I am sure")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_label("I am sure")).to_be_hidden()


def test_a_wrong_name_is_told_beside_its_field(visit: Visit) -> None:
    page = visit.page()
    page.goto(f"{visit.base}{visit.stage.event_path}/cancel")
    page.get_by_role("button", name="Show the preview").click()
    page.get_by_label("Type the event's name").fill("Aurora")
    page.get_by_role("button", name="Cancel the event now").click()
    expect(page.locator("#event_name-problem")).to_contain_text("Type exactly 'Aurora Summit'")


def test_typing_for_long_keeps_one_logged_in(visit: Visit, clock: FakeClock) -> None:
    page = visit.page()
    page.clock.install()
    page.goto(f"{visit.base}{visit.stage.event_path}/edit")
    for title in ("Aurora", "Aurora Summit 2"):  # together it takes longer than a log-in lasts idle
        clock.advance(18 * 60)
        page.clock.fast_forward(18 * 60_000)
        with page.expect_response("**/account/here") as told:
            page.get_by_label("Title").fill(title)
        assert told.value.status == 204
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Aurora Summit 2")).to_be_visible()


def test_a_search_shows_who_fits_while_one_types(visit: Visit) -> None:
    page = visit.page()
    page.goto(f"{visit.base}{visit.stage.event_path}/attendees")
    page.get_by_label("Search").press_sequentially("arden")
    expect(page.locator("#found")).to_have_text(re.compile("2\\s+attendees"))
    expect(page).to_have_url(re.compile("q=arden"))
    expect(page.get_by_label("Search")).to_be_focused()


def test_the_abort_ends_it_after_its_question(visit: Visit) -> None:
    page = visit.page()
    confirm(visit, page)
    page.locator("summary", has_text="Abort").click()
    page.get_by_label("I am sure").check()
    page.get_by_role("button", name="Abort the cancellation").click()
    expect(page.get_by_text("No further refunds begin.")).to_be_visible()


@pytest.mark.parametrize("width", [WIDE])
def test_no_page_is_wider_than_the_screen_or_breaks_a_rule_of_accessibility(
    visit: Visit, width: int
) -> None:
    made = visit.stage.conference
    planned = made.preview()
    page = visit.page(width)
    pages = [visit.stage.event_path, f"{visit.stage.event_path}/cancel",
             f"/cancellations/{planned.uid}/preview", f"{visit.stage.event_path}/tickets",
             f"{visit.stage.event_path}/edit", f"/ticket-types/{made.rows(TicketType)[0].uid}",
             "/settings/warehouse", "/settings/postage"]  # fmt: skip
    check_all(page, visit.base, pages)
    made.confirm(planned)
    made.work(0, chunks=1)
    made.work(1, chunks=1)
    pages = ["/events", f"{visit.stage.event_path}/attendees", visit.stage.run_path,
             f"/attendees/{made.orders[0].attendee.uid}", "/cancellations", "/refunds",
             f"/refunds/{made.refunds()[0].uid}", "/mail", f"/mail/{made.mails()[0].uid}",
             "/notifications", "/audit"]  # fmt: skip
    check_all(page, visit.base, pages)


# In the dark only colours differ, and with them what axe says about colours.
SCHEMES: tuple[tuple[Literal["light", "dark"], dict[str, object]], ...] = (
    ("light", {}),
    ("dark", {"runOnly": ["color-contrast", "link-in-text-block"]}),
)


def check_all(page: Page, base: str, paths: list[str]) -> None:
    """Look at each page, light and dark: no sideways scrolling, nothing that axe finds."""
    for path in paths:
        page.goto(f"{base}{path}")
        fits_a_phone(page)
        for scheme, rules in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
            assert not wide, f"{path} is wider than the screen"
            options = {"resultTypes": ["violations"], **rules}
            found = Axe().run(page, options=options).response["violations"]
            told = [(one["id"], [node["html"][:120] for node in one["nodes"][:3]]) for one in found]
            assert told == [], f"{path}, {scheme}"
