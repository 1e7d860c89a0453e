"""A real worker runs the chain that an order's commit has dispatched."""

import subprocess
import sys
from pathlib import Path

from meet2be.attendees.models import Attendee
from meet2be.bootstrap import bootstrap
from meet2be.config import Settings
from meet2be.db import Database
from meet2be.figures.models import EventStats
from meet2be.orders.models import Shipment
from onqueue.clock import SystemClock
from onqueue.testing.clock import FakeClock
from support.cancelling import conference, running_provider
from support.ordering import BERLIN, Shop
from support.simulators import API_KEY

ROOT = Path(__file__).parents[3]


def work(environment: dict[str, str], connection: str, queue: str) -> None:
    """Run a worker until its queue is empty."""
    ended = subprocess.run(
        [sys.executable, "-m", "workers", "queue", connection, f"--queue={queue}",
         "--stop-when-empty"],
        env=environment, cwd=ROOT, timeout=180, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]


def test_an_order_goes_its_way_through_a_worker(
    sqlite_database: Database, clock: FakeClock, redis_url: str, tmp_path: Path
) -> None:
    """F24: what travels is the order's name alone."""
    with running_provider(tmp_path / "provider") as provider:
        environment = {
            "MEET2BE_ENV": "test",
            "VAR_DIR": str(tmp_path),
            "DATABASE_URL": f"sqlite:///{sqlite_database.engine.url.database}",
            "REDIS_URL": redis_url,
            "STRIPE_API_KEY": API_KEY,
            "STRIPE_API_BASE": provider.url,
            "STRIPE_WEBHOOK_SECRET": "whsec_tests",
        }
        clock.advance(max(0.0, SystemClock().time() - clock.time()))
        services = bootstrap(Settings.from_env(environment))
        with conference(sqlite_database, clock, provider) as made:
            shop = Shop(made)
            ticket = shop.ticket(is_shipped=True)
            order = shop.place(shop.wish(ticket, address=BERLIN))
            work(environment, "redis", "high")
            assert shop.order(order).status == "paid"
            for _ in range(5):  # they wait a few seconds for other changes
                if not shop.of.rows(EventStats):
                    work(environment, "redis-long", "processing")
            assert {step for step, state in shop.steps(order).items() if state != "done"} == set()
            assert len(shop.charges(order)) == 1
            assert len(shop.of.rows(Attendee)) == len(shop.of.rows(Shipment)) == 1
            assert [each.sold for each in shop.of.rows(EventStats)] == [1]
        services.close()
