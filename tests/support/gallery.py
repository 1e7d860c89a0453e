"""What is to be seen beside a cancellation: the platform furnished, and the addresses of its pages.

In tests/, ``python -m support.gallery FOLDER [LANGUAGE [SCHEME]]`` takes every page at both widths,
to be looked at; SCHEME is ``light`` or ``dark``.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from flask import Flask
from playwright.sync_api import Page
from sqlalchemy import select, update

from meet2be.accounts.models import User
from meet2be.attendees.demo_list import DEMO_LIST
from meet2be.attendees.services import import_file
from meet2be.audit.services import SYSTEM
from meet2be.checkout.delivery import Rate, change_postage
from meet2be.checkout.desk import CheckoutDesk
from meet2be.checkout.placing import Holder, Wish, place_tx
from meet2be.db import Database, upgrade
from meet2be.db.columns import new_uid
from meet2be.events.models import Event, TicketType
from meet2be.exports.models import Export
from meet2be.exports.spec import usual_spec
from meet2be.figures.computing import compute_tx
from meet2be.local.seeding import DEMO_EVENT, seed
from meet2be.orders.models import STEPS, Order, OrderStep
from meet2be.payments.models import ProviderEvent
from meet2be.payments.provider import PaymentProvider
from meet2be.programme.tickets import TicketDraft, create_ticket
from meet2be.tenancy.models import Tenant
from meet2be.web.app import create_app
from meet2be.webhooks.models import WebhookDelivery
from onqueue.testing.clock import FakeClock
from support.browser import NARROW, WIDE, serving
from support.hooks import announce_and_spread, announcement, make_endpoint
from support.web import make_services

PICTURES = (
    ("event", WIDE), ("ticket-types", WIDE), ("box-office", WIDE), ("order", WIDE),
    ("figures", WIDE),
    ("import-mapping", WIDE), ("export-form", WIDE), ("webhooks-log", WIDE),
    ("mail-templates", WIDE), ("postage", WIDE), ("checkout", NARROW),
)  # fmt: skip
"""What stands in the docs, by page and width."""
HEIGHTS = {"figures": 900, "import-mapping": 900, "export-form": 900, "checkout": 900,
           "postage": 600, "box-office": 600}  # fmt: skip
ADDRESS = {"name": "Ada Arden", "street": "Side 1", "postcode": "10115", "city": "Berlin",
           "country": "DE"}  # fmt: skip
LIST = "Name;E-Mail;Firma;Ticket;Preis\r\n" + "".join(
    f"Gast {n} Müller;gast{n}@example.org;Firma {n};Regular;399,00\r\n" for n in range(1, 60)
)


@dataclass
class Gallery:
    """A platform with something of everything; ``base`` is where its pages are served."""

    database: Database
    tenant_id: int
    event: Event
    clock: FakeClock
    desk: CheckoutDesk
    app: Flask
    app_key: str = ""
    base: str = ""
    places: dict[str, str] = field(default_factory=dict)

    def furnish(self) -> None:
        """Make tickets, orders, exports, deliveries, messages and figures."""
        kinds = self._tickets()
        self._orders(kinds)
        self._exports()
        self._deliveries()
        self._messages()
        compute_tx(self.database, self.tenant_id, self.event.uid, self.clock.now())

    def _tickets(self) -> list[TicketType]:
        now = self.clock.now()
        drafts = (
            TicketDraft("Workshop on Sunday", 18_000, 60, 1900,
                        on_sale_from=now + timedelta(days=9)),
            TicketDraft("Poster, signed", 4_500, 200, 1900, is_shipped=True),
            TicketDraft("Friends of the house", 9_900, 40, 1900, is_hidden=True),
        )  # fmt: skip
        import_file(self.database, self.tenant_id, self.event.id, DEMO_LIST, actor=SYSTEM)
        with self.database.tenant_session(self.tenant_id) as session:
            session.execute(
                update(TicketType)
                .where(TicketType.event_id == self.event.id)
                .values(tax_bp=1900, quota=TicketType.quota + 250)
            )
            made = [create_ticket(session, self.event.uid, draft, SYSTEM) for draft in drafts]
            session.execute(
                update(Event).where(Event.id == self.event.id).values(
                    place="Messe Süd, Halle 3", description="Two days of talks.\n\nBring a friend.")
            )  # fmt: skip
            change_postage(session, [Rate(("DE", "AT"), 10, 390), Rate(("*",), 20, 890)], SYSTEM)
            session.commit()
        return made

    def _orders(self, kinds: list[TicketType]) -> None:
        orders: list[Order] = []
        for number, name in enumerate(("Bea Buyer", "Karl-Friedrich von Hohenstein", "Li Wei")):
            wish = Wish(
                f"gallery-key-{number:08}", name, f"buyer{number}@example.org", "de-DE",
                {kinds[1].id: [Holder(name)] * (number + 1)}, "pm_card_visa", ADDRESS,
            )  # fmt: skip
            orders.append(place_tx(self.desk, self.tenant_id, self.event.uid, wish))
        order = orders[-1]
        with self.database.tenant_session(self.tenant_id) as session:
            session.execute(
                update(Order).where(Order.id == order.id).values(
                    status="paid", paid_at=self.clock.now())
            )  # fmt: skip
            session.execute(
                update(OrderStep)
                .where(OrderStep.order_id == order.id, OrderStep.step.in_(STEPS[:4]))
                .values(state="done", attempts=1, finished_at=self.clock.now())
            )
            session.commit()
        self.places["order"] = f"/orders/{order.uid}"

    def _exports(self) -> None:
        now, spec = self.clock.now(), usual_spec("de-DE", self.event.timezone).as_json()
        states = (("ready", "xlsx", 412_345), ("running", "pdf", None), ("failed", "csv", None))
        with self.database.tenant_session(self.tenant_id) as session:
            person = session.scalars(select(User.id).limit(1)).first() or 1
            for state, kind, size in states:
                session.add(
                    Export(
                        event_id=self.event.id, requested_by=person, format=kind, spec=spec,
                        request_hash=new_uid(), state=state, total=5000, size=size,
                        done=5000 if size else 2150, storage_key=new_uid(), started_at=now,
                        filename=f"aurora-summit-attendees.{kind}", sha256="0" * 64,
                        ready_at=now if size else None, expires_at=now + timedelta(days=7),
                        error_code="store_failed" if state == "failed" else None,
                    )
                )  # fmt: skip
            session.commit()

    def _deliveries(self) -> None:
        make_endpoint(self.database, self.tenant_id, description="Our customer database")
        told = [
            announcement(number, type=kind, subject_uid=new_uid(), occurred_at=self.clock.now())
            for number, kind in enumerate(("order.paid", "order.completed", "refund.succeeded",
                                           "attendee.created", "export.ready") * 3)
        ]  # fmt: skip
        made = announce_and_spread(self.database, self.tenant_id, *told)
        with self.database.tenant_session(self.tenant_id) as session:
            done = [each.id for each in made[:-2]]
            session.execute(
                update(WebhookDelivery).where(WebhookDelivery.id.in_(done)).values(
                    status="succeeded", attempts=1)
            )  # fmt: skip
            session.commit()
        self.places["delivery"] = f"/webhooks/deliveries/{made[0].uid}"

    def _messages(self) -> None:
        now = self.clock.now()
        with self.database.system_session("gallery: messages that matched nothing") as session:
            for number, result in enumerate(("unmatched", "conflict", "gave_up")):
                told = {"id": f"evt_1PgGalleryShow{number}", "type": "refund.updated",
                        "data": {"object": {"id": "re_3PgUnknown", "amount": 11_900}}}  # fmt: skip
                session.add(
                    ProviderEvent(
                        provider="stripe", event_id=told["id"], type="refund.updated", payload=told,
                        received_at=now, processed_at=now, result=result, tries=1,
                    )
                )  # fmt: skip
            session.commit()

    def upload(self, page: Page) -> None:
        """Upload a list by the page, so that its columns wait to be mapped."""
        page.goto(f"{self.base}/imports/new")
        page.set_input_files("input[type=file]", {
            "name": "gaeste.csv", "mimeType": "text/csv", "buffer": LIST.encode(),
        })  # fmt: skip
        page.locator("#event").select_option(self.event.uid)
        page.locator("main form button.primary").click()
        page.wait_for_url("**/layout")
        page.locator("main form button.primary").click()
        page.wait_for_url("**/mapping")
        self.places["mapping"] = page.url.removeprefix(self.base)

    def pages(self) -> dict[str, str]:
        """Return the addresses of the pages by the names of their pictures."""
        event, shop = f"/events/{self.event.uid}", f"/t/aurora/{self.event.slug}"
        with self.database.tenant_session(self.tenant_id, read_only=True) as session:
            kinds = session.scalars(
                select(TicketType).where(TicketType.event_id == self.event.id)
            ).all()
            tenant = session.scalars(select(Tenant)).one()
        poster = next(each for each in kinds if each.is_shipped)
        shop = f"/t/{tenant.slug}/{self.event.slug}"
        return {
            "events": "/events", "event": event, "event-new": "/events/new",
            "event-form": f"{event}/edit", "ticket-types": f"{event}/tickets",
            "ticket-type-form": f"/ticket-types/{poster.uid}", "figures": f"{event}/figures",
            "orders": "/orders", "order": self.places["order"], "exports": "/exports",
            "export-form": f"{event}/export",
            "import-mapping": self.places.get("mapping", "/imports"),
            "webhooks": "/webhooks", "webhooks-log": "/webhooks/deliveries",
            "webhook-delivery": self.places["delivery"], "mail-templates": "/mail/templates",
            "settings": "/settings", "members": "/settings/members",
            "warehouse": "/settings/warehouse", "postage": "/settings/postage",
            "suppressions": "/mail/suppressions",
            "box-office": shop, "checkout": f"{shop}?n{poster.id}=2",
        }  # fmt: skip


@contextmanager
def opened(folder: Path, payments: PaymentProvider | None = None) -> Iterator[Gallery]:
    """Yield a gallery of its own, served, without a payment provider unless one is given."""
    url, clock = f"sqlite:///{folder / 'gallery.sqlite'}", FakeClock()
    upgrade(url)
    database = Database(url, clock)
    services = make_services(
        database, clock, folder, payments, DATABASE_URL=url, BASE_URL="http://127.0.0.1"
    )
    seed(services.settings, clock)
    with database.system_session("gallery: find the event") as session:
        event = session.scalars(select(Event).where(Event.slug == DEMO_EVENT)).one()
    app = create_app(services)
    made = Gallery(
        database, event.tenant_id, event, clock, services.checkout, app, services.settings.app_key
    )
    made.furnish()
    with serving(app) as made.base:
        yield made
    database.close()


if __name__ == "__main__":
    from support.gallery_walk import look_at_all

    look_at_all(Path(sys.argv[1]), *sys.argv[2:])
