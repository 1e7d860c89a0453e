"""An event is cancelled at the moment at which something is done with one of its orders."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from meet2be.cancellations.closing import insert_items
from meet2be.db import Database
from onqueue.testing.clock import FakeClock
from simulators.processes import ProviderProcess
from support.cancelling import conference
from support.meanwhile import somebody_waits
from support.ordering import Shop
from support.waiting import eventually

pytestmark = pytest.mark.postgres
SECONDS = 60
BEGIN = "meet2be.cancellations.services"


@pytest.fixture
def shop(
    postgres_database: Database, clock: FakeClock, provider: ProviderProcess
) -> Iterator[Shop]:
    """A shop on the server on which both are really at work."""
    with conference(postgres_database, clock, provider) as made:
        yield Shop(made)


def test_a_step_of_an_order_waits_for_the_cancellation_and_not_the_other_way_round_too(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = shop.run(shop.place(shop.wish(shop.ticket())), upto="update_inventory")
    run = shop.of.preview()
    late: list[Future[object]] = []

    def once_the_other_waits(*given: object) -> int:
        late.append(threads.submit(shop.links(order)["send_confirmation"]))
        eventually(lambda: somebody_waits(shop.of.database) or late[0].done())
        return insert_items(*given)  # type: ignore[arg-type]

    with ThreadPoolExecutor(1, "late") as threads:
        monkeypatch.setattr(f"{BEGIN}.insert_items", once_the_other_waits)
        shop.of.confirm(run)
        assert late[0].result(SECONDS) == "go"
    assert len(shop.of.items()) == 1
