"""Relays and reconcilers that die on the way, work beside each other, and wait for their broker."""

import random
import signal
from pathlib import Path

import pytest
import redis

from onqueue.clock import SystemClock
from onqueue.outbox import Relay
from support.outbox_crash import Scene
from support.outbox_records import job_ids, records
from support.servers import private_valkey

pytestmark = pytest.mark.crash


def add(scene: Scene, count: int, *, durable: bool = False) -> list[str]:
    made = records(count, durable=durable)
    for one in made:
        object.__setattr__(one.message, "queue", "ships")
    scene.outbox.add_many(None, made)
    return job_ids(count)


@pytest.mark.parametrize(
    ("point", "at_call"),
    [
        ("after-claim", 1),
        ("after-claim", 3),
        ("before-push-many", 2),
        ("after-push-many", 2),
        ("before-mark", 4),
        ("after-mark", 2),
    ],
)
def test_a_batch_that_died_is_pushed_once(scene: Scene, point: str, at_call: int) -> None:
    ids = add(scene, 20)
    scene.run_and_die("relay", point, at_call=at_call)
    scene.relay()
    assert sorted(scene.run_jobs()) == ids
    assert scene.outbox.counts() == {}


def test_two_relay_processes_share_the_work(scene: Scene) -> None:
    ids = add(scene, 300)
    for process in [scene.start("relay", hold=30) for _ in range(2)]:
        scene.ends_well(process)
    assert scene.outbox.counts() == {}
    assert sorted(scene.run_jobs()) == ids


def test_relays_killed_at_random_lose_and_double_nothing(scene: Scene) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")  # noqa: T201 - to repeat what failed
    dice = random.Random(seed)
    ids = add(scene, 200)
    clock = SystemClock()
    killed, ran = 0, []
    for _ in range(4):
        processes = [scene.start("relay", batch=3, hold=0.05) for _ in range(2)]
        clock.sleep(dice.uniform(0.02, 0.2))
        for process in processes:
            process.kill()
            process.join()
            killed += process.exitcode == -signal.SIGKILL
        ran += scene.run_jobs()
    scene.relay()
    ran += scene.run_jobs()
    assert sorted(ran) == ids, f"seed {seed}"
    assert killed > 0


def test_a_flushed_broker_gets_its_durable_jobs_back_once(scene: Scene) -> None:
    ids = add(scene, 100, durable=True)
    scene.relay()
    scene.outbox.mark_outcome(ids[0], "done")
    flush(scene)
    assert scene.waiting() == 0
    for process in [scene.start("reconcile", hold=0.01) for _ in range(2)]:
        scene.ends_well(process)
    scene.reconcile(patience=0.01)
    assert sorted(scene.run_jobs()) == ids[1:]
    assert scene.outbox.counts() == {"done": 100}


@pytest.mark.parametrize("point", ["after-claim-lost", "before-push-many", "after-push-many"])
def test_a_reconciler_that_died_is_made_good_by_the_next(scene: Scene, point: str) -> None:
    ids = add(scene, 20, durable=True)
    scene.relay()
    flush(scene)
    scene.run_and_die("reconcile", point, hold=0)
    scene.reconcile()
    assert sorted(scene.run_jobs()) == ids
    assert scene.reconcile() == 0


def test_a_broker_that_comes_back_gets_everything_in_order(tmp_path: Path) -> None:
    with private_valkey(appendfsync="always") as server:
        scene = Scene(f"sqlite:///{tmp_path / 'test.db'}", server.url)
        ids = add(scene, 30)
        server.kill()
        report = Relay(scene.outbox, scene.manager, grace=0).run_once()
        assert (report.handled, report.left) == (0, 30)
        assert "cannot be reached" in report.errors["redis"]
        scene.run("dispatch", count=5)
        assert scene.outbox.counts() == {"pending": 35}
        server.start()
        scene.relay()
        assert scene.run_jobs()[:30] == ids
        scene.close()


def flush(scene: Scene) -> None:
    with redis.Redis.from_url(scene.broker) as client:
        client.flushall()
