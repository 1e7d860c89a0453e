"""retry: one, all, a group, at a rate, changed, or only counted."""

import json
from collections.abc import Callable

import pytest
from click.testing import Result

from onqueue import events
from onqueue.connections import QueueManager
from onqueue.contracts import Claim, Tie
from onqueue.job import Job
from onqueue.testing.clock import START, FakeClock
from onqueue.ties import tie_part
from support.broker_double import BrokerDouble
from support.failures import PAYLOAD, fail
from support.outbox_records import job_id

Run = Callable[..., Result]


def test_retry_puts_one_back_with_its_dispatch_moved_to_now(
    run: Run, manager: QueueManager, broker: BrokerDouble
) -> None:
    """C86."""
    fail(manager, 1, queue="mails")
    result = run("retry", job_id(1))
    assert (result.exit_code, result.output) == (0, "1 failed job put back.\n")
    [message] = broker.pushed
    assert (message.id, message.queue) == (job_id(1), "mails")
    assert message.once > 0 and message.token
    assert json.loads(message.payload)["at"] == START.timestamp() * 1000
    assert manager.failed.all() == []


def test_retry_tells_of_itself_first(run: Run, manager: QueueManager, broker: BrokerDouble) -> None:
    told: list[tuple[str, int]] = []

    def note(event: events.JobRetryRequested) -> None:
        told.append((event.failed.id, len(broker.pushed)))

    fail(manager, 1)
    with events.job_retry_requested.connected_to(note):
        run("retry", job_id(1))
    assert told == [(job_id(1), 0)]


def test_retry_all_puts_the_oldest_back_first(
    run: Run, manager: QueueManager, broker: BrokerDouble
) -> None:
    for number in (1, 2, 3):
        fail(manager, number)
    assert run("retry", "all").output == "3 failed jobs put back.\n"
    assert [message.id for message in broker.pushed] == [job_id(n) for n in (3, 2, 1)]


def test_retry_by_queue_leaves_the_others(
    run: Run, manager: QueueManager, broker: BrokerDouble
) -> None:
    fail(manager, 1, queue="mails")
    fail(manager, 2)
    assert run("retry", "--queue", "mails").exit_code == 0
    assert [message.id for message in broker.pushed] == [job_id(1)]


def test_retry_does_what_it_can_and_tells_what_it_could_not(
    run: Run, manager: QueueManager, broker: BrokerDouble
) -> None:
    fail(manager, 2)
    result = run("retry", "abc", job_id(2))
    assert result.exit_code == 1
    assert "1 failed job put back." in result.output
    assert "There is no failed job 'abc'." in result.output
    assert len(broker.pushed) == 1


def test_retry_stops_when_the_broker_is_away_and_keeps_the_jobs(
    run: Run, manager: QueueManager, broker: BrokerDouble
) -> None:
    fail(manager, 1)
    broker.away = True
    result = run("retry", "all")
    assert result.exit_code == 1
    assert "0 failed jobs put back before the error." in result.output
    assert "cannot be reached" in result.output
    broker.away = False
    assert run("retry", "all").exit_code == 0
    assert len(broker.pushed) == 1


@pytest.mark.parametrize("arguments", [["retry"], ["retry", "all", "--queue", "mails"]])
def test_retry_wants_ids_or_a_queue(run: Run, arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Name the jobs by id, or say 'all', or select them" in result.output


def test_retry_takes_a_group(run: Run, manager: QueueManager, broker: BrokerDouble) -> None:
    """B14."""
    for number in range(1, 5):
        fail(manager, number)
    fail(manager, 5, error="no such person")
    name = manager.failed.groups()[0].fingerprint
    assert run("retry", "--group", name[:12]).output == "4 failed jobs put back.\n"
    assert [failed.id for failed in manager.failed.all()] == [job_id(5)]
    assert len(broker.pushed) == 4


def test_retry_takes_a_range_with_both_its_ends(
    run: Run, manager: QueueManager, broker: BrokerDouble
) -> None:
    """K81."""
    for number in range(1, 7):
        fail(manager, number)
    assert run("retry", "--range", f"{job_id(2)}..{job_id(4)}").exit_code == 0
    assert [message.id for message in broker.pushed] == [job_id(n) for n in (4, 3, 2)]
    assert run("retry", "--range", job_id(1)).exit_code == 2
    result = run("retry", "--range", f"abc..{job_id(1)}")
    assert (result.exit_code, "There is no failed job 'abc'." in result.output) == (1, True)
    assert len(broker.pushed) == 3


def test_retry_of_no_more_than_so_many_takes_the_oldest(
    run: Run, manager: QueueManager, broker: BrokerDouble
) -> None:
    for number in range(1, 4):
        fail(manager, number)
    assert run("retry", "all", "--limit", "1").output == "1 failed job put back.\n"
    assert [message.id for message in broker.pushed] == [job_id(3)]
    assert run("retry", job_id(1), "--limit", "1").exit_code == 2


def test_a_retry_at_a_rate_is_no_faster(
    run: Run, manager: QueueManager, broker: BrokerDouble, clock: FakeClock
) -> None:
    """B14: ten a second, to the job."""
    pushed_at: list[float] = []

    def note(_event: events.JobRetryRequested) -> None:
        pushed_at.append(round((clock.now() - START).total_seconds(), 6))

    for number in range(1, 42):
        fail(manager, number)
    with events.job_retry_requested.connected_to(note):
        assert run("retry", "all", "--rate", "10/s").exit_code == 0
    assert pushed_at == [round(number / 10, 6) for number in range(41)]
    assert len(broker.pushed) == 41


def test_a_slow_retry_tells_how_far_it_is(run: Run, manager: QueueManager) -> None:
    for number in range(1, 4):
        fail(manager, number)
    output = run("retry", "all", "--rate", "6/m").output
    assert "2 of 3 put back …" in output
    assert output.endswith("3 failed jobs put back.\n")


def test_a_retry_that_is_interrupted_says_what_is_left_and_goes_on_when_repeated(
    run: Run, manager: QueueManager, broker: BrokerDouble, clock: FakeClock
) -> None:
    """B14: nothing lost, nothing doubled."""

    def interrupt(_event: events.JobRetryRequested) -> None:
        if len(broker.pushed) == 2:
            raise KeyboardInterrupt

    for number in range(1, 6):
        fail(manager, number)
    with events.job_retry_requested.connected_to(interrupt):
        result = run("retry", "all", "--rate", "1/s")
    assert result.exit_code == 130
    assert "2 failed jobs put back, 3 left." in result.output
    assert run("retry", "all").output == "3 failed jobs put back.\n"
    assert sorted(message.id for message in broker.pushed) == [job_id(n) for n in range(1, 6)]


@pytest.mark.parametrize("rate", ["fast", "0/s", "10/y", "-1/s", ""])
def test_a_rate_that_is_none_is_refused(run: Run, rate: str) -> None:
    result = run("retry", "all", "--rate", rate)
    assert result.exit_code == 2
    assert "is no rate: write it like 10/s, 300/m or 1000/h" in result.output


def test_a_dry_run_counts_and_changes_nothing(
    run: Run, manager: QueueManager, broker: BrokerDouble
) -> None:
    """B14."""
    for number in range(1, 4):
        fail(manager, number)
    fail(manager, 4, error="no such person")
    output = run("retry", "all", "--dry-run").output
    assert output.startswith("4 failed jobs would be put back.\n")
    assert [line.split()[1] for line in output.splitlines()[2:]] == ["3", "1"]
    counted = json.loads(run("retry", "all", "--dry-run", "--json").output)
    assert counted["would_put_back"] == 4
    assert run("retry", job_id(1), job_id(9), "--dry-run").exit_code == 1
    assert (broker.pushed, manager.failed.count()) == ([], 4)


# ---- with a change ----


class Resend(Job):
    mail: int
    note: str = ""

    def handle(self) -> None:
        """Nobody runs it."""


def fail_resend(manager: QueueManager) -> None:
    payload = b'{"v":1,"job":"Resend","at":1000,"data":{"mail":7,"note":"a"}}'
    fail(manager, 1, job="Resend", payload=payload)


def test_a_field_is_changed_and_the_job_retried(
    run: Run, manager: QueueManager, broker: BrokerDouble
) -> None:
    """B14."""
    fail_resend(manager)
    assert run("retry", job_id(1), "--set", "mail=8", "--set", 'note="b"').exit_code == 0
    assert json.loads(broker.pushed[0].payload)["data"] == {"mail": 8, "note": "b"}
    [edit] = manager.failed.edits(job_id(1))
    assert json.loads(edit.before)["data"]["mail"] == 7
    fail(manager, 1, job="Resend", payload=edit.after)
    assert "(changed 20" in run("failed", job_id(1)).output


@pytest.mark.parametrize(
    ("changes", "code", "problem"),
    [
        (["male=8"], 1, "it has no field 'male', did you mean 'mail'?"),
        (['mail="8"'], 1, "field 'mail' must be int, not \"8\""),
        (["mail"], 2, "'mail' is no change: write it like field=JSON"),
        (["note=b"], 2, "is no JSON (text: note='\"b\"')"),
        (["mail=[1"], 2, "'[1' of field 'mail' is no JSON"),
    ],
)
def test_a_change_that_cannot_be_changes_nothing(
    run: Run,
    manager: QueueManager,
    broker: BrokerDouble,
    changes: list[str],
    code: int,
    problem: str,
) -> None:
    """B14."""
    fail_resend(manager)
    before = manager.failed.find(job_id(1))
    result = run("retry", job_id(1), *(part for change in changes for part in ("--set", change)))
    assert result.exit_code == code
    assert problem in result.output
    assert (broker.pushed, manager.failed.edits(job_id(1))) == ([], [])
    assert manager.failed.find(job_id(1)) == before


def test_a_change_may_be_tried_first(run: Run, manager: QueueManager, broker: BrokerDouble) -> None:
    """B14."""
    fail_resend(manager)
    told = json.loads(run("retry", job_id(1), "--set", "mail=8", "--dry-run", "--json").output)
    assert told["changes"] == {"mail": {"before": 7, "after": 8}}
    shown = run("retry", job_id(1), "--set", "mail=8", "--dry-run").output
    assert shown.splitlines()[-1].split() == ["mail", "7", "8"]
    assert broker.pushed == []


def test_a_field_that_is_changed_twice_is_an_error(
    run: Run, manager: QueueManager, broker: BrokerDouble
) -> None:
    fail_resend(manager)
    result = run("retry", job_id(1), "--set", "mail=1", "--set", "mail=2")
    assert result.exit_code == 2
    assert "field 'mail' is given twice: it can have one value only" in result.output
    assert broker.pushed == []


@pytest.mark.parametrize("which", [["all"], [job_id(1), job_id(2)], ["--queue", "mails"]])
def test_a_change_is_of_one_job(run: Run, which: list[str]) -> None:
    result = run("retry", *which, "--set", "mail=8")
    assert result.exit_code == 2
    assert "--set changes one job: name it by its id." in result.output


# ---- with a lock ----


def test_a_unique_job_whose_lock_another_has_stays_and_is_told(
    run: Run, manager: QueueManager, broker: BrokerDouble
) -> None:
    """C58: also a retry takes the lock."""
    tie = json.dumps({"t": tie_part(Tie(claim=Claim("SendMail:7")))}, separators=(",", ":"))
    unique = PAYLOAD[:-1] + b"," + tie[1:].encode()
    fail(manager, 1, payload=unique)
    fail(manager, 2, payload=unique)
    fail(manager, 3)
    result = run("retry", "all")
    assert result.exit_code == 1
    assert "2 failed jobs put back." in result.output
    assert f"Failed job {job_id(1)!r} stays where it is" in result.output
    assert [failed.id for failed in manager.failed.all()] == [job_id(1)]
    told = json.loads(run("retry", job_id(1), "--json").output)
    assert [one["id"] for one in told["refused"]] == [job_id(1)]
    broker.run_all()
    assert run("retry", job_id(1)).exit_code == 0


def test_a_job_whose_connection_is_no_more_does_not_hold_up_the_others(
    run: Run, manager: QueueManager, broker: BrokerDouble
) -> None:
    fail(manager, 1)
    fail(manager, 2, connection="redsi")
    result = run("retry", "all")
    assert result.exit_code == 1
    assert "1 failed job put back." in result.output
    assert f"Failed job {job_id(2)!r}: There is no connection 'redsi'" in result.output
    found = manager.failed.find(job_id(2))
    assert found is not None
    assert not found.is_retrying
    assert [message.id for message in broker.pushed] == [job_id(1)]
