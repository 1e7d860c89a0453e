"""``python -m workers relay``: hands over what was committed, and looks for what was lost.

Each step is harmless when repeated and when several relays run: jobs whose push never happened,
durable jobs the broker has lost, mails whose sender died, webhooks without a job, the payment
provider's messages that were put off. It also watches what no job of the schedule can watch: the
schedule itself, and whether the brokers keep jobs.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

import click

from meet2be.bootstrap import Services, bootstrap, check_database
from meet2be.config import Settings
from meet2be.mailings.delivery import expire_lost_claims
from meet2be.payments.put_off import look_at_put_off_tx
from meet2be.telemetry import log_to_standard_output
from meet2be.webhooks.replaying import dispatch_lost
from onqueue.outbox.loop import run_forever
from onqueue.outbox.reconciler import Reconciler
from onqueue.outbox.relay import Relay
from onqueue.outbox.store import SqlOutbox
from onqueue.schedule.troubles import watch_scheduler, watch_servers

MAILS_EVERY = 10.0
MESSAGES_EVERY = 3.0
WEBHOOKS_EVERY = 60.0
WATCH_EVERY = 30.0
REMIND = 3_600.0
"""Seconds after which a trouble that goes on is told again."""


@dataclass(frozen=True, slots=True)
class Every:
    """A step of the loop: does ``act`` and comes again after ``seconds``."""

    seconds: float
    act: Callable[[], object]

    def step(self) -> float:
        """Do it once."""
        self.act()
        return self.seconds


@click.command("relay")
def relay() -> None:
    """Run until TERM or INT."""
    settings = Settings.from_env()
    log_to_standard_output(settings.log_level)
    services = bootstrap(settings)
    check_database(services)
    stop = threading.Event()

    def stop_soon(_signum: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, stop_soon)
    signal.signal(signal.SIGINT, stop_soon)
    run_forever(steps(services), stop, services.clock)
    services.close()


def steps(services: Services) -> list[Relay | Reconciler | Every]:
    """Return what this process does again and again."""
    clock = services.clock
    outbox = SqlOutbox(services.database.engine, clock)
    return [
        Relay(outbox, services.queues, clock),
        Reconciler(outbox, services.queues, clock),
        Every(MAILS_EVERY, lambda: _expire_mails(services)),
        Every(MESSAGES_EVERY, lambda: _look_at_messages(services)),
        Every(WEBHOOKS_EVERY, lambda: _send_lost_webhooks(services)),
        Every(WATCH_EVERY, lambda: _watch(services)),
    ]


def _watch(services: Services) -> None:
    watch_servers(services.queues, remind=REMIND)
    watch_scheduler(services.queues, remind=REMIND)


def _look_at_messages(services: Services) -> None:
    look_at_put_off_tx(services.database, services.payments.read, services.clock.now())


def _send_lost_webhooks(services: Services) -> None:
    with services.database.system_session("relay: webhooks whose job is lost") as session:
        dispatch_lost(session, services.clock.now())
        session.commit()


def _expire_mails(services: Services) -> None:
    with services.database.system_session("relay: mails whose sender died") as session:
        expire_lost_claims(session, services.deliveries.recorder, services.clock.now())
        session.commit()
