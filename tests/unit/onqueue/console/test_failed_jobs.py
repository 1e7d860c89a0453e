"""failed, retry, forget, flush."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from click.testing import Result

from onqueue import events
from onqueue.connections import QueueManager
from onqueue.contracts import FailedJob
from onqueue.testing.clock import START
from support.broker_double import BrokerDouble
from support.outbox_records import job_id

Run = Callable[..., Result]


def fail(manager: QueueManager, number: int, *, queue: str = "default", hours: float = 0) -> None:
    manager.failed.record(
        FailedJob(
            id=job_id(number),
            connection="redis",
            queue=queue,
            job="SendMail",
            payload=b'{"v":1,"job":"SendMail","at":1000,"data":{"mail":7}}',
            error_type="smtplib.SMTPException",
            error=f"mailbox {number}\nis \x1b[31mfull",
            traceback="Traceback …",
            attempts=3,
            failed_at=START - timedelta(hours=hours, seconds=number),
        )
    )


def test_without_failed_jobs_it_says_so(run: Run) -> None:
    result = run("failed")
    assert (result.exit_code, result.output) == (0, "No failed jobs.\n")


def test_failed_lists_the_newest_first_in_one_line_each(run: Run, manager: QueueManager) -> None:
    fail(manager, 1)
    fail(manager, 2)
    head, first, second = run("failed").output.splitlines()
    assert head.split() == ["ID", "JOB", "CONNECTION", "QUEUE", "FAILED", "AT", "ATTEMPTS", "ERROR"]
    assert first.startswith(job_id(1)) and second.startswith(job_id(2))
    assert first.endswith("SMTPException: mailbox 1 is [31mfull")


def test_failed_pages_and_tells_how_to_go_on(run: Run, manager: QueueManager) -> None:
    for number in (1, 2, 3):
        fail(manager, number)
    first = run("failed", "--limit", "2").output
    assert f"--after {job_id(2)}" in first
    assert job_id(3) in run("failed", "--limit", "2", "--after", job_id(2)).output


def test_failed_speaks_json(run: Run, manager: QueueManager) -> None:
    fail(manager, 1)
    [found] = json.loads(run("failed", "--json").output)
    assert found["id"] == job_id(1)
    assert found["error"] == "mailbox 1\nis \x1b[31mfull"
    assert "payload" not in found


def test_failed_shows_all_about_one(run: Run, manager: QueueManager) -> None:
    fail(manager, 1)
    assert "Traceback …" in run("failed", job_id(1)).output
    assert json.loads(run("failed", job_id(1), "--json").output)["payload"]["data"] == {"mail": 7}


def test_a_failed_job_nobody_knows_is_an_error(run: Run) -> None:
    result = run("failed", "abc")
    assert result.exit_code == 1
    assert "There is no failed job 'abc'." in result.output


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
    assert "Name the jobs by id, or say 'all', or give --queue." in result.output


def test_forget_deletes_and_says_what_was_not_there(run: Run, manager: QueueManager) -> None:
    """K83."""
    fail(manager, 1)
    result = run("forget", job_id(1), "abc")
    assert result.exit_code == 1
    assert "1 failed job deleted." in result.output
    assert manager.failed.all() == []


def test_flush_deletes_what_is_old_enough(run: Run, manager: QueueManager) -> None:
    fail(manager, 1, hours=30)
    fail(manager, 2, hours=1)
    assert run("flush", "--hours", "24").output == "1 failed job deleted.\n"
    assert run("flush").output == "1 failed job deleted.\n"
    assert run("flush", "--hours", "-1").exit_code == 2
