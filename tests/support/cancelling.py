"""A conference with a provider of its own, to be cancelled in tests."""

import json
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import stripe
from sqlalchemy import select, update

from meet2be.cancellations import services
from meet2be.cancellations.codes import send_code
from meet2be.cancellations.context import Desk
from meet2be.cancellations.following import process_event
from meet2be.cancellations.models import CancelItem, CancelRun
from meet2be.cancellations.options import CancelOptions
from meet2be.cancellations.runner import LaneResult, work_lane
from meet2be.db import Database
from meet2be.events.models import Event
from meet2be.integrations.http_deadline import Timeouts
from meet2be.integrations.payments_stripe import StripeProvider
from meet2be.mailings.models import Mail
from meet2be.mailings.services import Sender
from meet2be.payments import inbox
from meet2be.payments.models import Payment, ProviderEvent, Refund
from meet2be.tenancy.models import Tenant
from onqueue.contracts import Clock
from onqueue.testing.clock import FakeClock
from simulators.processes import ProviderProcess
from support.factories import (
    MadeOrder,
    Sale,
    Ticket,
    make_event,
    make_orders,
    make_tenant,
    make_user,
)
from support.simulators import API_KEY

SECRET = "whsec_tests"
SENDER = Sender("Meet2Be", "events@meet2be.example")


@contextmanager
def running_provider(folder: Path) -> Iterator[ProviderProcess]:
    """Yield a started provider that speaks to nobody by itself."""
    with ProviderProcess(folder, api_key=API_KEY, webhook_secret=SECRET) as provider:
        yield provider


def stripe_of(provider: ProviderProcess, total: float = 60.0) -> StripeProvider:
    """Return our adapter, pointed at the simulator; a call may take `total` seconds."""
    return StripeProvider(
        API_KEY, webhook_secret=SECRET, base_url=provider.url, timeouts=Timeouts(30.0, total)
    )


class SteppingControl:
    """A worker that is always trusted, and stops when a test says so."""

    job_id = "job-of-a-test"

    def __init__(self, clock: Clock, chunks: int | None = None) -> None:
        self.clock = clock
        self._chunks = chunks

    def should_stop(self) -> bool:
        if self._chunks is None:
            return False
        self._chunks -= 1
        return self._chunks < 0

    def ensure_lease(self) -> None:
        return


@dataclass
class Conference:
    """An event that sells tickets, a provider that was paid for them, and who cancels it."""

    database: Database
    clock: FakeClock
    provider: ProviderProcess
    tenant: Tenant
    event: Event
    admin: int
    desk: Desk
    orders: list[MadeOrder] = field(default_factory=list)
    run_uid: str = ""

    def sell(
        self, *tickets: Ticket, payment: str | None = "succeeded", at_provider: bool = True
    ) -> MadeOrder:
        """Return a new order, paid at the provider too where it was paid."""
        (made,) = self.sell_all(Sale(tickets or (Ticket(),), payment), at_provider=at_provider)
        return made

    def sell_all(self, *sales: Sale, at_provider: bool = True) -> list[MadeOrder]:
        """Return new orders, those that were paid at the provider too; faster than one by one."""
        made = make_orders(self.database, self.event, sales)
        self.orders += made
        paid = [order.payment for order in made if order.payment is not None]
        there = [
            {
                "amount": payment.amount_minor,
                "currency": payment.currency.lower(),
                "payment_intent": payment.provider_ref,
                "refunded": payment.refunded_minor,
                "disputed": payment.status == "disputed",
            }
            for payment in paid
            if payment.status in {"succeeded", "disputed"}
        ]
        if there and at_provider:
            self.provider.control.create_payments(there)
        return made

    def preview(self, options: CancelOptions | None = None) -> CancelRun:
        """Return a run in state `preview`."""
        with self.database.tenant_session(self.tenant.id) as session:
            run = services.start(
                session, self.desk, self.event.uid, options or CancelOptions(), self.admin
            )
            session.commit()
            return run

    def mailed_code(self, run: CancelRun) -> str:
        """Have a code mailed to the admin and return it."""
        self.run_uid = run.uid
        with self.database.tenant_session(self.tenant.id) as session:
            send_code(session, self.desk, run.uid, self.admin)
            session.commit()
        return (self.mails("confirmation_code")[-1].subject or "").split()[0]

    def confirm(self, run: CancelRun | None = None, lanes: int = 2, **changes: Any) -> str:
        """Confirm a run (a new one by default) and return its uid."""
        run = run or self.preview()
        given: dict[str, Any] = {
            "typed_name": self.event.title,
            "preview_hash": run.preview_hash or "",
            "code": None,
            "confirmed_by": self.admin,
            "lanes": lanes,
        }
        self.run_uid = run.uid
        return services.confirm_tx(self.desk, self.tenant.id, run.uid, **{**given, **changes})

    def work(self, lane: int, chunks: int | None = None) -> LaneResult:
        """Work one slice of a lane."""
        control = SteppingControl(self.clock, chunks)
        return work_lane(self.desk, self.tenant.id, self.run_uid, lane, control)

    def finish(self, *, patience: float = 7200.0) -> CancelRun:
        """Work all lanes, moving both clocks over every wait, until nobody waits any more."""
        waits: dict[int, float | None] = dict.fromkeys(range(self.run().lanes), 0.0)
        spent = 0.0
        while any(wait is not None for wait in waits.values()):
            for lane in [lane for lane, wait in waits.items() if wait is not None]:
                waits[lane] = self.work(lane).again_after
            if self.run().state == "running" and all(w is None for w in waits.values()):
                waits = self._reopened(waits)
            left = [wait for wait in waits.values() if wait is not None]
            if left and min(left) > 0:
                self.pass_time(min(left) + 0.001)
                spent += min(left)
                assert spent < patience, f"the run still waits: {waits}"
        return self.run()

    def _reopened(self, waits: dict[int, float | None]) -> dict[int, float | None]:
        return dict.fromkeys(waits, 0.0)

    def pass_time(self, seconds: float) -> None:
        """Move our clock and the provider's."""
        self.clock.advance(seconds)
        self.provider.control.advance_clock(seconds)

    def cancel(self, options: CancelOptions | None = None, lanes: int = 2) -> CancelRun:
        """Cancel the whole event, start to end."""
        self.confirm(self.preview(options), lanes)
        return self.finish()

    def act(self, verb: Any, *arguments: Any, **more: Any) -> Any:
        """Call a service function on the run, in a session of its own, and commit."""
        with self.database.tenant_session(self.tenant.id) as session:
            result = verb(session, self.run_uid, *arguments, **more)
            session.commit()
            return result

    def rows(self, model: type[Any], *where: Any) -> list[Any]:
        """Return rows of the tenant."""
        with self.database.tenant_session(self.tenant.id, read_only=True) as session:
            return list(session.scalars(select(model).where(*where).order_by(model.id)))

    def run(self) -> CancelRun:
        """Return the run as it stands."""
        found: CancelRun = self.rows(CancelRun, CancelRun.uid == self.run_uid)[0]
        return found

    def items(self) -> list[CancelItem]:
        """Return the run's items."""
        return self.rows(CancelItem, CancelItem.run_id == self.run().id)

    def states(self) -> list[str]:
        """Return the refund states of the items, in order."""
        return [item.refund_state for item in self.items()]

    def refunds(self) -> list[Refund]:
        """Return the refund ledger."""
        return self.rows(Refund)

    def payments(self) -> list[Payment]:
        """Return the payments."""
        return self.rows(Payment)

    def mails(self, kind: str = "event_cancelled") -> list[Mail]:
        """Return the mails of a kind."""
        return self.rows(Mail, Mail.kind == kind)

    def provider_refunds(self) -> list[dict[str, Any]]:
        """Return the refunds of this conference's payments from the provider's own ledger."""
        mine = {made.payment.provider_ref for made in self.orders if made.payment is not None}
        ledger = self.provider.control.ledger()["refunds"]
        return [refund for refund in ledger if refund["payment_intent"] in mine]

    def at_provider(self) -> dict[str, list[int]]:
        """Return from the provider's own ledger the live refunds of each payment, minor units."""
        found: dict[str, list[int]] = {}
        for refund in self.provider_refunds():
            if refund["status"] in {"succeeded", "pending"}:
                found.setdefault(refund["payment_intent"], []).append(refund["amount"])
        return found

    def messages(self, *types: str) -> list[bytes]:
        """Return the provider's messages of these types about this conference, oldest first."""
        mine = {made.payment.provider_ref for made in self.orders if made.payment is not None}
        request = urllib.request.Request(  # noqa: S310 - our own simulator
            f"{self.provider.url}/v1/events?limit=100",
            headers={"Authorization": f"Bearer {API_KEY}"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            found = json.loads(answer.read())["data"]
        return [
            json.dumps(each).encode()
            for each in reversed(found)
            if each["type"] in types and each["data"]["object"].get("payment_intent") in mine
        ]

    def receive(self, payload: bytes) -> inbox.Received:
        """Have the inbox take a message, signed as the provider signs."""
        signature = stripe.WebhookSignature.generate_signature_header(payload.decode(), SECRET)
        return inbox.receive_tx(self.database, self.desk.payments, payload, signature)

    def tell(self, *payloads: bytes) -> list[str]:
        """Have messages come in and be acted upon; return what came of each."""
        return [self._told(payload) for payload in payloads]

    def _told(self, payload: bytes) -> str:
        self.receive(payload)
        with self.database.system_session("tests: find a message", read_only=True) as session:
            wanted = ProviderEvent.event_id == json.loads(payload)["id"]
            row = session.scalars(select(ProviderEvent.id).where(wanted)).one()
        return process_event(self.desk, row)


@contextmanager
def conference(
    database: Database, clock: FakeClock, provider: ProviderProcess, **event: object
) -> Iterator[Conference]:
    """Yield an event of a tenant that needs no code; the provider behaves well and is shared."""
    provider.control.behave_well()
    clock.advance(max(0.0, provider.control.advance_clock(0) - clock.time()))
    adapter = stripe_of(provider)
    tenant = make_tenant(database, confirm_limit_minor=10**12)
    admin = make_user(database, tenant)
    desk = Desk(database, adapter, clock, SENDER)
    try:
        yield Conference(
            database, clock, provider, tenant, make_event(database, tenant, **event),
            admin.id, desk,
        )  # fmt: skip
    finally:
        adapter.close()


def sold(prices: Sequence[int]) -> list[Ticket]:
    """Return tickets of those prices, for people of their own."""
    return [
        Ticket(price=price, name=f"Person {number}", email=f"person{number}@example.org")
        for number, price in enumerate(prices)
    ]


def change(meeting: Conference, model: type[Any], row_id: int, **values: object) -> None:
    """Give a row of a model other values, as somebody else would have."""
    with meeting.database.system_session("tests: change a row") as session:
        session.execute(update(model).where(model.id == row_id).values(**values))
        session.commit()


def reasons(meeting: Conference) -> list[str | None]:
    """Return why nothing is paid back to each of those who get nothing."""
    return [item.skip_reason for item in meeting.items()]
