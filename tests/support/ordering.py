"""A shop in tests: an event with tickets, a provider, buyers, and the steps of their orders."""

import json
import secrets
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from meet2be.checkout import completing
from meet2be.checkout.desk import CheckoutDesk
from meet2be.checkout.paying import process_payment
from meet2be.checkout.placing import Holder, Wish, place_tx
from meet2be.checkout.refund_sending import send_refund
from meet2be.checkout.steps import Outcome, Wait
from meet2be.checkout.tickets import TicketPrinter
from meet2be.checkout.warehouse import notify_warehouse
from meet2be.events.models import Event, TicketType
from meet2be.integrations.guarded_http import Answer, HookCallFailed
from meet2be.orders.models import Order, OrderStep
from meet2be.payments.models import Refund
from meet2be.tenancy.models import Tenant
from support.cancelling import Conference
from support.simulators import API_KEY

VISA = "pm_card_visa"
BERLIN = {
    "name": "Ada Arden", "street": "Allee 1", "postcode": "10115", "city": "Berlin",
    "country": "DE",
}  # fmt: skip


def trusted() -> None:
    """Be a worker that holds its lease."""


@dataclass
class Warehouse:
    """The organisation's warehouse: what it was told, and what it answers next."""

    told: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int | HookCallFailed] = field(default_factory=list)

    def post(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        self.told.append((url, headers, body))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, HookCallFailed):
            raise answer
        return Answer(answer, {}, b"", False, "192.0.2.1")


@dataclass
class Shop:
    """The event's box office; the event is still to come, whatever the provider's clock shows."""

    of: Conference
    warehouse: Warehouse = field(default_factory=Warehouse)
    base_url: str = "https://shop.example"
    printer: TicketPrinter | None = None

    def __post_init__(self) -> None:
        begins = self.of.clock.now() + timedelta(days=90)
        with self.of.database.tenant_session(self.of.tenant.id) as session:
            event = session.get_one(Event, self.of.event.id)
            event.starts_at, event.ends_at = begins, begins + timedelta(days=2)
            session.commit()

    @property
    def desk(self) -> CheckoutDesk:
        return CheckoutDesk(self.of.desk, self.warehouse, self.base_url, self.printer)

    def ticket(
        self, price: int = 4_200, quota: int = 10, name: str = "At the door", **fields: Any
    ) -> TicketType:
        """Return a new kind of ticket on sale."""
        made = TicketType(
            event_id=self.of.event.id, name=name, price_minor=price, quota=quota, **fields
        )
        with self.of.database.tenant_session(self.of.tenant.id) as session:
            session.add(made)
            session.commit()
        return made

    def settings(self, **settings: Any) -> None:
        """Set settings of the organisation."""
        with self.of.database.tenant_session(self.of.tenant.id) as session:
            session.get_one(Tenant, self.of.tenant.id).settings = settings
            session.commit()

    def wish(
        self, ticket: TicketType, names: Sequence[str] = ("Ada Arden",), **fields: Any
    ) -> Wish:
        """Return what a buyer fills in."""
        values: dict[str, Any] = {
            "client_key": secrets.token_urlsafe(16),
            "name": "Bea Buyer",
            "email": "bea@example.org",
            "locale": "en-GB",
            "tickets": {ticket.id: [Holder(name) for name in names]},
            "method": VISA,
        }
        return Wish(**{**values, **fields})

    def place(self, wish: Wish) -> Order:
        """Place an order."""
        return place_tx(self.desk, self.of.tenant.id, self.of.event.uid, wish)

    def links(self, order: Order) -> dict[str, Callable[[], Outcome]]:
        """Return the steps of an order as its chain calls them."""
        desk, tenant, uid = self.desk, self.of.tenant.id, order.uid
        return {
            "validate_order": lambda: completing.validate_order(desk, tenant, uid),
            "process_payment": lambda: process_payment(desk, tenant, uid, trusted),
            "update_inventory": lambda: completing.update_inventory(desk, tenant, uid),
            "calculate_shipping": lambda: completing.calculate_shipping(desk, tenant, uid),
            "create_shipping_label": lambda: completing.create_shipping_label(desk, tenant, uid),
            "send_confirmation": lambda: completing.send_confirmation(desk, tenant, uid),
            "notify_warehouse": lambda: notify_warehouse(desk, tenant, uid, trusted),
        }

    def run(self, order: Order, upto: str = "notify_warehouse", waits: int = 30) -> Order:
        """Run an order's chain, moving the clock over its waits; return the order."""
        for name, link in self.links(order).items():
            for _ in range(waits):
                outcome = link()
                if not isinstance(outcome, Wait):
                    break
                self.of.pass_time(outcome.seconds + 0.01)
            else:
                raise AssertionError(f"{name} still waits")
            if name == upto:
                break
        return self.order(order)

    def buy(self, wish: Wish) -> Order:
        """Place an order and run its chain."""
        return self.run(self.place(wish))

    def act(self, verb: Callable[..., Any], *arguments: Any) -> Any:
        """Call a verb on an order and commit."""
        with self.of.database.tenant_session(self.of.tenant.id) as session:
            result = verb(session, self.desk, *arguments)
            session.commit()
        return result

    def tell(self, *types: str) -> list[str]:
        """Have the provider's messages about payments come in; return what came of each."""
        request = urllib.request.Request(  # noqa: S310 - our own simulator
            f"{self.of.provider.url}/v1/events?limit=50",
            headers={"Authorization": f"Bearer {API_KEY}"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            found = json.loads(answer.read())["data"]
        mine = {payment.uid for payment in self.of.payments()}
        wanted = [
            json.dumps(each).encode()
            for each in reversed(found)
            if each["type"] in types
            and each["data"]["object"]["metadata"].get("m2b_payment") in mine
        ]
        return self.of.tell(*wanted)

    def send_refunds(self) -> list[Refund]:
        """Send what stands in the refund ledger, until nobody waits; return the ledger."""
        for _ in range(20):
            waiting = [
                each for each in self.of.refunds() if each.status in {"sending", "uncertain"}
            ]
            if not waiting:
                break
            for refund in waiting:
                outcome = send_refund(self.desk, self.of.tenant.id, refund.id, trusted)
                if isinstance(outcome, Wait):
                    self.of.pass_time(outcome.seconds + 0.01)
        return self.of.refunds()

    def order(self, order: Order) -> Order:
        """Return an order as it stands."""
        found: Order = self.of.rows(Order, Order.id == order.id)[0]
        return found

    def steps(self, order: Order) -> dict[str, str]:
        """Return the states of an order's steps."""
        rows = self.of.rows(OrderStep, OrderStep.order_id == order.id)
        return {row.step: row.state for row in rows}

    def stock(self, ticket: TicketType) -> tuple[int, int]:
        """Return how many of a kind are held and sold."""
        with self.of.database.tenant_session(self.of.tenant.id, read_only=True) as session:
            kind = select(TicketType.held, TicketType.sold).where(TicketType.id == ticket.id)
            held, sold = session.execute(kind).one()
            return int(held), int(sold)

    def charges(self, order: Order) -> list[dict[str, Any]]:
        """Return what the provider itself has taken for an order."""
        charges = self.of.provider.control.ledger()["charges"]
        return [
            each for each in charges
            if each["metadata"].get("order") == order.code and each["status"] == "succeeded"
        ]  # fmt: skip

    def paid_back(self, order: Order) -> int:
        """Return what the provider itself has paid back for an order, in minor units."""
        mine = {each["payment_intent"] for each in self.charges(order)}
        refunds = self.of.provider.control.ledger()["refunds"]
        return sum(
            each["amount"] for each in refunds
            if each["payment_intent"] in mine and each["status"] in {"succeeded", "pending"}
        )  # fmt: skip
