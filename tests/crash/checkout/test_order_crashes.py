"""An order's worker is killed at each of its points; the provider's ledger says what came of it.

Whatever dies, the order is paid once, its ticket sold once, its buyer told once; the warehouse is
told once or twice under the same id, as nobody can know more.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meet2be.attendees.models import Attendee
from meet2be.checkout.pages import wake_waiting_tx
from meet2be.invoices.models import Invoice
from meet2be.orders.models import Order, StockMove
from meet2be.payments.provider import PAGE_METHOD
from support.ordering import Shop

pytestmark = pytest.mark.crash
RUNNER = Path(__file__).with_name("chain_runner.py")
POINTS = (
    "after_validate", "before_charge", "after_charge", "in_booking", "after_payment",
    "in_inventory", "after_inventory", "in_confirmation", "after_confirmation",
    "after_warehouse", "after_notification",
)  # fmt: skip
Work = Callable[[Shop, Order, str], int]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the warehouse was told, a key a line."""
    return tmp_path_factory.mktemp("warehouse") / "told"


@pytest.fixture(scope="module")
def work(told: Path) -> Iterator[Work]:
    """Run an order's steps in a child that dies at a point; returns its exit code."""
    process = subprocess.Popen(
        [sys.executable, str(RUNNER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None

    def run(shop: Shop, order: Order, point: str) -> int:
        assert process.stdin is not None and process.stdout is not None
        url = shop.of.database.engine.url.render_as_string(hide_password=False)
        command = {
            "database": url, "provider": shop.of.provider.url, "tenant": shop.of.tenant.id,
            "order": order.uid, "point": point, "now": shop.of.clock.now().isoformat(),
            "told": str(told),
        }  # fmt: skip
        process.stdin.write(json.dumps(command) + "\n")
        process.stdin.flush()
        return int(json.loads(process.stdout.readline()))

    yield run
    process.stdin.close()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("point", POINTS)
def test_whatever_dies_the_order_is_paid_sold_and_told_once(
    shop: Shop, work: Work, told: Path, point: str
) -> None:
    """F14, F20, F21, F25."""
    shop.settings(warehouse_url="https://warehouse.example/orders")
    ticket = shop.ticket()
    order = shop.place(shop.wish(ticket))
    assert work(shop, order, point) == -signal.SIGKILL
    shop.of.pass_time(91)  # the dead worker's lease
    assert work(shop, order, "never") == 0
    assert shop.order(order).status == "paid"
    assert len(shop.charges(order)) == 1
    assert [payment.status for payment in shop.of.payments()] == ["succeeded"]
    assert len(shop.of.rows(Attendee)) == len(shop.of.rows(Invoice)) == 1
    assert len(shop.of.mails("order_confirmation")) == 1
    assert shop.stock(ticket) == (0, 1)
    assert sorted(move.kind for move in shop.of.rows(StockMove)) == ["commit", "hold"]
    keys = [key for key in told.read_text().split() if order.uid in key]
    assert len(keys) in ({2} if point == "after_warehouse" else {1})
    assert len(set(keys)) == 1


@pytest.mark.parametrize("point", ["before_page", "after_page", "in_booking"])
def test_a_worker_that_dies_around_a_page_leads_to_one_page(
    shop: Shop, work: Work, point: str
) -> None:
    """F14: the page is made under the payment's key, and is found again by it."""
    order = shop.place(shop.wish(shop.ticket(), method=PAGE_METHOD))
    assert work(shop, order, point) == -signal.SIGKILL
    shop.of.pass_time(91)
    assert work(shop, order, "never") == 0
    (payment,) = shop.of.payments()
    shop.of.provider.control.pay_page(payment.page_ref or "")
    # Paid, and the message is lost; whoever looks dies, too.
    shop.of.pass_time(181)
    assert wake_waiting_tx(shop.desk) == 1
    assert work(shop, order, "after_look") == -signal.SIGKILL
    assert work(shop, order, "never") == 0
    assert shop.order(order).status == "paid"
    assert len(shop.charges(order)) == len(shop.of.rows(Attendee)) == 1
    assert shop.of.refunds() == []


def test_a_worker_that_dies_while_taking_back_pays_back_once(shop: Shop, work: Work) -> None:
    """F14, F19: killed between payment and stock; meanwhile the last ticket is sold."""
    ticket = shop.ticket(quota=1)
    order = shop.place(shop.wish(ticket))
    assert work(shop, order, "after_payment") == -signal.SIGKILL
    with shop.of.database.tenant_session(shop.of.tenant.id) as session:
        kind = session.get_one(type(ticket), ticket.id)
        kind.quota, kind.held, kind.sold = 1, 0, 1
        session.commit()
    for _ in range(2):
        assert work(shop, order, "never") == 0
    shop.send_refunds()
    assert shop.order(order).status == "failed"
    assert shop.paid_back(order) == 4_200
    assert len(shop.of.mails("order_apology")) == 1
    assert shop.of.rows(Attendee) == []
