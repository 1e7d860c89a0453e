"""The steps of an order: the links of one chain, each handing its turn to one service.

Whether a step is due, done or not wanted any more stands in its row: a link that runs twice, or
in a second chain of the same order, finds that out and does nothing. So a chain that a broker has
lost is simply begun again (``TendOrders``).
"""

from __future__ import annotations

from typing import ClassVar

from meet2be.checkout.completing import (
    calculate_shipping,
    create_shipping_label,
    send_confirmation,
    update_inventory,
    validate_order,
)
from meet2be.checkout.desk import CheckoutDesk
from meet2be.checkout.giving_up import give_up_tx, ships_tx
from meet2be.checkout.paying import process_payment
from meet2be.checkout.steps import Outcome, Wait
from meet2be.checkout.warehouse import notify_warehouse
from meet2be.queueing import acting_for, tenant_of
from onqueue import Job
from onqueue.bus import Chain, chain


class OrderLink(Job, abstract=True):
    """One step of an order. Waiting for an answer or a lease spends no attempt."""

    connection = "redis"
    queue = "high"
    timeout = 120
    tries = 0
    max_exceptions = 10
    backoff = (1, 2, 5, 15, 60, 300)
    version = 1

    order: str

    step: ClassVar[str] = ""

    def settle(self, outcome: Outcome) -> None:
        """Be done with the step, or come back when it is said to."""
        if isinstance(outcome, Wait):
            self.snooze(outcome.seconds)

    def failed(self, error: BaseException) -> None:
        """Show on the order that the step was given up."""
        desk = self.running("failed").service(CheckoutDesk)
        give_up_tx(desk, tenant_of(self) or 0, self.order, self.step, str(error))


class ValidateOrder(OrderLink):
    """Checks that it is still what was offered."""

    step: ClassVar[str] = "validate_order"

    def handle(self, desk: CheckoutDesk) -> None:
        """Check the order."""
        self.settle(validate_order(desk, tenant_of(self) or 0, self.order))


class ProcessPayment(OrderLink):
    """Takes the money, once."""

    step: ClassVar[str] = "process_payment"

    def handle(self, desk: CheckoutDesk) -> None:
        """Ask the provider; a payment that waits for its buyer is taken up by its message."""
        self.settle(process_payment(desk, tenant_of(self) or 0, self.order, self.ensure_lease))


class UpdateInventory(OrderLink):
    """Sells the tickets; puts the parcel's links before the rest where something is shipped."""

    step: ClassVar[str] = "update_inventory"

    def handle(self, desk: CheckoutDesk) -> None:
        """Sell them, or have everything taken back."""
        tenant = tenant_of(self) or 0
        outcome = update_inventory(desk, tenant, self.order)
        if outcome == "go" and ships_tx(desk, tenant, self.order):
            with acting_for(tenant):
                self.prepend_to_chain(
                    CalculateShipping(order=self.order), CreateShippingLabel(order=self.order)
                )
        self.settle(outcome)


class CalculateShipping(OrderLink):
    """Works out what the parcel costs."""

    step: ClassVar[str] = "calculate_shipping"

    def handle(self, desk: CheckoutDesk) -> None:
        """Work it out."""
        self.settle(calculate_shipping(desk, tenant_of(self) or 0, self.order))


class CreateShippingLabel(OrderLink):
    """Numbers the parcel and writes its label."""

    step: ClassVar[str] = "create_shipping_label"

    def handle(self, desk: CheckoutDesk) -> None:
        """Write it."""
        self.settle(create_shipping_label(desk, tenant_of(self) or 0, self.order))


class SendOrderConfirmation(OrderLink):
    """Mails the buyer."""

    step: ClassVar[str] = "send_confirmation"

    def handle(self, desk: CheckoutDesk) -> None:
        """Put the mail into the outbox."""
        self.settle(send_confirmation(desk, tenant_of(self) or 0, self.order))


class NotifyWarehouse(OrderLink):
    """Tells the organisation's warehouse; its trouble is not the buyer's."""

    step: ClassVar[str] = "notify_warehouse"

    def handle(self, desk: CheckoutDesk) -> None:
        """Post it."""
        self.settle(notify_warehouse(desk, tenant_of(self) or 0, self.order, self.ensure_lease))


def order_chain(order: str) -> Chain:
    """Return the chain of an order's steps; those that are done let it pass."""
    kinds = (
        ValidateOrder, ProcessPayment, UpdateInventory, SendOrderConfirmation, NotifyWarehouse,
    )  # fmt: skip
    links = [kind(order=order) for kind in kinds]
    return chain(links).on_connection("redis").on_queue("high").name(f"order {order}")
