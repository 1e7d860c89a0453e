"""However many consumers there are, each job goes to one."""

import multiprocessing
import os
import threading
from multiprocessing.connection import Connection

from onqueue.config import connection_config
from onqueue.contracts import Burial, QueueSize
from onqueue.drivers.redis import RedisQueue
from support.redis_rig import Rig

JOBS = 3000


def drain(queue: RedisQueue, want: int) -> list[str]:
    """Take and confirm jobs until there are none."""
    leases = queue.leases()
    consumer = queue.consumer(leases.open(), ["default"])
    taken: list[str] = []
    done: list[str] = []
    while jobs := consumer.turn(want, done).jobs:
        done, previous = [], None
        for job in jobs:
            consumer.mark(previous, job.id)
            previous = job.id
            done.append(job.id)
        taken += done
    consumer.close()
    leases.close()
    return taken


def test_threads_never_share_a_job(broker: Rig) -> None:
    ids = broker.push(JOBS)
    taken: list[list[str]] = [[] for _ in range(4)]

    def work(number: int) -> None:
        taken[number] = drain(broker.queue, number * 7 + 1)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(job_id for part in taken for job_id in part) == sorted(ids)
    assert broker.queue.size("default").total == 0
    assert b"{onqueue:redis}:payloads" not in broker.dump()


def _child(url: str, out: Connection) -> None:
    queue = RedisQueue(connection_config("redis", {"driver": "redis", "url": url}))
    out.send(drain(queue, 16))


def test_processes_never_share_a_job(broker: Rig) -> None:
    ids = broker.push(JOBS)
    context = multiprocessing.get_context("spawn")
    ends = [context.Pipe(duplex=False) for _ in range(3)]
    children = [context.Process(target=_child, args=(broker.url, out)) for _, out in ends]
    for child in children:
        child.start()
    taken = [job_id for reader, _ in ends for job_id in reader.recv()]
    for child in children:
        child.join()
    assert sorted(taken) == sorted(ids)


def test_threads_that_dispatch_through_one_connection_do_not_mix_answers(broker: Rig) -> None:
    def work() -> None:
        for _ in range(100):
            broker.push(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broker.queue.size("default").ready == 800


def test_a_forked_child_uses_connections_of_its_own(broker: Rig) -> None:
    broker.push(1)
    consumer = broker.consumer()
    (job,) = consumer.turn(1, []).jobs
    child = os.fork()
    if child == 0:
        status = 1
        try:
            broker.push(5)
            status = int(broker.queue.size("default").ready != 5)
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert broker.queue.size("default").ready == 5
    assert consumer.ack(job) is True


def test_jobs_of_one_queue_come_in_the_order_of_their_pushes(broker: Rig) -> None:
    """K39."""
    ids = [*broker.push(250), *broker.push(1), *broker.push(120)]
    consumer = broker.consumer()
    got: list[str] = []
    while jobs := consumer.turn(50, got[-50:]).jobs:
        got += [job.id for job in jobs]
    assert got == ids


def test_due_jobs_come_in_the_order_they_are_due_behind_what_is_ready(broker: Rig) -> None:
    """K30."""
    late, soon = broker.push(1, delay=20.0), broker.push(1, delay=10.0)
    ready = broker.push(2)
    broker.queue.time_offset = 30.0
    got = [job.id for job in broker.consumer().turn(9, []).jobs]
    assert got == ready + soon + late


def test_thousands_that_are_due_at_once_are_brought_in_bounded_steps(broker: Rig) -> None:
    """K30."""
    ids = broker.push(350, delay=1.0)
    broker.queue.time_offset = 2.0
    consumer = broker.consumer()
    consumer.turn(1, [])
    assert broker.queue.size("default").delayed == 250
    got: list[str] = []
    while jobs := consumer.turn(100, []).jobs:
        got += [job.id for job in jobs]
    assert len(got) == len(ids) - 1


def test_no_job_is_between_two_states_while_it_is_counted(broker: Rig) -> None:
    """Whoever takes jobs and gives them back meanwhile hides none of them."""
    broker.push(40)
    over = threading.Event()
    counted: set[int] = set()

    def juggle() -> None:
        consumer = broker.consumer()
        while not over.is_set():
            jobs = consumer.turn(10, []).jobs
            if not jobs:
                continue
            consumer.release(jobs.pop(), 0.002, attempts=0, exceptions=0)
            consumer.give_back([job.id for job in jobs])

    thread = threading.Thread(target=juggle)
    thread.start()
    try:
        counted.update(broker.queue.size("default").total for _ in range(300))
    finally:
        over.set()
        thread.join(10)
    assert counted == {40}


def test_a_count_knows_each_worker_that_came_and_went(broker: Rig) -> None:
    broker.push(3)
    first, second = broker.consumer(), broker.consumer()
    first.turn(1, [])
    assert broker.queue.size("default").reserved == 1
    second.turn(1, [])
    assert broker.queue.size("default") == QueueSize(ready=1, reserved=2)
    broker.leases.bury(first.holder, Burial("exit"))
    assert broker.queue.size("default") == QueueSize(ready=2, reserved=1)
    assert broker.queue.size("other").total == 0
