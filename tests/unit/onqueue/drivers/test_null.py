"""A connection that throws its jobs away."""

import onqueue
from onqueue import Job, QueueManager
from onqueue.contracts import QueueSize
from onqueue.failed import MemoryFailedJobs
from onqueue.testing import FakeClock


class Vanish(Job):
    unique = True
    number: int = 0

    def handle(self) -> None:
        raise AssertionError(self.number)


def test_what_is_dispatched_to_null_is_taken_and_never_runs() -> None:
    """K43."""
    failed = MemoryFailedJobs(FakeClock())
    manager = QueueManager("null", {"null": {"driver": "null"}}, failed)
    with onqueue.using(manager):
        first, second = Vanish().dispatch(), Vanish().dispatch()
        assert first != second
        assert len(onqueue.dispatch_many(Vanish(number) for number in range(3))) == 3
    queue = manager.connection()
    assert queue.size("default") == QueueSize()
    assert queue.knows([first, second]) == set()
    assert failed.all() == []
