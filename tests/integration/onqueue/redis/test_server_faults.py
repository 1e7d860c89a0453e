"""Servers that forget scripts, die, are away, are replicas, or would let jobs vanish."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from meet2be.local.valkey import ValkeyServer
from onqueue.config import connection_config
from onqueue.contracts import Burial
from onqueue.drivers.redis import RedisQueue
from onqueue.errors import BrokerError, BrokerMisconfigured, BrokerUnavailable
from support.redis_rig import Rig, message, rig
from support.servers import private_valkey
from support.waiting import eventually


@pytest.fixture
def own_server() -> Iterator[ValkeyServer]:
    with private_valkey() as server:
        yield server


def test_scripts_a_server_forgot_are_loaded_again(broker: Rig) -> None:
    consumer = broker.consumer()
    for _ in range(3):
        broker.client.script_flush()
        broker.push(150)
        broker.client.script_flush()
        jobs = consumer.turn(100, []).jobs
        broker.client.script_flush()
        assert consumer.ack(jobs[0]) is True
        broker.client.script_flush()
        consumer.turn(0, [job.id for job in jobs[1:]])
    assert broker.queue.size("default").ready == 150


def has_grown_to(found: list[str], goal: int) -> bool:
    """Whether the list has so many entries."""
    return len(found) >= goal


def test_a_server_killed_while_jobs_are_pushed_and_worked_loses_nothing_acknowledged(
    own_server: ValkeyServer,
) -> None:
    pushed: list[str] = []
    confirmed: list[str] = []
    stopping = threading.Event()

    def dispatch(broker: Rig) -> None:
        while not stopping.is_set():
            one = message()
            try:
                broker.queue.push(one)
            except BrokerUnavailable:
                stopping.wait(0.01)
            else:
                pushed.append(one.id)

    with rig(own_server.url) as broker, rig(own_server.url) as working:
        thread = threading.Thread(target=dispatch, args=(broker,))
        thread.start()
        holder = working.leases.open()
        consumer = working.consumer(holder=holder)
        for _ in range(5):
            goal = len(pushed) + 30
            eventually(partial(has_grown_to, pushed, goal))
            jobs = consumer.turn(5, []).jobs
            for job in jobs:
                assert consumer.ack(job) is True
                confirmed.append(job.id)
            own_server.kill()
            own_server.start()
        stopping.set()
        thread.join()
        known = broker.queue.knows(pushed)
        assert known == set(pushed) - set(confirmed)
        assert broker.queue.knows(confirmed) == set()


def test_a_server_that_is_away_is_told_with_its_address_and_without_its_password() -> None:
    url = "redis://:secret@127.0.0.1:1/0"
    queue = RedisQueue(connection_config("redis", {"driver": "redis", "url": url}))
    acts: list[Callable[[], object]] = [
        lambda: queue.push(message()),
        queue.check,
        lambda: queue.leases().open(),
    ]
    for act in acts:
        with pytest.raises(BrokerUnavailable) as caught:
            act()
        assert "redis://127.0.0.1:1/0" in str(caught.value)
        assert "secret" not in str(caught.value)


def test_a_server_that_does_not_answer_is_given_up_at_the_deadline(
    own_server: ValkeyServer,
) -> None:
    """Whoever has the shorter deadline gives up first."""
    gave_up: list[str] = []

    def push(name: str, broker: Rig) -> None:
        with pytest.raises(BrokerUnavailable, match="Timeout"):
            broker.queue.push(message())
        gave_up.append(name)

    with rig(own_server.url, deadline=0.1) as hasty, rig(own_server.url, deadline=2) as patient:
        process = int(patient.client.info("server")["process_id"])
        threads = [
            threading.Thread(target=push, args=("patient", patient)),
            threading.Thread(target=push, args=("hasty", hasty)),
        ]
        patient.push(1)
        os.kill(process, signal.SIGSTOP)
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            os.kill(process, signal.SIGCONT)
        assert gave_up == ["hasty", "patient"]
        assert patient.queue.push(message()) is True


def test_a_start_that_could_not_be_told_is_not_told_later(own_server: ValkeyServer) -> None:
    with rig(own_server.url) as broker:
        consumer = broker.consumer()
        ids = broker.push(3)
        consumer.turn(3, [])
        consumer.mark(None, ids[0])
        broker.arrive(consumer)
        own_server.kill()
        with pytest.raises(BrokerUnavailable):
            consumer.mark(ids[0], ids[1])
        own_server.start()
        consumer.give_back(ids[1:])
        assert [job.id for job in broker.consumer().turn(9, []).jobs] == ids[1:]
        found = broker.leases.bury(consumer.holder, Burial("exit"))
        assert [job.id for job in found] == ids[:1]


def test_lines_a_server_closed_are_made_anew(broker: Rig) -> None:
    consumer = broker.consumer()
    broker.push(2)
    (job,) = consumer.turn(1, []).jobs
    consumer.mark(None, job.id)
    own = broker.client.client_id()
    for entry in broker.client.client_list():
        if int(entry["id"]) != own:
            broker.client.client_kill_filter(_id=entry["id"])
    assert broker.queue.push(message()) is True
    assert consumer.ack(job) is True
    assert broker.leases.renew(consumer.holder) == 30.0


def test_a_wrong_password_is_a_misconfiguration(broker: Rig) -> None:
    broker.client.acl_setuser("someone", enabled=True, passwords=["+right"], commands=["+@all"])
    try:
        with (
            rig(broker.url.replace("unix://", "unix://someone:wrong@")) as other,
            pytest.raises(BrokerMisconfigured, match="refuses this log-in") as caught,
        ):
            other.queue.push(message())
        assert "wrong@" not in str(caught.value)
    finally:
        broker.client.acl_deluser("someone")


def test_a_key_of_a_wrong_type_is_an_error_and_not_a_lost_job(broker: Rig) -> None:
    broker.client.set("{onqueue:redis}:ready:default", "tampered")
    with pytest.raises(BrokerError, match="WRONGTYPE"):
        broker.queue.push(message())


def test_an_id_without_a_payload_is_dropped_with_a_word(
    broker: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    lost, kept = broker.push(2)
    broker.client.hdel("{onqueue:redis}:payloads", lost)
    with caplog.at_level(logging.ERROR):
        assert [job.id for job in broker.consumer().turn(5, []).jobs] == [kept]
    assert lost in caplog.text
    assert broker.queue.size("default").total == 1


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "allkeys-random"])
def test_a_server_that_evicts_is_refused(broker: Rig, policy: str) -> None:
    broker.client.config_set("maxmemory-policy", policy)
    try:
        with pytest.raises(BrokerMisconfigured, match=f"'{policy}'.*noeviction"):
            broker.queue.check()
    finally:
        broker.client.config_set("maxmemory-policy", "noeviction")
    broker.queue.check()


def test_a_server_without_append_only_file_is_warned_of(
    own_server: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    with rig(own_server.url) as broker, caplog.at_level(logging.WARNING):
        broker.queue.check()
        assert caplog.text == ""
        broker.client.config_set("appendonly", "no")
        broker.queue.check()
    assert "appendonly yes" in caplog.text


def test_a_replica_is_refused(own_server: ValkeyServer) -> None:
    with rig(own_server.url) as broker:
        broker.client.replicaof("127.0.0.1", "1")
        with pytest.raises(BrokerMisconfigured, match="read-only replica"):
            broker.queue.check()
        with pytest.raises(BrokerUnavailable, match="read-only replica"):
            broker.queue.push(message())
        broker.client.replicaof("NO", "ONE")
        assert broker.queue.push(message()) is True


def test_a_log_in_that_may_not_look_is_not_judged(broker: Rig) -> None:
    broker.client.acl_setuser(
        "blind",
        enabled=True,
        passwords=["+secret"],
        keys=["*"],
        commands=["+@all", "-info", "-config"],
    )
    try:
        with rig(broker.url.replace("unix://", "unix://blind:secret@")) as other:
            other.queue.check()
            other.push(1)
            assert len(other.consumer().turn(1, []).jobs) == 1
    finally:
        broker.client.acl_deluser("blind")
