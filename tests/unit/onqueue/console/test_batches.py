"""The commands about batches, on batches that ended in this process."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from click.testing import Result

import onqueue
from onqueue import Batch, Job, QueueManager, batch
from onqueue.testing.clock import FakeClock

Run = Callable[..., Result]
healed: list[bool] = []


class Import(Job):
    name = "console.batches.import"
    connection = "sync"
    fails: bool = False

    def handle(self) -> None:
        if self.fails and not healed:
            self.fail("as told")


@pytest.fixture(autouse=True)
def _in_use(manager: QueueManager) -> Iterator[None]:
    healed.clear()
    with onqueue.using(manager):
        yield


def three(*, allow: bool = True) -> Batch:
    """Run a batch of three jobs of which one fails."""
    jobs = [Import(), Import(fails=True), Import()]
    return batch(jobs).name("Import").allow_failures(allow).dispatch()


def test_batches_are_listed_with_how_they_stand(run: Run) -> None:
    assert run("batches").output == "No batches.\n"
    done, stopped = three(), three(allow=False)
    lines = run("batches").output.splitlines()
    assert lines[0].split()[:4] == ["ID", "NAME", "CONNECTION", "STATE"]
    assert lines[1].split()[:4] == [stopped.id, "Import", "sync", "cancelled"]
    assert lines[2].split()[-4:] == ["3", "0", "1", "100"]
    assert len(run("batches", "--limit=1").output.splitlines()) == 2
    listed = json.loads(run("batches", "--connection=sync", "--json").output)
    assert [one["id"] for one in listed] == [stopped.id, done.id]


def test_all_about_one_batch_is_shown(run: Run) -> None:
    found = three()
    assert f"id             {found.id}" in run("batches", found.id).output
    assert json.loads(run("batches", found.id, "--json").output)["failed"] == 1
    unknown = run("batches", "f" * 32)
    assert (unknown.exit_code, "There is no batch" in unknown.output) == (1, True)


def test_the_failed_members_of_a_batch_are_put_back(run: Run) -> None:
    """C70."""
    found = three()
    healed.append(True)
    assert run("retry-batch", found.id).output == f"1 failed job of batch {found.id} put back.\n"
    assert found.fresh().failed == 0
    assert found.fresh().finished


def test_a_member_that_is_not_in_the_failed_store_is_told_of(
    run: Run, manager: QueueManager
) -> None:
    found = three()
    manager.failed.flush()
    result = run("retry-batch", found.id)
    assert result.exit_code == 1
    assert "0 failed jobs" in result.output and "no failed job" in result.output


def test_a_batch_that_is_over_cannot_be_cancelled(run: Run) -> None:
    found = three()
    assert run("cancel-batch", found.id).exit_code == 1


def test_old_batches_are_forgotten(run: Run, clock: FakeClock, manager: QueueManager) -> None:
    """C75."""
    old = three()
    clock.advance(timedelta(hours=25).total_seconds())
    new, stopped = three(), three(allow=False)
    assert run("prune-batches").output == "1 batch forgotten.\n"
    assert onqueue.find_batch(old.id) is None
    assert onqueue.find_batch(new.id) is not None
    clock.advance(3600 * 3)
    assert run("prune-batches", "--cancelled=2").output == "1 batch forgotten.\n"
    assert onqueue.find_batch(stopped.id) is None
    assert run("prune-batches", "--hours=1").output == "1 batch forgotten.\n"
    assert run("prune-batches", "--hours=0", "--unfinished=1").output == "0 batches forgotten.\n"
