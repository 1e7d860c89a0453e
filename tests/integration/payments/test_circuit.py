"""The circuit breaker: its row is shared by all workers."""

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from sqlalchemy import Connection

from meet2be.db import Database
from meet2be.payments import circuit
from meet2be.payments.circuit import Circuit, Outcomes
from onqueue.testing.clock import FakeClock

NAME = "stripe:acct_1"
Found = TypeVar("Found")


class Breaker:
    """The circuit as one worker after the other sees it."""

    def __init__(self, database: Database, clock: FakeClock) -> None:
        self.database, self.clock = database, clock

    def record(self, letters: str, *, trouble: bool = False) -> Circuit | None:
        outcomes = Outcomes(letters, "http_503: down", trouble)
        return self._do(lambda link: circuit.record(link, NAME, outcomes, self.clock.now()))

    def state(self) -> str:
        found = self._do(lambda link: circuit.worst(link, ["stripe:", NAME]))
        return "closed" if found is None else found[1].state

    def probe(self, token: str) -> bool:
        return self._do(lambda link: circuit.take_probe(link, NAME, token, self.clock.now()))

    def _do(self, act: Callable[[Connection], Found]) -> Found:
        with self.database.system_session("tests: a worker") as session:
            result = act(session.connection())
            session.commit()
        return result


def test_ten_failures_in_a_row_open_it(database: Database, clock: FakeClock) -> None:
    breaker = Breaker(database, clock)
    assert breaker.record("f" * 9) is None
    opened = breaker.record("f")
    assert opened is not None
    assert opened.retry_at == clock.now() + circuit.FIRST_PAUSE
    assert breaker.state() == "open"


def test_a_success_in_between_counts_again_from_nothing(
    sqlite_database: Database, clock: FakeClock
) -> None:
    breaker = Breaker(sqlite_database, clock)
    breaker.record("f" * 9 + "s")
    assert breaker.record("f" * 9) is None


def test_twenty_failures_among_a_hundred_open_it(
    sqlite_database: Database, clock: FakeClock
) -> None:
    breaker = Breaker(sqlite_database, clock)
    breaker.record(("s" * 4 + "f") * 19)
    assert breaker.state() == "closed"
    breaker.record("ssssf")
    assert breaker.state() == "open"


def test_failures_of_long_ago_are_forgotten(sqlite_database: Database, clock: FakeClock) -> None:
    breaker = Breaker(sqlite_database, clock)
    breaker.record("sf" * 19)
    breaker.record("s" * 100)
    breaker.record("sf")
    assert breaker.state() == "closed"


def test_one_worker_probes_when_the_pause_is_over(database: Database, clock: FakeClock) -> None:
    breaker = Breaker(database, clock)
    breaker.record("f" * 10)
    assert not breaker.probe("early")
    clock.advance(circuit.FIRST_PAUSE.total_seconds())
    assert breaker.probe("first")
    assert not breaker.probe("second")
    breaker.record("s")
    assert breaker.state() == "closed"


def test_a_probe_that_fails_opens_it_for_longer(
    sqlite_database: Database, clock: FakeClock
) -> None:
    breaker = Breaker(sqlite_database, clock)
    breaker.record("f" * 10)
    clock.advance(circuit.FIRST_PAUSE.total_seconds())
    breaker.probe("first")
    opened = breaker.record("f")
    assert opened is not None
    assert opened.retry_at == clock.now() + 2 * circuit.FIRST_PAUSE


def test_a_probe_whose_worker_died_is_taken_over(
    sqlite_database: Database, clock: FakeClock
) -> None:
    breaker = Breaker(sqlite_database, clock)
    breaker.record("f" * 10)
    clock.advance(circuit.FIRST_PAUSE.total_seconds())
    assert breaker.probe("dies")
    clock.advance((circuit.PROBE_TIME + timedelta(seconds=1)).total_seconds())
    assert breaker.probe("next")


def test_answers_that_were_under_way_when_it_opened_do_not_close_it(
    sqlite_database: Database, clock: FakeClock
) -> None:
    breaker = Breaker(sqlite_database, clock)
    breaker.record("f" * 10)
    breaker.record("s" * 8)
    assert breaker.state() == "open"


def test_trouble_with_our_own_account_opens_it_at_once(
    sqlite_database: Database, clock: FakeClock
) -> None:
    assert Breaker(sqlite_database, clock).record("f", trouble=True) is not None
