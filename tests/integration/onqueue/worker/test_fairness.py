"""Tenants of one queue as a worker serves them: real processes on a real broker."""

from pathlib import Path

from onqueue import Job, dispatch_many
from onqueue.worker import WorkerOptions
from support.waiting import eventually
from support.worker_forks import ForkedWorker, make_test_manager
from support.worker_jobs import note, read_ledger


class OfTenant(Job):
    """Belongs to the tenant whose name its label begins with."""

    label: str

    def fair_key(self) -> str:
        return self.label[0]

    def handle(self) -> None:
        note(self, "ran")
        if self.label == "a1500":
            OfTenant("b").dispatch()


def test_a_tenant_that_comes_amid_the_jobs_of_another_starts_within_sixteen(
    tmp_path: Path, redis_url: str
) -> None:
    """B3."""
    manager = make_test_manager(tmp_path, redis_url)
    dispatch_many([OfTenant(f"a{number}") for number in range(2_000)])
    worker = ForkedWorker(tmp_path, redis_url, WorkerOptions(memory=0))
    try:
        eventually(lambda: len(read_ledger(tmp_path / "ledger")) == 2_001)
    finally:
        worker.end()
        manager.close()
    order = [line.label for line in read_ledger(tmp_path / "ledger")]
    assert order.index("b") - order.index("a1500") <= 16
    assert [label for label in order if label != "b"] == [f"a{number}" for number in range(2_000)]
