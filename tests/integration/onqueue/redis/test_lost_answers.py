"""When an answer is lost the server has done what was asked; asking again does not do it twice."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from meet2be.local.valkey import ValkeyServer
from onqueue.contracts import Burial, ChainEdit
from onqueue.drivers.redis.scripts import script
from onqueue.errors import BrokerUnavailable
from onqueue.quotas import Quota
from onqueue.testing.batch_contract import batch_of
from onqueue.testing.chain_contract import chain_of
from onqueue.testing.unique_contract import claiming
from support.proxy import LosingProxy, losing_proxy
from support.redis_rig import Rig, message, pipe, rig


@pytest.fixture
def proxy(valkey_server: ValkeyServer, redis_url: str) -> Iterator[LosingProxy]:
    with losing_proxy(Path(valkey_server.socket)) as made:
        yield made


@pytest.fixture
def broker(proxy: LosingProxy) -> Iterator[Rig]:
    with rig(f"unix://{proxy.path}") as made:
        load_scripts(made)
        yield made


def load_scripts(broker: Rig) -> None:
    """Let the server know every script, so that the next EVALSHA of each is executed."""
    for entry in (files("onqueue.drivers.redis") / "lua").iterdir():
        name = entry.name.removesuffix(".lua")
        if not name.startswith("_"):
            broker.client.script_load(script(name).source[form_of(broker)].decode())


def form_of(broker: Rig) -> int:
    """Return which form of the scripts the server takes."""
    return broker.queue._broker.use(lambda line, _: broker.queue._broker._forms.of(line))  # type: ignore[no-any-return]


def hash_of(broker: Rig, name: str) -> bytes:
    """Return what an EVALSHA of the script contains."""
    return script(name).sha[form_of(broker)]


@pytest.mark.parametrize("delay", [0.0, 5.0])
def test_a_push_whose_answer_is_lost_makes_one_job(
    broker: Rig, proxy: LosingProxy, delay: float
) -> None:
    proxy.lose_answer_to(hash_of(broker, "later" if delay else "push"))
    assert broker.queue.push(message(delay=delay)) is True
    assert proxy.cuts == 1
    assert broker.queue.size("default").total == 1


def test_a_push_whose_answer_is_lost_is_not_repeated_when_the_job_was_run_meanwhile(
    broker: Rig, proxy: LosingProxy
) -> None:
    one = message()
    line = broker.queue._broker.borrow()
    call = broker.queue._store([one], line, 77, 0, repeated=False)
    assert line.run(call) == 1
    consumer = broker.consumer()
    (job,) = consumer.turn(1, []).jobs
    assert consumer.ack(job)
    assert line.run(broker.queue._store([one], line, 77, 0, repeated=True)) == -2
    assert broker.queue.size("default").total == 0


def test_a_trip_of_many_pushes_whose_answers_are_lost_makes_each_job_once(
    broker: Rig, proxy: LosingProxy
) -> None:
    proxy.lose_answer_to(hash_of(broker, "push"))
    assert broker.queue.push_many([message() for _ in range(950)]) == 950
    assert proxy.cuts == 1
    assert broker.queue.size("default").ready == 950


def test_a_repeated_push_of_once_is_told_as_new(broker: Rig, proxy: LosingProxy) -> None:
    one = message(once=60.0)
    proxy.lose_answer_to(hash_of(broker, "push"))
    assert broker.queue.push(one) is True
    assert broker.queue.push(one) is False


@pytest.mark.parametrize("fate", ["ack", "fail", "release"])
def test_an_ending_whose_answer_is_lost_is_told_as_done(
    broker: Rig, proxy: LosingProxy, fate: str
) -> None:
    consumer = broker.consumer()
    job = broker.start(consumer)
    proxy.lose_answer_to(hash_of(broker, "release" if fate == "release" else "finish"))
    if fate == "release":
        assert consumer.release(job, 60.0, attempts=1, exceptions=0) is True
    else:
        assert getattr(consumer, fate)(job) is True
    assert proxy.cuts == 1
    size = broker.queue.size("default")
    assert (size.delayed, size.reserved) == (int(fate == "release"), 0)
    assert consumer.ack(job) is False


@pytest.mark.parametrize("fate", ["ack", "fail", "release"])
def test_an_ending_whose_answer_died_with_the_broker_is_told_as_done_when_it_is_back(
    broker: Rig, proxy: LosingProxy, fate: str
) -> None:
    consumer = broker.consumer()
    job = broker.start(consumer)

    def end() -> bool:
        if fate == "release":
            return consumer.release(job, 60.0, attempts=1, exceptions=0)
        ended: bool = getattr(consumer, fate)(job)
        return ended

    proxy.lose_answer_to(hash_of(broker, "release" if fate == "release" else "finish"))
    away = proxy.path.rename(f"{proxy.path}-away")
    for _ in range(2):
        with pytest.raises(BrokerUnavailable):
            end()
    away.rename(proxy.path)
    assert end() is True
    assert end() is False, "it has ended, and nobody knows it for a repetition any more"


def test_a_release_whose_answer_died_is_not_done_to_the_run_that_came_of_it(
    broker: Rig, proxy: LosingProxy
) -> None:
    """Another thread of the same worker has the job by the time the first asks again."""
    consumer = broker.consumer()
    job = broker.start(consumer)
    proxy.lose_answer_to(hash_of(broker, "release"))
    away = proxy.path.rename(f"{proxy.path}-away")
    with pytest.raises(BrokerUnavailable):
        consumer.release(job, 0.0, attempts=1, exceptions=1)
    away.rename(proxy.path)
    (again,) = consumer.turn(1, []).jobs
    assert (again.id, again.attempts, again.exceptions) == (job.id, 1, 1)
    consumer.mark(None, again.id)
    assert consumer.release(job, 0.0, attempts=1, exceptions=1) is True
    assert consumer.release(again, 60.0, attempts=2, exceptions=1) is True
    assert broker.queue.size("default").delayed == 1


def test_a_turn_whose_answer_is_lost_brings_its_jobs_and_burns_no_attempt(
    broker: Rig, proxy: LosingProxy
) -> None:
    ids = broker.push(4)
    consumer = broker.consumer()
    first = consumer.turn(1, []).jobs[0]
    consumer.mark(None, first.id)
    proxy.lose_answer_to(hash_of(broker, "turn"))
    turn = consumer.turn(2, [first.id])
    assert proxy.cuts == 1
    assert [job.id for job in turn.jobs] == ids[1:3]
    assert turn.refused == []
    assert broker.queue.size("default").reserved == 2
    assert broker.queue.knows([first.id]) == set()
    assert [job.attempts for job in turn.jobs] == [0, 0]


def test_a_turn_whose_answer_died_with_the_broker_leaves_no_job_with_nobody(
    broker: Rig, proxy: LosingProxy
) -> None:
    ids = broker.push(4)
    consumer = broker.consumer()
    first = consumer.turn(1, []).jobs[0]
    consumer.mark(None, first.id)
    broker.arrive(consumer)
    proxy.lose_answer_to(hash_of(broker, "turn"))
    away = proxy.path.rename(f"{proxy.path}-away")
    with pytest.raises(BrokerUnavailable):
        consumer.turn(2, [first.id])
    away.rename(proxy.path)
    assert proxy.cuts == 1
    turn = consumer.turn(3, [first.id])
    assert ([job.id for job in turn.jobs], turn.refused) == (ids[1:], [])
    assert broker.queue.size("default").reserved == 3


def test_a_lost_turn_does_not_bring_again_what_the_child_has_but_not_started(
    broker: Rig, proxy: LosingProxy
) -> None:
    ids = broker.push(6)
    consumer = broker.consumer()
    consumer.turn(2, [])
    proxy.lose_answer_to(hash_of(broker, "turn"))
    assert [job.id for job in consumer.turn(2, []).jobs] == ids[2:4]
    assert broker.queue.size("default").reserved == 4


def test_a_lost_turn_does_not_give_back_what_threads_have_started(
    broker: Rig, proxy: LosingProxy
) -> None:
    """One job runs and one has ended; neither mark has reached the server."""
    ids = broker.push(5)
    consumer = broker.consumer()
    consumer.turn(2, [])
    away = proxy.path.rename(f"{proxy.path}-away")
    for job_id in ids[:2]:
        with pytest.raises(BrokerUnavailable):
            consumer.marks().mark(None, job_id)
    away.rename(proxy.path)
    proxy.lose_answer_to(hash_of(broker, "turn"))
    assert [job.id for job in consumer.turn(1, []).jobs] == ids[2:3]
    assert proxy.cuts == 1
    assert consumer.turn(0, ids[:2]).refused == []
    other = broker.consumer()
    assert [job.id for job in other.turn(5, []).jobs] == ids[3:]


def test_however_much_the_parent_took_back_a_lost_turn_leaves_what_is_held(
    broker: Rig, proxy: LosingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onqueue.drivers.redis.consumer.MOST_REMEMBERED", 3)
    ids = broker.push(8)
    consumer = broker.consumer()
    consumer.turn(5, [])
    assert broker.leases.give_back(consumer.holder, ids[2:5]) == ids[2:5]
    consumer.turn(0, [])
    proxy.lose_answer_to(hash_of(broker, "turn"))
    assert [job.id for job in consumer.turn(1, []).jobs] == ids[2:3]
    assert consumer._out == set(ids[:3])


def test_marks_on_a_line_that_breaks_are_told_again(broker: Rig, proxy: LosingProxy) -> None:
    ids = broker.push(3)
    consumer = broker.consumer()
    consumer.turn(3, [])
    consumer.mark(None, ids[0])
    proxy.cut_all()
    consumer.mark(ids[0], ids[1])
    proxy.cut_all()
    broker.arrive(consumer)
    assert [job.id for job in broker.leases.bury(consumer.holder, Burial("death"))] == [ids[1]]
    assert broker.queue.knows(ids) == set(ids[1:])


def test_an_unlock_whose_answer_is_lost_wakes_one_job(broker: Rig, proxy: LosingProxy) -> None:
    owner, waiting = broker.consumer(), broker.consumer()
    job = broker.start(owner)
    owner.locks().acquire("k", job.id, None)
    for _ in range(2):
        assert waiting.park(broker.start(waiting), "k") is True
    proxy.lose_answer_to(hash_of(broker, "unlock"))
    assert owner.locks().release("k", job.id) is True
    size = broker.queue.size("default")
    assert (size.ready, size.parked) == (1, 1)


def test_a_wait_that_is_cut_ends_and_loses_no_token(broker: Rig, proxy: LosingProxy) -> None:
    consumer = broker.consumer()
    broker.push(1)
    proxy.lose_answer_to(b"BLPOP")
    with pipe() as (reader, _):
        consumer.wait(5.0, reader)
    assert proxy.cuts == 1
    assert broker.client.llen("{onqueue:redis}:wake:default") == 1
    assert len(consumer.turn(1, []).jobs) == 1


# ---- ties ----


def test_a_claim_whose_answer_is_lost_is_told_as_taken(broker: Rig, proxy: LosingProxy) -> None:
    first, second = claiming(), claiming()
    proxy.lose_answer_to(hash_of(broker, "receive"))
    assert broker.queue.push_unique([first, second]) == [first.id, first.id]
    assert proxy.cuts == 1
    assert broker.queue.size("default").total == 1


def test_a_lost_claim_is_told_as_taken_though_its_job_has_ended_meanwhile(broker: Rig) -> None:
    one = claiming()
    line = broker.queue._broker.borrow()
    store = broker.queue._receive
    assert line.run(store(one, line, 5, 0, repeated=False)) == one.id.encode()
    assert broker.queue.forget(one.id) is True
    assert line.run(store(one, line, 5, 0, repeated=True)) == one.id.encode()
    assert broker.queue.size("default").total == 0


@pytest.mark.parametrize("name", ["stage", "start"])
def test_a_chain_whose_start_is_not_answered_is_started_once(
    broker: Rig, proxy: LosingProxy, name: str
) -> None:
    plan = chain_of(2)
    proxy.lose_answer_to(hash_of(broker, name))
    assert broker.queue.start_chain(plan) is True
    assert proxy.cuts == 1
    assert broker.queue.start_chain(plan) is False
    assert broker.queue.size("default").total == 1


@pytest.mark.parametrize("name", ["start", "errand"])
def test_a_batch_whose_start_is_not_answered_is_started_once(
    broker: Rig, proxy: LosingProxy, name: str
) -> None:
    plan = batch_of(250)
    proxy.lose_answer_to(hash_of(broker, name))
    assert broker.queue.start_batch(plan) is True
    assert proxy.cuts == 1
    assert broker.queue.size("default").total == 250


def test_members_whose_addition_is_not_answered_are_added_once(
    broker: Rig, proxy: LosingProxy
) -> None:
    plan = batch_of(1)
    broker.queue.start_batch(plan)
    proxy.lose_answer_to(hash_of(broker, "add"))
    assert broker.queue.add_to_batch(plan.id, [message() for _ in range(3)]) == 3
    state = broker.queue.batch(plan.id)
    assert state is not None
    assert (state.total, broker.queue.size("default").total) == (4, 4)


def test_a_batch_whose_cancelling_is_not_answered_is_told_as_cancelled(
    broker: Rig, proxy: LosingProxy
) -> None:
    plan = batch_of(1)
    broker.queue.start_batch(plan)
    proxy.lose_answer_to(hash_of(broker, "cancel_batch"))
    assert broker.queue.cancel_batch(plan.id) is True


@pytest.mark.parametrize("edited", [False, True])
def test_an_end_whose_answer_is_lost_moves_its_chain_and_counts_once(
    broker: Rig, proxy: LosingProxy, edited: bool
) -> None:
    plan = batch_of(chain_of(3))
    broker.queue.start_batch(plan)
    consumer = broker.consumer()
    (job,) = consumer.turn(5, []).jobs
    proxy.lose_answer_to(hash_of(broker, "finish_amended" if edited else "finish"))
    edit = ChainEdit([message()], [message()]) if edited else None
    assert consumer.ack(job, chain=edit) is True
    assert proxy.cuts == 1
    state = broker.queue.batch(plan.id)
    assert state is not None
    assert (state.succeeded, state.total) == (1, 5 if edited else 3)
    assert len(consumer.turn(5, []).jobs) == 1


def test_a_turn_whose_answer_is_lost_counts_what_it_confirms_once(
    broker: Rig, proxy: LosingProxy
) -> None:
    plan = batch_of(message(), chain_of(2))
    broker.queue.start_batch(plan)
    consumer = broker.consumer()
    jobs = consumer.turn(5, []).jobs
    proxy.lose_answer_to(hash_of(broker, "turn"))
    turn = consumer.turn(5, [job.id for job in jobs])
    assert turn.refused == []
    assert len(turn.jobs) == 1
    state = broker.queue.batch(plan.id)
    assert state is not None
    assert (state.succeeded, state.pending) == (2, 1)


def test_a_claim_is_given_back_though_the_answer_is_lost(broker: Rig, proxy: LosingProxy) -> None:
    broker.queue.push_unique([claiming(claim={"until_processing": True})])
    consumer = broker.consumer()
    (job,) = consumer.turn(1, []).jobs
    proxy.lose_answer_to(hash_of(broker, "processing"))
    assert consumer.processing(job) is True
    assert broker.queue.claims() == []


def test_a_job_waits_once_when_the_answer_to_that_is_lost(broker: Rig, proxy: LosingProxy) -> None:
    rate = Quota("rate", "r", 1, 60.0)
    consumer = broker.consumer()
    ids = broker.push(3)
    first, second, third = consumer.turn(3, []).jobs
    proxy.lose_answer_to(hash_of(broker, "let_through"))
    assert consumer.limits().admit([rate], first.id, "default") == pytest.approx(60, abs=2)
    consumer.ack(first)
    proxy.lose_answer_to(hash_of(broker, "wait_turn"))
    for job in (second, third):
        consumer.wait_turn(job, [rate])
    assert proxy.cuts == 2
    assert broker.queue.size("default").parked == 2
    broker.queue.time_offset = 61.0
    assert [job.id for job in consumer.turn(3, []).jobs] == ids[1:2]


def test_a_slot_is_taken_and_given_back_once_when_the_answers_are_lost(
    broker: Rig, proxy: LosingProxy
) -> None:
    slot = Quota("slots", "s", 1)
    consumer = broker.consumer()
    broker.push(2)
    first, second = consumer.turn(2, []).jobs
    proxy.lose_answer_to(hash_of(broker, "let_through"))
    assert consumer.limits().admit([slot], first.id, "default") is None
    proxy.lose_answer_to(hash_of(broker, "free_slots"))
    consumer.limits().free([slot], first.id)
    assert proxy.cuts == 2
    assert consumer.limits().admit([slot], second.id, "default") is None
