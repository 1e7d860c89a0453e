"""Several workers on one run at once, as in production."""

from concurrent.futures import ThreadPoolExecutor

from meet2be.invoices.models import Invoice
from meet2be.orders.models import Order
from support.cancelling import Conference
from support.factories import Sale, Ticket

LANES = 4


def test_four_lanes_at_once_refund_everybody_once_and_number_without_gaps(
    any_meeting: Conference,
) -> None:
    # A free ticket beside a paid one: two lanes may end one order together.
    any_meeting.sell_all(
        *(Sale([Ticket(price=1_000 + number), Ticket(price=0)]) for number in range(60))
    )
    any_meeting.confirm(lanes=LANES)
    with ThreadPoolExecutor(LANES) as pool:
        waiting = list(range(LANES))
        while waiting:
            results = pool.map(any_meeting.work, waiting)
            waiting = [
                lane
                for lane, result in zip(waiting, results, strict=True)
                if result.again_after is not None
            ]
    run = any_meeting.run()
    assert run.state == "done"
    owed = {
        made.payment.provider_ref: [made.payment.amount_minor]
        for made in any_meeting.orders
        if made.payment is not None
    }
    assert any_meeting.at_provider() == owed
    assert len(any_meeting.mails()) == 120
    assert {order.status for order in any_meeting.rows(Order)} == {"cancelled"}
    numbers = sorted(row.number for row in any_meeting.rows(Invoice) if row.kind == "credit_note")
    year = any_meeting.clock.now().year
    assert numbers == [f"CN-{year}-{number:05d}" for number in range(1, 61)]
