"""Two orders of an event with few places at the same moment, on the server that lets both in."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sqlalchemy.orm import Session

from meet2be.checkout import stock
from meet2be.checkout.expiry import expire
from meet2be.db import Database
from meet2be.events.models import Event, TicketType
from meet2be.orders.models import Order
from meet2be.programme.events import locked_event
from onqueue.testing.clock import FakeClock
from simulators.processes import ProviderProcess
from support.cancelling import conference
from support.meanwhile import while_begun
from support.ordering import Shop

pytestmark = pytest.mark.postgres
SECONDS = 60
LATE = 0.4
"""How long the first waits for a second that never comes because it is let in later, in seconds."""


@pytest.fixture
def shop(
    postgres_database: Database, clock: FakeClock, provider: ProviderProcess
) -> Iterator[Shop]:
    """A shop of one place, on the server on which two orders really meet."""
    with conference(postgres_database, clock, provider) as made:
        yield Shop(made)


@pytest.fixture
def ticket(shop: Shop) -> TicketType:
    """A kind of which there are more than places in the event."""
    made = shop.ticket(price=0, quota=10)
    with shop.of.database.tenant_session(shop.of.tenant.id) as session:
        session.get_one(Event, shop.of.event.id).capacity = 1
        session.commit()
    return made


def together(monkeypatch: pytest.MonkeyPatch, *acts: Callable[[], object]) -> list[object]:
    """Have all of them count the places at once, if they can; return what each came to."""
    gate, check_room = threading.Barrier(len(acts)), stock.check_room

    def check_when_both_are_there(session: Session, event_id: int, number: int) -> None:
        with suppress(threading.BrokenBarrierError):
            gate.wait(LATE)
        check_room(session, event_id, number)

    def act(do: Callable[[], object]) -> object:
        try:
            return do()
        except Exception as error:  # noqa: BLE001 -- the errors are what is compared
            return error

    monkeypatch.setattr(stock, "check_room", check_when_both_are_there)
    with ThreadPoolExecutor(len(acts)) as pool:
        return [each.result(SECONDS) for each in [pool.submit(act, do) for do in acts]]


def test_of_two_who_order_the_last_place_one_gets_it(
    shop: Shop, ticket: TicketType, monkeypatch: pytest.MonkeyPatch
) -> None:
    wishes = [shop.wish(ticket, method="") for _ in range(2)]
    found = together(monkeypatch, *[lambda wish=wish: shop.place(wish) for wish in wishes])
    assert sorted(type(each).__name__ for each in found) == ["Order", "SoldOut"]
    assert shop.stock(ticket) == (1, 0)


def test_an_order_is_of_the_event_as_it_is_changed_at_the_same_moment(shop: Shop) -> None:
    """No test order stands in an event that is live, nor the other way round."""
    wish, of = shop.wish(shop.ticket(price=0), method=""), shop.of
    with of.database.tenant_session(of.tenant.id) as session:
        event = locked_event(session, of.event.uid)
        event.test_mode = True
        session.flush()
        order = while_begun(of.database, session, lambda: shop.place(wish))
    assert order.test_mode


def test_two_presses_of_the_button_are_one_order_of_the_last_place(
    shop: Shop, ticket: TicketType, monkeypatch: pytest.MonkeyPatch
) -> None:
    wish = shop.wish(ticket, method="")
    first, second = together(monkeypatch, *[lambda: shop.place(wish)] * 2)
    assert isinstance(first, Order) and isinstance(second, Order)
    assert first.id == second.id
    assert shop.stock(ticket) == (1, 0)


def test_of_two_expired_orders_one_gets_the_last_place(
    shop: Shop, ticket: TicketType, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = []
    for _ in range(2):
        order = shop.run(shop.place(shop.wish(ticket, method="")), upto="process_payment")
        with shop.of.database.tenant_session(shop.of.tenant.id) as session:
            expire(session, session.get_one(Order, order.id), shop.of.clock.now())
            session.commit()
        orders.append(order)
    links = [shop.links(order)["update_inventory"] for order in orders]
    assert sorted(map(str, together(monkeypatch, *links))) == ["go", "stop"]
    assert sorted(shop.order(order).status for order in orders) == ["failed", "paid"]
    assert shop.stock(ticket) == (0, 1)
