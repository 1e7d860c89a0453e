"""Batches as real workers run them, on a real broker."""

import random
import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from onqueue import Batch, PendingBatch, batch, find_batch
from onqueue.errors import BatchFinished
from onqueue.failed import retry_failed
from support.plan_jobs import (
    DieOnce,
    Do,
    Grow,
    Heal,
    Only,
    PlanApp,
    Slow,
    Tell,
    on_before,
    on_catch,
    on_finally,
    on_progress,
    on_then,
)


@pytest.fixture
def app(tmp_path: Path, redis_url: str) -> Iterator[PlanApp]:
    app = PlanApp(tmp_path, redis_url)
    yield app
    app.close()


def heard(pending: PendingBatch) -> PendingBatch:
    """Let all callbacks be noted."""
    return (
        pending.before(on_before)
        .progress(on_progress)
        .then(on_then)
        .catch(on_catch)
        .finally_(on_finally)
    )


def figures(found: Batch) -> dict[str, int]:
    """Return what a batch came to, without what is nothing."""
    state = found.fresh().state
    names = ("pending", "succeeded", "failed", "skipped", "cancelled", "broken")
    return {name: getattr(state, name) for name in names if getattr(state, name)}


def test_a_batch_is_counted_and_its_callbacks_run_as_jobs(counted: PlanApp) -> None:
    """C66. C71."""
    found = heard(batch([Do("a"), [Do("b"), Do("c")], Do("d")])).name("Import").dispatch()
    assert (found.total, found.pending, found.progress(), found.finished) == (4, 4, 0, False)
    counted.drain()
    assert sorted(counted.ran()) == ["a", "b", "c", "d"]
    assert counted.told("before", "then", "catch", "finally") == [
        *("before:4", "then:100", "finally:4/4:0")
    ]
    assert counted.told("progress") == ["progress"] * 4
    known = find_batch(found.id)
    assert known is not None and known.finished and known.name == "Import"
    assert known.to_dict()["succeeded"] == 4
    assert counted.is_empty()


def test_an_empty_batch_ends_at_once(app: PlanApp) -> None:
    """C72."""
    found = batch([]).then(on_then).finally_(on_finally).dispatch()
    assert found.finished and found.progress() == 100
    app.drain()
    assert app.told() == ["then:100", "finally:0/0:0"]


OUTCOMES = {
    "succeed": {"succeeded": 2},
    "delete": {"succeeded": 2},
    "skip": {"succeeded": 1, "skipped": 1},
    "release": {"succeeded": 2},
    "fail": {"succeeded": 1, "failed": 1},
    "raise": {"succeeded": 1, "failed": 1},
    "timeout": {"succeeded": 1, "failed": 1},
    "unique": {"succeeded": 1, "skipped": 1},
}


def test_what_each_end_of_a_member_means_for_its_batch(app: PlanApp) -> None:
    """K45. C46. C48. C59. C66."""
    Only("owner").delay(600).dispatch()
    found = {}
    for how in OUTCOMES:
        member = {"timeout": Slow("x"), "unique": Only("x")}.get(how) or Do("x", how)
        found[how] = batch([Do("y"), member]).allow_failures().dispatch()
    app.drain()
    assert {how: figures(one) for how, one in found.items()} == OUTCOMES
    assert all(one.fresh().finished for one in found.values())


def test_the_first_failure_cancels_a_batch_that_allows_none(app: PlanApp) -> None:
    """C57. C67."""
    members: list[Any] = [Do("a"), Do("b", "fail"), Do("c"), [Do("d"), Do("e")]]
    found = heard(batch(members)).dispatch()
    app.drain()
    assert app.ran() == ["a", "b"]
    assert figures(found) == {"succeeded": 1, "failed": 1, "cancelled": 2, "broken": 1}
    assert found.fresh().cancelled
    assert app.told("then", "catch", "finally") == ["catch:ManuallyFailed", "finally:5/5:1"]


def test_allowed_failures_count_as_processed_and_the_batch_ends_well(app: PlanApp) -> None:
    """C66. C68. C69."""
    members: list[Any] = [
        Do("a", "fail"),
        Do("b", "raise"),
        [Do("c", "fail"), Do("d"), Do("e")],
        Do("f"),
    ]
    found = heard(batch(members)).allow_failures().dispatch()
    app.drain()
    assert figures(found) == {"succeeded": 1, "failed": 3, "broken": 2}
    assert app.told("then", "finally") == ["then:100", "finally:6/6:3"]
    assert app.told("catch") == ["catch:ManuallyFailed"]
    assert not found.fresh().cancelled


def test_a_batch_that_somebody_cancels_runs_no_more_and_does_not_end_well(counted: PlanApp) -> None:
    """C57. C68."""
    found = heard(batch([Do("a"), Do("b", "cancel"), Do("c"), Do("d")])).dispatch()
    counted.drain()
    assert counted.ran() == ["a", "b"]
    assert figures(found) == {"succeeded": 2, "cancelled": 2}
    assert counted.told("then", "catch", "finally") == ["finally:4/4:0"]
    assert not found.cancel()
    waiting = heard(batch([Do("x")]).allow_failures()).dispatch()
    assert waiting.cancel()
    counted.drain()
    assert counted.told("then") == []


def test_members_add_members_and_nobody_adds_to_what_is_over(counted: PlanApp) -> None:
    """C72."""
    found = heard(batch([Grow("a", "batch"), Do("b")])).dispatch()
    found.add([Do("c"), [Do("d"), Do("e")]])
    counted.drain()
    assert sorted(counted.ran()) == ["a", "a+0", "a+1", "b", "c", "d", "e"]
    assert figures(found) == {"succeeded": 7}
    assert counted.told("then", "finally") == ["then:100", "finally:7/7:0"]
    with pytest.raises(BatchFinished, match=found.id):
        found.add([Do("late")])
    assert counted.is_empty()


def test_members_that_are_retried_are_counted_anew(counted: PlanApp, tmp_path: Path) -> None:
    """C69. C70."""
    file = tmp_path / "healed"
    members: list[Any] = [Heal("a", str(file)), [Heal("b", str(file)), Do("c")], Do("d")]
    found = heard(batch(members)).allow_failures().dispatch()
    counted.drain()
    assert figures(found) == {"succeeded": 1, "failed": 2, "broken": 1}
    file.touch()
    for job_id in found.failed_ids():
        assert retry_failed(counted.manager, job_id)
    counted.drain()
    assert figures(found) == {"succeeded": 4}
    assert counted.told("then", "finally") == ["then:100", "finally:4/4:2"]


def test_a_callback_may_be_a_job_that_knows_its_batch(app: PlanApp) -> None:
    batch([Do("a")]).then(Tell("then")).finally_(Tell("finally")).dispatch()
    app.drain()
    assert app.told() == ["then:1/1", "finally:1/1"]


def test_a_callback_that_raises_is_tried_again_and_may_fail_like_any_job(app: PlanApp) -> None:
    """C71."""
    batch([Do("a")]).then(broken_callback).finally_(Do("b", "fail")).dispatch()
    app.drain()
    assert app.manager.connection().size("default").delayed == 1
    assert [failed.job for failed in app.manager.failed.all()] == ["Do"]


def broken_callback() -> None:
    """Fail."""
    raise ValueError("broken")


def test_a_member_whose_worker_dies_is_counted_once(counted: PlanApp) -> None:
    found = heard(batch([DieOnce("a"), [DieOnce("b"), Do("c")], Do("d")])).dispatch()
    counted.drain()
    assert figures(found) == {"succeeded": 4}
    assert counted.told("then", "finally") == ["then:100", "finally:4/4:0"]


def test_a_batch_inside_a_batch_counts_as_one_member(tmp_path: Path, redis_url: str) -> None:
    app = PlanApp(tmp_path, redis_url)
    inner = batch([Do("b"), Do("c", "fail")]).allow_failures()
    found = batch([Do("a"), inner]).finally_(on_finally).dispatch()
    assert found.total == 2
    app.drain()
    assert figures(found) == {"succeeded": 2}


def test_callbacks_may_run_on_another_connection(tmp_path: Path, redis_url: str) -> None:
    app = PlanApp(tmp_path, redis_url, other="elsewhere")
    try:
        there = Tell("finally").on_connection("other")
        batch([Do("a"), Do("b")]).finally_(there).dispatch()
        app.work()
        app.work(connection="other")
        app.wait_for_told("finally:2/2")
    finally:
        app.close()


def test_random_batches_come_to_what_the_rules_say_on_every_store(
    counted: PlanApp, request: pytest.FixtureRequest
) -> None:
    """C48. C66. C69."""
    given = request.config.getoption("--seed")
    seed = secrets.randbelow(1_000_000) if given is None else given
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    draw = random.Random(seed)
    found = []
    for _ in range(15):
        shape = [
            [draw.choice(WAYS) for _ in range(draw.choice([1, 1, 1, 2, 3]))]
            for _ in range(draw.randrange(6))
        ]
        found.append((expected(shape), dispatched(shape, "sync"), dispatched(shape, "redis")))
    counted.drain()
    for rule, here, there in found:
        assert figures(here) == rule
        assert figures(there) == rule
        assert here.fresh().finished and there.fresh().finished


WAYS = ["succeed", "succeed", "delete", "skip", "fail"]


def expected(shape: list[list[str]]) -> dict[str, int]:
    """Return what the rules say about chains that end in these ways."""
    counts = Counter[str]()
    for chain in shape:
        for at, how in enumerate(chain):
            counts[{"skip": "skipped", "fail": "failed"}.get(how, "succeeded")] += 1
            if how == "fail":
                counts["broken"] += len(chain) - at - 1
                break
    return {name: count for name, count in counts.items() if count}


def dispatched(shape: list[list[str]], connection: str) -> Batch:
    """Dispatch a batch of these chains; those of one link are plain members."""
    members: list[Any] = []
    for chain in shape:
        links = [Do("x", how) for how in chain]
        members.append(links if len(links) > 1 else links[0])
    return batch(members).allow_failures().on_connection(connection).dispatch()


def test_threads_of_one_worker_count_members_and_move_chains(app: PlanApp) -> None:
    """C74."""
    members: list[Any] = [[Do(f"a{n}"), Grow(f"b{n}", "front", 1), Do(f"c{n}")] for n in range(12)]
    found = heard(batch(members)).dispatch()
    app.drain(concurrency=4)
    assert figures(found) == {"succeeded": 48}
    for n in range(12):
        own = [label for label in app.ran() if label.partition("+")[0][1:] == str(n)]
        assert own == [f"a{n}", f"b{n}", f"b{n}+0", f"c{n}"]
    assert sorted(app.told("then", "finally")) == ["finally:48/48:0", "then:100"]
