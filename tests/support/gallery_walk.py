"""Every page there is, with the people who see it: what ``python -m support.gallery`` takes.

Pages that need no more than an address are told by it; those that come of doing something (a form
with errors, a link out of a mail) have a step each. Routes without a picture are told at the end.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page
from sqlalchemy import select, update
from werkzeug.exceptions import HTTPException

from meet2be.accounts.models import User
from meet2be.attendees.models import Attendee
from meet2be.events.models import Event
from meet2be.exports.models import Export, ExportSchedule
from meet2be.exports.spec import usual_spec
from meet2be.local.seeding import BOREALIS, DEMO_PASSWORD, SECOND_EVENT
from meet2be.mailings.models import Mail
from meet2be.mailings.unsubscribing import Leaving, token
from meet2be.orders.models import Order
from meet2be.payments.models import Refund
from meet2be.tenancy.models import Tenant
from meet2be.webhooks.models import WebhookEndpoint
from simulators.processes import ProviderProcess
from support.browser import NARROW, WIDE, chromium, log_in
from support.cancelling import Conference, running_provider, stripe_of
from support.gallery import Gallery, opened
from support.inviting import Inviting
from support.mailed import link_in
from support.stage import fill

ADMIN, VIEWER = "admin@aurora.example", "viewer@aurora.example"
EMPTY, OPERATOR = "admin@borealis.example", "operator@meet2be.example"
NO_PAGES = ("api.", "static", "health.", "hooks.")
"""What answers programs, by how its endpoint begins."""

TALLEST = 6000.0


@dataclass
class Walk:
    """One way through all pages, at one width; ``seen`` are the routes that were pictured."""

    gallery: Gallery
    browser: Browser
    folder: Path
    width: int
    language: str
    scheme: str
    seen: set[str] = field(default_factory=set)

    @contextmanager
    def visitor(self, email: str = "") -> Iterator[Page]:
        """Yield a page of somebody, logged in if they have an address."""
        context = self.browser.new_context(
            viewport={"width": self.width, "height": 900},
            color_scheme=self.scheme,  # type: ignore[arg-type]
            reduced_motion="reduce",
            locale={"en": "en-GB", "de": "de-DE"}[self.language],
        )
        page = context.new_page()
        page.set_default_timeout(20_000)
        if email:
            log_in_in_english(page, self.gallery.base, email)
            self._speak(page)
        yield page
        context.close()

    def _speak(self, page: Page) -> None:
        page.locator(".usermenu > summary").click()
        button = page.locator(f".usermenu .languages button[lang={self.language}]")
        if button.count():
            button.click()
            page.wait_for_load_state()

    def take(self, page: Page, name: str) -> None:
        """Write the picture of what the page shows."""
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if wide > 0:
            sys.stderr.write(f"{name} is {wide} px wider than {self.width} px\n")
        page.screenshot(
            path=self.folder / f"{name}-{self.width}.png",
            full_page=True,
            clip={"x": 0, "y": 0, "width": self.width, "height": self._height(page)},
        )
        self._note(page.url)

    def _height(self, page: Page) -> float:
        """Return how much of a page is taken: lists of everything have no end."""
        return min(TALLEST, float(page.evaluate("document.documentElement.scrollHeight")))

    def see(self, page: Page, name: str, path: str) -> None:
        """Go to a page and take its picture."""
        page.goto(self.gallery.base + path)
        self.take(page, name)

    def _note(self, url: str) -> None:
        path = url.removeprefix(self.gallery.base).partition("?")[0]
        try:
            endpoint, _values = self.gallery.app.url_map.bind("127.0.0.1").match(path)
        except HTTPException:
            return
        self.seen.add(endpoint)

    def go(self) -> None:
        """Take everything."""
        with self.visitor() as page:
            self._outside(page)
        with self.visitor(ADMIN) as page:
            self._inside(page)
            self._refused_forms(page)
        for email, name, step in (
            (VIEWER, "viewer", self._as_a_viewer), (EMPTY, "empty", self._nothing_yet),
            (OPERATOR, "operator", self._as_the_operator),
        ):  # fmt: skip
            with self.visitor(email) as page:
                step(page, name)

    def _outside(self, page: Page) -> None:
        """What somebody sees who is not logged in."""
        for name, path in outside(self.gallery).items():
            self.see(page, name, path)
        page.goto(f"{self.gallery.base}/login")
        page.locator("#email").fill("nobody@example.org")
        page.locator("#password").fill("not the password")
        page.locator("form button.primary").click()
        self.take(page, "login-refused")
        page.goto(f"{self.gallery.base}/signup")
        for box in page.locator("form input[required]").all():
            box.fill("Novum" if box.get_attribute("type") != "email" else "nora@novum.example")
        page.locator("form button.primary").click()
        self.take(page, "signup-sent")
        self.see(page, "signup-confirm", link_in(self.gallery.database, "sign_up"))
        page.goto(f"{self.gallery.base}/password")
        page.locator("#email").fill(VIEWER)
        page.locator("form button.primary").click()
        self.take(page, "password-sent")
        self.see(page, "password-choose", link_in(self.gallery.database, "password_reset"))
        self.see(page, "invitation", self.gallery.places["invitation"])
        self._at_the_till(page)

    def _at_the_till(self, page: Page) -> None:
        """An order with mistakes, and one that is placed."""
        page.goto(self.gallery.base + self.gallery.pages()["checkout"])
        page.evaluate("for (const form of document.forms) form.noValidate = true")
        page.locator("form button.primary").last.click()
        self.take(page, "checkout-refused")

    def _inside(self, page: Page) -> None:
        """All that an administrator sees."""
        if "mapping" not in self.gallery.places:
            self.gallery.upload(page)
        mapping = self.gallery.places["mapping"]
        self.see(page, "import-layout", mapping.replace("/mapping", "/layout"))
        for name, path in {**self.gallery.pages(), **inside(self.gallery)}.items():
            self.see(page, name, path)
        self.see(page, "import", mapping.removesuffix("/mapping"))
        page.goto(f"{self.gallery.base}/events")
        page.locator(".usermenu > summary").click()
        self.take(page, "user-menu")
        if self.width == NARROW:
            page.locator(".areas > summary").click()
            self.take(page, "areas-menu")

    def _refused_forms(self, page: Page) -> None:
        """Forms that were sent with mistakes."""
        event = f"/events/{self.gallery.event.uid}"
        for name, path in (
            ("event-new", "/events/new"), ("ticket-type-new", f"{event}/tickets/new"),
            ("webhook-new", "/webhooks/new"), ("members", "/settings/members"),
            ("api-tokens", "/settings/api-tokens"), ("channels", "/notifications/channels"),
        ):  # fmt: skip
            page.goto(self.gallery.base + path)
            page.evaluate("for (const form of document.forms) form.noValidate = true")
            page.locator("main form button.primary").last.click()
            self.take(page, f"{name}-refused")
        page.goto(f"{self.gallery.base}{event}/cancel")
        page.locator("main form button.primary").click()
        page.wait_for_url("**/preview")
        self.take(page, "cancel-preview")
        page.evaluate("for (const form of document.forms) form.noValidate = true")
        page.locator("main form button.danger").last.click()
        self.take(page, "cancel-refused")

    def _as_a_viewer(self, page: Page, name: str) -> None:
        self.see(page, f"{name}-forbidden", "/settings")
        self.see(page, f"{name}-event", f"/events/{self.gallery.event.uid}")
        self.see(page, "error-404", "/events/unknown")

    def _nothing_yet(self, page: Page, name: str) -> None:
        """Each list of an organisation that has done nothing yet, and one that is suspended."""
        for path in (
            "/events", "/orders", "/exports", "/exports/schedules", "/imports", "/cancellations",
            "/refunds", "/mail", "/mail/suppressions", "/webhooks", "/webhooks/deliveries",
            "/notifications", "/notifications/channels", "/audit", "/settings/api-tokens",
            "/settings/members",
        ):  # fmt: skip
            self.see(page, f"{name}{path.replace('/', '-')}", path)
        page.goto(f"{self.gallery.base}/events")
        page.locator("main table a").first.click()
        self.take(page, f"{name}-event")
        address = page.url.removeprefix(self.gallery.base)
        for last in ("attendees", "tickets", "figures"):
            self.see(page, f"{name}-{last}", f"{address}/{last}")
        self.see(page, f"{name}-orders-filtered", "/orders?q=NOSUCH")
        with self._suspended():
            self.see(page, "suspended", "/events")

    @contextmanager
    def _suspended(self) -> Iterator[None]:
        def put(**values: Any) -> None:
            with self.gallery.database.system_session("gallery: suspend") as session:
                session.execute(update(Tenant).where(Tenant.slug == BOREALIS).values(**values))
                session.commit()

        now = self.gallery.clock.now()
        put(
            status="suspended",
            suspended_at=now,
            suspended_reason="Bills of three months are unpaid.",
        )
        yield
        put(status="active", suspended_at=None, suspended_reason=None)

    def _as_the_operator(self, page: Page, name: str) -> None:
        self.see(page, f"{name}-tenants", "/operator/tenants")
        page.locator("main table a").first.click()
        self.take(page, f"{name}-tenant")
        self.see(page, f"{name}-messages", "/operator/messages")
        page.locator("main table a").first.click()
        self.take(page, f"{name}-message")


def unseen(gallery: Gallery, seen: set[str]) -> list[str]:
    """Return the routes of pages that have no picture."""
    found = {
        rule.endpoint
        for rule in gallery.app.url_map.iter_rules()
        if "GET" in (rule.methods or ()) and not rule.endpoint.startswith(NO_PAGES)
    }
    return sorted(found - seen)


def log_in_in_english(page: Page, base: str, email: str) -> None:
    """Log in, whatever language the log-in speaks by itself."""
    page.goto(f"{base}/login")
    english = page.locator(".languages button[lang=en]")
    if english.count():
        english.click()
    log_in(page, base, email, DEMO_PASSWORD)


def outside(gallery: Gallery) -> dict[str, str]:
    """Return pages for everybody by the names of their pictures."""
    shop = gallery.pages()["box-office"]
    left = token(gallery.app_key, Leaving(gallery.tenant_id, "ada@example.org"))
    return {
        "login": "/login", "signup": "/signup", "password": "/password",
        "link-gone": "/password/too-old", "unsubscribe": f"/unsubscribe/{left}",
        "shop": shop, "shop-closed": f"{shop}-no", "buyers-order": gallery.places["buyers-order"],
        "api-docs": "/api/docs",
    }  # fmt: skip


def inside(gallery: Gallery) -> dict[str, str]:
    """Return an administrator's pages beside those of `Gallery.pages`, by their pictures' names."""
    event = f"/events/{gallery.event.uid}"
    with gallery.database.tenant_session(gallery.tenant_id, read_only=True) as session:

        def newest(model: Any) -> str:
            return str(session.scalars(select(model.uid).order_by(model.id.desc())).first())

        ready = session.scalars(select(Export.uid).order_by(Export.id)).first()
        attendee, mail, refund = newest(Attendee), newest(Mail), newest(Refund)
    return {
        "attendees": f"{event}/attendees", "attendees-sorted": f"{event}/attendees?sort=-name",
        "attendee": f"/attendees/{attendee}", "account": "/account", "audit": "/audit",
        "cancel-options": f"{event}/cancel", "cancellations": "/cancellations",
        "cancellation": gallery.places["run"], "refunds": "/refunds",
        "refund": f"/refunds/{refund}", "mails": "/mail", "mail": f"/mail/{mail}",
        "mail-template": "/mail/templates/event_cancelled/en", "export": f"/exports/{ready}",
        "export-schedules": "/exports/schedules", "export-schedule": gallery.places["schedule"],
        "imports": "/imports",
        "import-new": "/imports/new", "notifications": "/notifications",
        "preferences": "/notifications/preferences", "channels": "/notifications/channels",
        "api-tokens": "/settings/api-tokens", "sender": "/settings/sender",
        "limits": "/settings/limits", "test-mode": "/settings/test-mode",
        "webhook": gallery.places["endpoint"], "webhook-new": "/webhooks/new",
        "webhook-form": f"{gallery.places['endpoint']}/edit",
        "webhook-tester": "/webhooks/tester", "webhook-replay": "/webhooks/deliveries/replay",
        "ticket-type-new": f"{event}/tickets/new", "archive": "/exports?state=failed",
    }  # fmt: skip


def furnish_more(gallery: Gallery, provider: ProviderProcess) -> None:
    """Cancel the second event for real, so that there are refunds, mails and a report."""
    with gallery.database.tenant_session(gallery.tenant_id, read_only=True) as session:
        tenant = session.scalars(select(Tenant)).one()
        event = session.scalars(select(Event).where(Event.slug == SECOND_EVENT)).one()
        buyer = session.scalars(select(Order.buyer_key).where(Order.buyer_key.is_not(None))).first()
        endpoint = session.scalars(select(WebhookEndpoint.uid)).first()
        person = session.scalars(select(User).where(User.email == ADMIN)).one()
    _schedule(gallery, person.id)
    shop = f"/t/{tenant.slug}/{gallery.event.slug}"
    gallery.places["buyers-order"] = f"{shop}/orders/{buyer}"
    gallery.places["endpoint"] = f"/webhooks/{endpoint}"
    inviting = Inviting(gallery.database, gallery.clock, tenant)
    secret = inviting.invite(person, "admin", "nora@novum.example", "organiser")
    gallery.places["invitation"] = f"/invitation/{secret}"
    made = Conference(
        gallery.database, gallery.clock, provider, tenant, event, person.id, gallery.desk.desk
    )
    fill(made)
    run = made.preview()
    gallery.places["run"] = f"/cancellations/{made.confirm(run, code=made.mailed_code(run))}"
    made.finish()


def _schedule(gallery: Gallery, person_id: int) -> None:
    """Have a list exported each Monday."""
    spec = usual_spec("en-GB", gallery.event.timezone).as_json()
    with gallery.database.tenant_session(gallery.tenant_id) as session:
        made = ExportSchedule(
            event_id=gallery.event.id, owner_id=person_id, name="For the caterer", format="xlsx",
            spec=spec, repeat="weekly", time_of_day="07:30", timezone=gallery.event.timezone,
            next_at=gallery.clock.now() + timedelta(days=4), enabled=True,
        )  # fmt: skip
        session.add(made)
        session.commit()
    gallery.places["schedule"] = f"/exports/schedules/{made.uid}"


def look_at_all(folder: Path, language: str = "en", scheme: str = "light") -> None:
    """Take every page at both widths."""
    scratch = Path(tempfile.mkdtemp(prefix="m2b-gallery-", dir="/tmp"))
    folder.mkdir(parents=True, exist_ok=True)
    with (
        running_provider(scratch / "provider") as provider,
        chromium() as browser,
        opened(scratch, stripe_of(provider)) as gallery,
    ):
        furnish_more(gallery, provider)
        seen: set[str] = set()
        for width in (WIDE, NARROW):
            walk = Walk(gallery, browser, folder, width, language, scheme, seen)
            walk.go()
        sys.stderr.write(f"no picture of: {', '.join(unseen(gallery, seen)) or 'none'}\n")
