"""What a Prometheus reads from the brokers."""

import pytest
from click.testing import CliRunner

from onqueue import Job, QueueManager
from onqueue.bus.dispatcher import dispatcher_of
from onqueue.console import build_group


class Wait(Job):
    number: int = 0

    def handle(self) -> None: ...


def manager_at(url: str) -> QueueManager:
    return QueueManager("redis", {"redis": {"driver": "redis", "url": url, "queue": "slow"}})


def scraped(manager: QueueManager) -> str:
    result = CliRunner().invoke(build_group(lambda: manager), ["metrics"])
    assert result.exit_code == 0, result.output
    return result.output


def test_what_waits_is_told_by_queue_and_state(redis_url: str) -> None:
    """B19."""
    manager = manager_at(redis_url)
    dispatcher = manager.connection()
    with_jobs = [Wait(number) for number in range(3)]
    dispatcher_of(manager).dispatch_many([*with_jobs, Wait().delay(60)])
    told = scraped(manager)
    dispatcher.close()
    waiting = 'onqueue_jobs_waiting{connection="redis",queue="slow",state="%s"} %s'
    assert waiting % ("ready", "3.0") in told
    assert waiting % ("delayed", "1.0") in told
    assert 'onqueue_broker_up{connection="redis"} 1.0' in told


def test_a_broker_that_is_away_is_told_as_down(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    told = scraped(manager_at(f"unix://{tmp_path}/nobody"))
    assert 'onqueue_broker_up{connection="redis"} 0.0' in told
