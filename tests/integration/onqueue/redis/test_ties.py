"""What hangs on jobs in the server: nothing outlives its job, and nothing is left half done."""

from typing import Any

from onqueue.contracts import BatchPlan, Burial, Message, Tie
from onqueue.drivers.redis.staging import Staging, write_staging
from onqueue.testing.batch_contract import batch_of
from onqueue.testing.chain_contract import chain_of
from onqueue.testing.unique_contract import claiming
from support.redis_rig import Rig, message

PREFIX = b"{onqueue:redis}:"
DAY = 86_400.0
BOOKS = (b"holders", b"queues", b"wake", b"schedule")
"""What a connection keeps of itself, without any job."""


def left(broker: Rig) -> set[bytes]:
    """Return the keys that are about jobs, without the prefix."""
    keys = {key.removeprefix(PREFIX) for key in broker.dump()}
    return {key for key in keys if key.split(b":")[0] not in BOOKS}


def run_all(broker: Rig, *, fail: frozenset[str] = frozenset()) -> list[str]:
    """Run what is ready until nothing is; return the ids in their order."""
    consumer = broker.consumer("default", "low")
    ran: list[str] = []
    while jobs := consumer.turn(20, []).jobs:
        ran += [job.id for job in jobs]
        done = [job.id for job in jobs if job.id not in fail]
        for job in jobs:
            if job.id in fail:
                assert consumer.fail(job) is True
        assert consumer.turn(0, done).refused == []
    return ran


def test_plain_jobs_leave_nothing_behind_and_know_of_no_ties(broker: Rig) -> None:
    broker.push(3)
    assert b"ties" not in left(broker)
    run_all(broker)
    assert left(broker) == set()


def test_claims_leave_nothing_behind(broker: Rig) -> None:
    replace: dict[str, Any] = {"on_conflict": "replace"}
    broker.queue.push_unique([claiming(str(n)) for n in range(5)])
    consumer = broker.consumer()
    consumer.turn(2, [])
    broker.queue.push_unique([claiming("0", claim=replace), claiming("3", claim=replace)])
    broker.leases.bury(consumer.holder, Burial("death"))
    assert len(run_all(broker)) == 6
    assert left(broker) == set()


def test_a_finished_chain_leaves_nothing_behind_but_its_state(broker: Rig) -> None:
    plan = chain_of(message(), batch_of(2), message())
    broker.queue.start_chain(plan)
    assert len(run_all(broker)) == 4
    inner = plan.links[1]
    assert left(broker) == {
        f"chain:{plan.id}".encode(),
        f"batch:{inner.id}".encode(),
        f"batch-members:{inner.id}".encode(),
        b"batches",
    }
    assert 0 < int(broker.client.ttl(f"{{onqueue:redis}}:chain:{plan.id}")) <= 3600
    assert broker.queue.forget_batch(inner.id) is True
    assert left(broker) == {f"chain:{plan.id}".encode()}


def test_a_broken_chain_is_kept_for_a_week(broker: Rig) -> None:
    plan = chain_of(2)
    broker.queue.start_chain(plan)
    run_all(broker, fail=frozenset([plan.links[0].id]))
    ttl = int(broker.client.ttl(f"{{onqueue:redis}}:chain:{plan.id}"))
    assert 6 * DAY < ttl <= 7 * DAY
    again = Message(plan.links[0].id, "default", b"{}", tie=Tie(chain=plan.id))
    broker.queue.push(again)
    assert int(broker.client.ttl(f"{{onqueue:redis}}:chain:{plan.id}")) == -1


def test_a_broken_chain_with_a_batch_in_it_is_gone_after_a_week(broker: Rig) -> None:
    inner = batch_of(chain_of(message(), batch_of(2)), message())
    plan = chain_of(message(), inner)
    broker.queue.start_chain(plan)
    run_all(broker, fail=frozenset([plan.links[0].id]))
    broker.leases.reap()
    assert broker.queue.chain(plan.id) is not None
    broker.queue.time_offset = 8 * DAY
    for _ in range(4):
        broker.leases.reap()
    assert left(broker) == set()


def test_a_plan_that_nobody_started_is_gone_after_a_day(broker: Rig) -> None:
    staging = Staging(broker.queue._keys, "redis")
    staging.batch(batch_of(chain_of(message(), batch_of(2)), *(message() for _ in range(250))))
    write_staging(broker.queue._broker, broker.queue._tied, staging)
    broker.leases.reap()
    assert left(broker) != set()
    broker.queue.time_offset = 1.5 * DAY
    for _ in range(4):
        broker.leases.reap()
    assert left(broker) == set()


def start_and_die(broker: Rig, plan: BatchPlan) -> None:
    """Start a batch as a dispatcher does that is killed right after its start took effect."""
    staging = Staging(broker.queue._keys, "redis")
    parcel = staging.batch(plan)
    write_staging(broker.queue._broker, broker.queue._tied, staging)
    assert broker.queue._broker.run(broker.queue._tied.start(staging.root, parcel)) == 1


def test_a_reaper_loads_on_what_a_dead_dispatcher_began(broker: Rig) -> None:
    plan = batch_of(450)
    start_and_die(broker, plan)
    assert broker.queue.size("default").ready == 100
    assert broker.queue.batch(plan.id).loading is True  # type: ignore[union-attr]
    for _ in range(4):
        broker.leases.reap()
    assert broker.queue.size("default").ready == 450
    assert broker.queue.batch(plan.id).loading is False  # type: ignore[union-attr]


def test_workers_load_on_what_a_dead_dispatcher_began(broker: Rig) -> None:
    plan = batch_of(650, kinds=("then",))
    start_and_die(broker, plan)
    assert len(run_all(broker)) == 651
    assert broker.queue.batch(plan.id).succeeded == 650  # type: ignore[union-attr]


def test_a_batch_that_a_link_started_is_loaded_to_its_end(broker: Rig) -> None:
    inner = batch_of(350)
    plan = chain_of(message(), inner, message())
    broker.queue.start_chain(plan)
    ran = run_all(broker)
    assert len(ran) == 352
    assert ran[-1] == plan.links[2].id


def test_a_cancelled_batch_that_is_still_loaded_ends(broker: Rig) -> None:
    plan = batch_of(250, kinds=("then", "finally"))
    start_and_die(broker, plan)
    assert broker.queue.cancel_batch(plan.id) is True
    ran = run_all(broker)
    assert ran[-1] == plan.callbacks["finally"][0].id
    assert broker.queue.batch(plan.id).finished_at is not None  # type: ignore[union-attr]


def test_a_long_run_of_links_that_lose_their_claims_is_skipped_to_its_end(broker: Rig) -> None:
    broker.queue.push(claiming(delay=600.0))
    plan = chain_of(*(claiming() for _ in range(1000)), message())
    broker.queue.start_chain(plan)
    for _ in range(5):
        broker.leases.reap()
    assert run_all(broker) == [plan.links[-1].id]
    assert broker.queue.chain(plan.id).done == 1001  # type: ignore[union-attr]


def test_reaping_frees_a_claim_whose_job_is_gone(broker: Rig) -> None:
    replace: dict[str, Any] = {"on_conflict": "replace"}
    first, second = claiming(), claiming(claim=replace)
    broker.queue.push_unique([first])
    consumer = broker.consumer()
    consumer.turn(1, [])
    broker.queue.push_unique([second])
    broker.client.hdel("{onqueue:redis}:payloads", first.id)
    assert [claim.orphaned for claim in broker.queue.claims(orphans_only=True)] == [True]
    broker.leases.reap()
    assert [claim.owner for claim in broker.queue.claims()] == [second.id]
    assert broker.queue.knows([second.id]) == {second.id}


def test_a_claim_of_a_job_that_is_gone_does_not_wait_for_a_reaper(broker: Rig) -> None:
    first, second = claiming(), claiming()
    broker.queue.push_unique([first])
    broker.client.hdel("{onqueue:redis}:payloads", first.id)
    assert broker.queue.push_unique([second]) == [second.id]


def test_a_retried_link_of_a_chain_that_is_gone_runs_alone(broker: Rig) -> None:
    tie = Tie(chain="c" * 32, batch="b" * 32)
    alone = message(tie=tie)
    assert broker.queue.push(alone) is True
    assert run_all(broker) == [alone.id]
    assert left(broker) == set()


def test_a_carrier_that_dies_halfway_takes_a_chain_once(broker: Rig) -> None:
    plan = chain_of(message(connection="away"), message())
    broker.queue.start_chain(plan)
    (moved,) = broker.queue.transfers()
    again = broker.queue.transfers()
    assert again == [moved]
    broker.queue.carried([moved])
    broker.queue.carried([moved])
    for _ in range(2):
        broker.leases.reap()
    assert left(broker) == set()


def test_a_moved_chain_with_a_batch_leaves_nothing_behind(broker: Rig) -> None:
    inner = batch_of(chain_of(2), message(), connection="away")
    broker.queue.start_chain(chain_of(inner, batch_of(2)))
    broker.queue.carried(broker.queue.transfers())
    for _ in range(3):
        broker.leases.reap()
    assert left(broker) == set()


def test_the_work_of_a_script_stays_bounded_when_a_large_batch_is_confirmed(broker: Rig) -> None:
    plan = batch_of(*(chain_of(3) for _ in range(200)), allow_failures=True)
    broker.queue.start_batch(plan)
    consumer = broker.consumer()
    jobs = [job for _ in range(2) for job in consumer.turn(100, []).jobs]
    broker.client.config_resetstat()
    assert consumer.turn(0, [job.id for job in jobs]).refused == []
    stats: Any = broker.client.info("commandstats")
    calls = sum(each["calls"] for each in stats.values())
    assert calls < 50 * len(jobs)
    assert broker.queue.size("default").total == 200
