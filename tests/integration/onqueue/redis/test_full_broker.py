"""A full server takes no more jobs and says so; everything that empties it goes through."""

from collections.abc import Iterator

import pytest

from meet2be.local.valkey import ValkeyServer
from onqueue.contracts import Burial
from onqueue.drivers.redis.staging import Staging, write_staging
from onqueue.drivers.redis.wire import FIRST_WITH_FLAGS, server_version
from onqueue.errors import BrokerFull
from onqueue.quotas import Pause, Quota
from onqueue.testing.batch_contract import batch_of
from onqueue.testing.chain_contract import chain_of
from onqueue.testing.unique_contract import claiming
from support.redis_rig import Rig, message, rig
from support.servers import private_valkey
from support.waiting import eventually


@pytest.fixture(scope="module")
def small_server() -> Iterator[ValkeyServer]:
    with private_valkey(appendfsync="no") as server:
        yield server


@pytest.fixture(params=[0, 1], ids=["plain scripts (6.2)", "flagged scripts (7.0)"])
def broker(small_server: ValkeyServer, request: pytest.FixtureRequest) -> Iterator[Rig]:
    with rig(small_server.url) as made:
        made.client.config_set("maxmemory", 0)
        made.client.flushall()
        if request.param and server_version(made.client.info("server")) < FIRST_WITH_FLAGS:
            pytest.skip("this server knows no flags")
        for of in (made.queue._broker, made.leases._broker):
            of._forms._form = request.param
        yield made
        made.client.config_set("maxmemory", 0)


def fill(broker: Rig) -> None:
    """Leave no memory for anything new."""
    broker.client.config_set("maxmemory", 1)


def test_a_push_to_a_full_server_is_refused_and_stores_nothing(broker: Rig) -> None:
    broker.push(3)
    fill(broker)
    before = broker.dump()
    for one in (message(), message(delay=5.0), message(once=60.0)):
        with pytest.raises(BrokerFull, match="maxmemory"):
            broker.queue.push(one)
        with pytest.raises(BrokerFull, match="takes no more jobs"):
            broker.queue.push_many([one] * 3)
    assert broker.dump() == before


def test_a_full_server_is_in_danger_and_yet_lets_workers_start(broker: Rig) -> None:
    inspection = broker.queue.inspection()
    assert inspection.danger() == ""
    broker.client.config_set("maxmemory", "64mb")
    assert inspection.danger() == ""
    fill(broker)
    assert "it is full and takes no more jobs" in inspection.danger()
    broker.queue.check()


def test_jobs_are_worked_off_on_a_full_server(broker: Rig) -> None:
    ids = broker.push(6)
    fill(broker)
    consumer = broker.consumer()
    jobs = consumer.turn(4, []).jobs
    assert [job.id for job in jobs] == ids[:4]
    consumer.mark(None, jobs[0].id)
    consumer.mark(jobs[0].id, jobs[1].id)
    assert broker.leases.renew(consumer.holder) == 30.0
    assert consumer.ack(jobs[1]) is True
    assert consumer.release(jobs[2], 30.0, attempts=1, exceptions=1) is True
    assert consumer.locks().acquire("k", jobs[3].id, None) is True
    assert consumer.locks().release("k", jobs[3].id) is True
    consumer.give_back([jobs[3].id])
    assert [job.id for job in consumer.turn(9, [jobs[0].id]).jobs] == ids[3:]
    assert broker.queue.size("default").delayed == 1


def test_marks_are_taken_by_a_full_server(broker: Rig) -> None:
    ids = broker.push(3)
    consumer = broker.consumer()
    consumer.turn(3, [])
    fill(broker)
    consumer.mark(None, ids[0])
    consumer.mark(ids[0], ids[1])
    broker.arrive(consumer)
    assert [job.id for job in broker.leases.bury(consumer.holder, Burial("death"))] == [ids[1]]
    other = broker.consumer()
    assert [(job.id, job.attempts) for job in other.turn(9, []).jobs] == [(ids[1], 1), (ids[2], 0)]


def test_lapsed_holders_locks_and_parked_jobs_move_on_a_full_server(broker: Rig) -> None:
    owner, waiting = broker.consumer(), broker.consumer()
    job = broker.start(owner)
    assert owner.locks().acquire("k", job.id, None)
    parked = broker.start(waiting)
    fill(broker)
    assert waiting.park(parked, "k") is True
    broker.queue.time_offset = 20.0
    assert broker.leases.renew(waiting.holder) == 30.0
    broker.queue.time_offset = 31.0
    assert broker.leases.reap()[0] == 1
    assert {one.id for one in waiting.turn(9, []).jobs} == {job.id, parked.id}
    assert broker.queue.clear("default") == 0


def test_a_full_server_takes_neither_claims_nor_chains_nor_batches(broker: Rig) -> None:
    plan = batch_of(1)
    broker.queue.start_batch(plan)
    fill(broker)
    before = broker.dump()
    with pytest.raises(BrokerFull):
        broker.queue.push_unique([claiming()])
    with pytest.raises(BrokerFull):
        broker.queue.start_chain(chain_of(2))
    with pytest.raises(BrokerFull):
        broker.queue.start_batch(batch_of(300))
    with pytest.raises(BrokerFull):
        broker.queue.add_to_batch(plan.id, [message()])
    assert broker.dump() == before


def test_a_server_that_fills_up_while_a_plan_is_written_keeps_nothing_of_it(broker: Rig) -> None:
    before = broker.dump()
    staging = Staging(broker.queue._keys, "redis")
    staging.chain(chain_of(2, catch=[message()]))
    scripts = broker.queue._tied
    write = broker.queue._broker.ask

    def full(*commands: bytes) -> list[object]:
        if b"HSET" in commands[0]:
            fill(broker)
        return write(*commands)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(broker.queue._broker, "ask", full)
        with pytest.raises(BrokerFull):
            write_staging(broker.queue._broker, scripts, staging)
    assert broker.dump() == before


def test_chains_and_batches_go_on_to_their_ends_on_a_full_server(broker: Rig) -> None:
    plan = batch_of(chain_of(2), claiming(), kinds=("progress", "then", "finally"))
    broken = chain_of(2, catch=[message(payload=b"catch")])
    broker.queue.start_batch(plan)
    broker.queue.start_chain(broken)
    fill(broker)
    consumer = broker.consumer("default", "low")
    ran = []
    while jobs := consumer.turn(1, []).jobs:
        ran.append(jobs[0].payload)
        if jobs[0].id == broken.links[0].id:
            assert consumer.fail(jobs[0]) is True
        elif len(ran) % 2:
            consumer.turn(0, [jobs[0].id])
        else:
            assert consumer.ack(jobs[0]) is True
    assert sorted(ran) == sorted([b"{}"] * 4 + [b"catch", b"then", b"finally"] + [b"progress"] * 3)
    broker.leases.reap()
    assert broker.queue.claims() == []


def test_jobs_wait_for_their_quotas_and_go_on_on_a_full_server(broker: Rig) -> None:
    rate, slot = Quota("rate", "r", 2, 60.0), Quota("slots", "s", 1)
    ids = broker.push(4)
    consumer, other = broker.consumer(), broker.consumer()
    first, second, third, fourth = consumer.turn(4, []).jobs
    fill(broker)
    limits = consumer.limits()
    assert limits.admit([slot, rate], first.id, "default") is None
    for job in (second, third):
        assert limits.admit([slot, rate], job.id, "default") is not None
        consumer.wait_turn(job, [slot, rate])
    broker.queue.pause_work(Pause("job", "Mail"))
    consumer.wait_turn(fourth, [Quota("pause", "j:Mail")])
    limits.hit(Quota("faults", "f", 1, 60.0))
    limits.hit(Quota("moving", "one", 1, 60.0))
    assert limits.take_each([Quota("moving", key, 2, 60.0) for key in "ab"]) == [None, None]
    limits.free([slot], first.id)
    assert [job.id for job in other.turn(1, []).jobs] == ids[1:2]
    broker.leases.bury(other.holder, Burial("lapsed"))
    broker.leases.reap()
    broker.queue.time_offset = 61.0
    assert broker.queue.resume_work("job", "Mail") is True
    back = [job.id for _ in range(9) for job in consumer.turn(9, []).jobs]
    assert sorted(back) == sorted(ids[1:])


def test_a_server_that_cannot_write_its_snapshot_is_in_danger_until_it_can(
    small_server: ValkeyServer, broker: Rig
) -> None:
    inspection, client = broker.queue.inspection(), broker.client
    in_the_way = small_server.directory / "dump.rdb"

    def snapshot() -> str:
        client.bgsave()
        eventually(lambda: not client.info("persistence")["rdb_bgsave_in_progress"])
        return str(client.info("persistence")["rdb_last_bgsave_status"])

    in_the_way.unlink(missing_ok=True)
    in_the_way.mkdir()
    assert snapshot() == "err"
    assert inspection.danger() == ""  # nobody asked for snapshots, so it takes jobs all the same
    broker.push(1)
    client.config_set("save", "3600 1")
    try:
        with pytest.raises(BrokerFull, match="cannot write"):
            broker.push(1)
        assert "it could not write a snapshot and takes no more jobs" in inspection.danger()
        in_the_way.rmdir()
        assert snapshot() == "ok"
        assert inspection.danger() == ""
        broker.push(1)
    finally:
        client.config_set("save", "")
