"""size, clear, restart, replay-unknown."""

import json
from collections.abc import Callable

import pytest
from click.testing import Result

from onqueue.connections import QueueManager
from onqueue.contracts import Message
from support.broker_double import BrokerDouble
from support.outbox_records import job_id

Run = Callable[..., Result]


def push(broker: BrokerDouble, number: int, queue: str = "default", delay: float = 0) -> None:
    broker.push(Message(job_id(number), queue, b"{}", delay))


def test_size_shows_every_queue_of_every_connection_that_counts(
    run: Run, broker: BrokerDouble
) -> None:
    push(broker, 1)
    push(broker, 2, delay=9)
    push(broker, 3, "mails")
    broker.pause("mails", "provider is down")
    lines = [line.split() for line in run("size").output.splitlines()]
    assert lines[1] == ["redis", "default", "1", "1", "0", "0", "2"]
    assert lines[2] == ["redis", "mails", "1", "0", "0", "0", "1", "provider", "is", "down"]
    assert lines[3] == ["redis-long", "exports", "0", "0", "0", "0", "0"]
    assert len(lines) == 4


def test_size_of_some_queues_as_json(run: Run, broker: BrokerDouble) -> None:
    push(broker, 1, "mails")
    found = json.loads(run("size", "redis", "--queue", "mails,none", "--json").output)
    assert [(row["queue"], row["ready"], row["paused"]) for row in found] == [
        ("mails", 1, None),
        ("none", 0, None),
    ]


def test_a_connection_that_cannot_count_is_refused_by_name(run: Run) -> None:
    result = run("size", "sync")
    assert result.exit_code == 1
    assert "driver 'sync' of connection 'sync' cannot do" in result.output


def test_an_unknown_connection_is_told_with_the_nearest(run: Run) -> None:
    result = run("size", "redsi")
    assert result.exit_code == 1
    assert "There is no connection 'redsi', did you mean 'redis'?" in result.output


def test_clear_asks_first(run: Run, broker: BrokerDouble) -> None:
    push(broker, 1)
    refused = run("clear", typed="n\n")
    assert (refused.exit_code, len(broker.waiting)) == (1, 1)
    assert "Delete what waits on queue 'default' of 'redis' (1 job)?" in refused.output
    assert run("clear", typed="y\n").exit_code == 0
    assert broker.waiting == {}


def test_clear_by_force_clears_one_queue(run: Run, broker: BrokerDouble) -> None:
    push(broker, 1)
    push(broker, 2, "mails")
    result = run("clear", "redis", "--queue", "mails", "--force")
    assert result.output == "1 job deleted from queue 'mails' of 'redis'.\n"
    assert list(broker.waiting) == [job_id(1)]


def test_clear_of_a_queue_nobody_knows_names_the_nearest(run: Run, broker: BrokerDouble) -> None:
    push(broker, 1, "emails")
    result = run("clear", "--queue", "emials", "--force")
    assert result.exit_code == 1
    assert "has no queue 'emials', did you mean 'emails'?" in result.output


@pytest.mark.parametrize("command", ["pause", "restart", "resume"])
def test_a_driver_without_workers_is_refused(run: Run, command: str) -> None:
    result = run(command, "sync")
    assert result.exit_code == 1
    assert "driver 'sync'" in result.output


def test_restart_tells_all_connections_with_workers(
    run: Run, broker: BrokerDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        BrokerDouble, "request_restart", lambda self: asked.append(self.name), raising=False
    )
    assert run("restart").output == (
        "Restart requested from the workers of 'redis', 'redis-long'.\n"
    )
    assert asked == ["redis", "redis-long"]


def test_replay_unknown_puts_one_name_or_all_back(
    run: Run, broker: BrokerDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []

    def replay(_self: BrokerDouble, name: str | None = None) -> int:
        asked.append(name)
        return 2

    monkeypatch.setattr(BrokerDouble, "replay_unknown", replay, raising=False)
    assert run("replay-unknown").output == "2 parked jobs put back on 'redis'.\n"
    run("replay-unknown", "Old")
    assert asked == [None, "Old"]
    assert run("replay-unknown", "--connection", "sync").exit_code == 1


def test_a_broker_that_is_away_is_one_line_and_exit_code_1(
    run: Run, manager: QueueManager, broker: BrokerDouble
) -> None:
    broker.away = True
    result = run("size", "redis")
    assert result.exit_code == 1
    assert result.output.startswith("Error: The broker of connection 'redis'")
    assert len(result.output.splitlines()) == 1
