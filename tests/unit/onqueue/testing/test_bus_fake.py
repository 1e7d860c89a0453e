"""The fake bus."""

from collections.abc import Callable
from typing import Any

import pytest

import onqueue
from onqueue import Job
from onqueue.errors import OnQueueError, UnserializableArgument
from onqueue.testing import BusFake, bus_fake, chained_batch


class Validate(Job):
    name = "Validate.bus"
    order: int = 1

    def handle(self) -> None: ...


class Pay(Job):
    name = "Pay.bus"
    order: int = 1

    def handle(self) -> None: ...


class Ship(Job):
    name = "Ship.bus"
    order: int = 1

    def handle(self) -> None: ...


def test_jobs_are_kept_with_the_way_they_went() -> None:
    """K85, B20."""
    with bus_fake() as bus:
        Validate(1).dispatch()
        Validate(2).dispatch_sync()
        Pay(3).dispatch_after_response()
        onqueue.dispatch_many([Ship(4), Ship(5)])
        bus.assert_dispatched(Validate, times=2)
        bus.assert_dispatched_sync(Validate, lambda job: job.order == 2)
        bus.assert_dispatched_after_response(Pay)
        bus.assert_dispatched(Ship, lambda job: job.order == 5)
        bus.assert_not_dispatched(Ship, lambda job: job.order == 6)
        bus.assert_dispatched_without_chain(Ship)
        bus.assert_nothing_chained()
        bus.assert_nothing_batched()
        assert bus.dispatched[0].job == Validate(1)


def test_chains_and_batches_are_kept_whole() -> None:
    """K85."""
    with bus_fake() as bus:
        onqueue.chain([Validate(), onqueue.batch([Pay(1), [Pay(2), Ship()]]), Ship()]).dispatch()
        onqueue.batch([Pay(3)]).name("Payments").allow_failures().dispatch()
        kept = bus.assert_chained(
            [Validate, chained_batch(lambda one: len(one.members) == 2), Ship]
        )
        assert kept.links[0] == Validate()
        bus.assert_chained([Validate(1), chained_batch(), Ship(1)])
        batch = bus.assert_batched(lambda one: one.name == "Payments")
        assert batch.allow_failures
        bus.assert_batch_count(1)
        with pytest.raises(AssertionError, match="Validate"):
            bus.assert_chained([Validate, Ship])


@pytest.mark.parametrize(
    "claim",
    [
        lambda bus: bus.assert_dispatched(Ship),
        lambda bus: bus.assert_dispatched(Pay, times=2),
        lambda bus: bus.assert_dispatched_sync(Pay),
        lambda bus: bus.assert_not_dispatched(Pay),
        lambda bus: bus.assert_nothing_dispatched(),
        lambda bus: bus.assert_nothing_chained(),
        lambda bus: bus.assert_nothing_batched(),
        lambda bus: bus.assert_batched(lambda one: one.name == "another"),
        lambda bus: bus.assert_chained([Validate, chained_batch()]),
        lambda bus: bus.assert_dispatched_without_chain(Validate),
    ],
)
def test_a_wrong_claim_fails_with_a_list_of_what_there_was(
    claim: Callable[[BusFake], Any],
) -> None:
    with bus_fake() as bus:
        Pay(7).dispatch()
        onqueue.chain([Validate(), Ship()]).dispatch()
        onqueue.batch([Pay(8)]).name("Payments").dispatch()
        with pytest.raises(AssertionError, match=r"Pay\(order=7\)"):
            claim(bus)


def test_what_cannot_travel_fails_the_test() -> None:
    """B20."""
    with bus_fake():
        with pytest.raises(UnserializableArgument):
            Pay(object()).dispatch()  # type: ignore[arg-type]
        with pytest.raises(OnQueueError, match="Link 2 of the chain"):
            onqueue.chain([Pay(), Ship(object())]).dispatch()  # type: ignore[arg-type]


def test_the_plugin_brings_the_fakes_as_fixtures(pytester: pytest.Pytester) -> None:
    """B20."""
    pytester.makepyfile(
        """
        import onqueue

        class Greet(onqueue.Job):
            name = "Greet.plugin"
            who: str
            def handle(self): ...

        def test_queue(queue_fake):
            Greet("ann").dispatch()
            queue_fake.assert_pushed(Greet, lambda job: job.who == "ann")

        def test_bus(bus_fake):
            onqueue.chain([Greet("ann"), Greet("bob")]).dispatch()
            bus_fake.assert_chained([Greet, Greet])

        def test_clock(fake_clock):
            fake_clock.advance(5)
            assert fake_clock.monotonic() == 5
        """
    )
    ran = pytester.runpytest_inprocess("-p", "no:randomly")
    ran.assert_outcomes(passed=3)
