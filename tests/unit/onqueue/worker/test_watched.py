"""Who pays for a process that died."""

from onqueue.contracts import Burial, Guilt
from onqueue.worker.shared import Exit, Running, Shared
from onqueue.worker.watched import Child, burial_of, is_unclear


def _child(*running: str) -> Child:
    shared = Shared(8, 3)
    for number, (slot, job_id) in enumerate(zip(shared.slots, running, strict=False), start=1):
        slot.begin(number, job_id, 0.0, 60.0, 0, 0)
    return Child(pid=0, holder="h", shared=shared, notices=0, started=0.0)


def _nobody(overran: Running) -> Guilt:
    raise AssertionError(overran)


A, B, C = ("a" * 32, "b" * 32, "c" * 32)


def test_a_death_costs_the_one_that_ran_and_none_of_several() -> None:
    """C14."""
    assert burial_of(_child(A), _nobody) == Burial("death")
    assert burial_of(_child(A, B), _nobody) == Burial("exit")
    assert is_unclear(_child(A, B))
    assert not is_unclear(_child(A))


def test_whoever_was_spared_once_pays_an_attempt_the_next_time() -> None:
    burial = burial_of(_child(A, B, C), _nobody, spared={B, "d" * 32})
    assert burial == Burial("lapsed", guilty=(Guilt(B),))


def test_a_process_that_ended_in_order_or_lost_its_lease_is_no_riddle() -> None:
    for exit_, kind in ((Exit.RECYCLED, "exit"), (Exit.LEASE_LOST, "lapsed")):
        child = _child(A, B)
        child.shared.leave(exit_)
        assert not is_unclear(child)
        assert burial_of(child, _nobody, spared={A, B}).kind == kind
