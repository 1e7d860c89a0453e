"""A ticket is bought on a phone and at a desk, and the organiser sees it: in a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from meet2be.db import Database
from meet2be.figures.computing import compute_tx
from meet2be.orders.models import Order
from onqueue.testing.clock import FakeClock
from simulators.processes import ProviderProcess
from support.browser import NARROW, WIDE, chromium, log_in, serving
from support.cancelling import running_provider
from support.ordering import Shop
from support.stage import staged
from support.web import PASSWORD

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProviderProcess]:
    """A simulated provider for these tests."""
    with running_provider(tmp_path_factory.mktemp("provider")) as process:
        yield process


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for these tests."""
    with chromium() as started:
        yield started


def accessible(page: Page) -> None:
    """Have axe look at the page."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def looked_at(page: Page, folder: Path, name: str) -> None:
    """Check a page at both widths and keep a picture of each."""
    for width in (NARROW, WIDE):
        page.set_viewport_size({"width": width, "height": 900})
        accessible(page)
        page.screenshot(path=folder / f"{name}-{width}.png", full_page=True)


def turned_back_and_pressed_again(page: Page, client_key: str) -> None:
    """Go back to the order, and to its form, and press the same button again."""
    expect(page.get_by_role("heading", name="Pay 84.00 EUR")).to_be_visible()  # led there
    page.go_back()
    expect(page.get_by_role("link", name="Go to the payment page")).to_be_visible()  # and left here
    page.go_back()
    page.locator("[name=client_key]").evaluate("(field, key) => field.value = key", client_key)
    page.get_by_role("button", name="Order and pay").click()  # the page to pay on is there already


def paid_on_the_providers_page(page: Page, folder: Path) -> None:
    """Try a card that is declined, turn back, come again and confirm with the bank."""
    expect(page.get_by_role("heading", name="Pay 84.00 EUR")).to_be_visible()  # led there
    looked_at(page, folder, "provider")
    page.get_by_role("button", name="declined").click()
    expect(page.get_by_role("alert")).to_contain_text("declined")
    page.get_by_role("link", name="Back to the shop").click()
    expect(page.get_by_text("Your tickets wait for your payment")).to_be_visible()
    looked_at(page, folder, "turned-back")
    page.get_by_role("link", name="Go to the payment page").click()
    page.get_by_role("button", name="asks to confirm").click()
    page.get_by_role("button", name="Yes, pay").click()
    expect(page.get_by_text("We are waiting for your bank")).to_be_visible()
    looked_at(page, folder, "waiting")


def test_a_ticket_is_bought_and_the_organiser_sees_it(
    sqlite_database: Database,
    clock: FakeClock,
    provider: ProviderProcess,
    browser: Browser,
    tmp_path: Path,
) -> None:
    complaints: list[str] = []
    with staged(sqlite_database, clock, provider, tmp_path) as stage, serving(stage.web.app) as url:
        shop = Shop(stage.conference, base_url=url)
        shop.ticket(name="Early bird", quota=3)
        made = stage.conference
        context = browser.new_context(viewport={"width": NARROW, "height": 900}, locale="en-GB")
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text)
                if message.type in {"error", "warning"} else None)  # fmt: skip
        page.goto(f"{url}/t/{made.tenant.slug}/{made.event.slug}")
        looked_at(page, tmp_path, "offer")
        page.get_by_label("Number of tickets “Early bird”").select_option("2")
        page.get_by_role("button", name="Continue").click()
        page.get_by_label("Who comes?").nth(0).fill("Ada Arden")
        page.get_by_label("Who comes?").nth(1).fill("Abe Arden")
        page.get_by_label("Your name").fill("Bea Buyer")
        page.get_by_label("Your e-mail address").fill("bea@example.org")
        looked_at(page, tmp_path, "form")
        page.get_by_role("button", name="Order and pay").click()
        expect(page.get_by_text("being completed")).to_be_visible()
        looked_at(page, tmp_path, "working")
        (order,) = shop.of.rows(Order, Order.client_key.is_not(None))
        shop.run(order)
        turned_back_and_pressed_again(page, order.client_key or "")
        paid_on_the_providers_page(page, tmp_path)
        shop.run(order)
        expect(page.get_by_text("Your order is complete")).to_be_visible()  # by itself
        looked_at(page, tmp_path, "complete")
        compute_tx(made.database, made.tenant.id, made.event.uid, clock.now())
        assert stage.admin.user is not None
        log_in(page, url, stage.admin.user.email, PASSWORD)
        page.goto(f"{url}/orders")
        looked_at(page, tmp_path, "orders")
        page.get_by_role("link", name=order.code).click()
        expect(page.get_by_role("heading", name=f"Order {order.code}")).to_be_visible()
        expect(page.get_by_label("Ada Arden")).to_be_visible()
        looked_at(page, tmp_path, "order")
        page.goto(f"{url}/events/{made.event.uid}/figures")
        expect(page.get_by_role("img", name=re.compile("Tickets sold over time"))).to_be_visible()
        looked_at(page, tmp_path, "figures")
        context.close()
    assert complaints == []
