"""Chains as real workers run them, on a real broker."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from onqueue import batch, chain
from onqueue.failed import retry_failed
from support.plan_jobs import (
    DieOnce,
    Do,
    Grow,
    Heal,
    Only,
    OnlySlow,
    OnlyUntil,
    PlanApp,
    Slow,
    on_error,
    on_finally,
    on_then,
)
from support.waiting import eventually


@pytest.fixture
def app(tmp_path: Path, redis_url: str) -> Iterator[PlanApp]:
    app = PlanApp(tmp_path, redis_url)
    yield app
    app.close()


def test_links_run_one_after_the_other(app: PlanApp) -> None:
    """C65."""
    chain([Do("a"), Do("b"), batch([Do("c"), [Do("d"), Do("e")]]), Do("f")]).dispatch()
    app.drain()
    ran = app.ran()
    assert sorted(ran) == ["a", "b", "c", "d", "e", "f"]
    assert (ran[:2], ran[-1]) == (["a", "b"], "f")
    assert ran.index("d") < ran.index("e")
    assert app.is_empty()


OUTCOMES = [
    ("succeed", ["x", "after"], []),
    ("delete", ["x", "after"], []),
    ("skip", ["after"], []),
    ("release", ["x", "after"], []),
    ("fail", ["x"], ["Do:ManuallyFailed"]),
    ("raise", ["x", "x"], ["Do:ValueError"]),
    ("timeout", ["x"], ["Slow:TimeoutExceeded"]),
]


def test_what_each_end_of_a_link_means_for_its_chain(app: PlanApp) -> None:
    """K45. C46. C48. C65."""
    for how, _, _ in OUTCOMES:
        link = Slow(f"{how}-x") if how == "timeout" else Do(f"{how}-x", how)
        chain([link, Do(f"{how}-after")]).catch(on_error).dispatch()
    app.drain()
    ran = app.ran()
    for how, expected, _ in OUTCOMES:
        mine = [label.partition("-")[2] for label in ran if label.startswith(f"{how}-")]
        assert mine == expected, how
    assert sorted(app.told()) == sorted(error for _, _, errors in OUTCOMES for error in errors)


def test_a_chain_may_stop_at_a_link_that_was_skipped(app: PlanApp) -> None:
    """C48."""
    chain([Do("a", "skip"), Do("b")]).on_skip("stop").dispatch()
    app.drain()
    assert app.ran() == []


def test_retrying_the_link_that_broke_a_chain_goes_on_with_it(app: PlanApp, tmp_path: Path) -> None:
    file = tmp_path / "healed"
    chain([Do("a"), Heal("b", str(file)), Do("c")]).catch(on_error).dispatch()
    app.drain()
    assert app.ran() == ["a", "b"]
    file.touch()
    [failed] = app.manager.failed.all()
    assert retry_failed(app.manager, failed.id)
    app.drain()
    assert app.ran() == ["a", "b", "b", "c"]
    assert app.told() == ["Heal:ValueError"]


def test_a_link_adds_to_its_chain_when_it_ends_well(app: PlanApp) -> None:
    chain([Grow("a", "front"), Grow("b", "back", 1), Do("c")]).dispatch()
    chain([Grow("r", "release", 1), Do("s")]).dispatch()
    app.drain(tries=3)
    assert app.ran("a", "b", "c") == ["a", "a+0", "a+1", "b", "c", "b+0"]
    assert app.ran("r", "s") == ["r", "r", "r+0", "s"]


def test_a_link_whose_worker_dies_runs_again_and_the_next_one_once(app: PlanApp) -> None:
    """C65."""
    chain([DieOnce("a"), Do("b"), DieOnce("c"), Do("d")]).dispatch()
    app.drain()
    assert app.ran() == ["a", "b", "c", "d"]


def test_a_link_that_loses_its_unique_lock_is_skipped_and_the_chain_goes_on(app: PlanApp) -> None:
    """C59."""
    Only("first").on_queue("later").dispatch()
    chain([Do("a"), Only("b"), Do("c")]).dispatch()
    chain([Only("e"), Do("f")]).dispatch()
    app.drain()
    assert sorted(app.ran()) == ["a", "c", "f"]
    app.drain(queues=("later",))
    assert sorted(app.ran()) == ["a", "c", "f", "first"]


def test_a_unique_job_s_lock_ends_with_the_job(app: PlanApp) -> None:
    """K60. C58."""
    ways = ["succeed", "delete", "skip", "fail", "raise", "release"]
    for how in ways:
        Only(f"{how}-a", how, key=how).dispatch()
        Only(f"{how}-b", key=how).dispatch()
    OnlySlow("timeout-a").dispatch()
    OnlySlow("timeout-b").dispatch()
    app.drain()
    OnlySlow("timeout-c").dispatch()
    for how in ways:
        Only(f"{how}-c", key=how).dispatch()
    app.drain()
    assert app.ran("timeout") == ["timeout-a", "timeout-c"]
    for how in ways:
        assert set(app.ran(how)) == {f"{how}-c"} | ({f"{how}-a"} if how != "skip" else set())


def test_a_job_unique_until_it_runs_lets_the_next_one_in(app: PlanApp) -> None:
    """K61."""
    OnlyUntil("a", again=True).dispatch()
    OnlyUntil("b").dispatch()
    app.drain()
    assert app.ran() == ["a", "a-next"]


def test_a_job_that_its_middleware_puts_off_keeps_its_lock(app: PlanApp) -> None:
    """K61."""
    first = OnlyUntil("a", "put off").dispatch()
    app.work()
    eventually(lambda: any(line.what == "put-off" for line in app.lines()))
    assert OnlyUntil("b").dispatch() == first
    app.wait_for("a")
    assert app.ran() == ["a"]


def test_links_may_be_on_other_connections(tmp_path: Path, redis_url: str) -> None:
    app = PlanApp(tmp_path, redis_url, other="elsewhere")
    try:
        chain(
            [Do("a"), Do("b").on_connection("other"), Do("c").on_connection("other"), Do("d")]
        ).dispatch()
        app.work()
        app.work(connection="other")
        app.wait_for("d")
        assert app.ran() == ["a", "b", "c", "d"]
    finally:
        app.close()


def test_a_batch_behind_a_link_of_another_connection_runs_there(
    tmp_path: Path, redis_url: str
) -> None:
    """C65."""
    app = PlanApp(tmp_path, redis_url, other="elsewhere")
    try:
        inner = batch([Do("b1"), [Do("b2")]]).then(on_then)
        chain([Do("a"), Do("o").on_connection("other"), inner, Do("z")]).dispatch()
        app.work()
        app.work(connection="other")
        app.wait_for("z")
        ran = app.ran()
        assert (ran[:2], sorted(ran[2:4]), ran[-1]) == (["a", "o"], ["b1", "b2"], "z")
        queues: Any = [app.manager.connection(name) for name in ("redis", "other")]
        kept = [queue.batches() for queue in queues]
        assert [len(batches) for batches in kept] == [0, 1]
    finally:
        app.close()


def test_a_batch_that_fails_breaks_the_chain_it_is_a_link_of(app: PlanApp) -> None:
    inner = batch([Do("b", "fail"), Do("c")]).finally_(on_finally)
    chain([Do("a"), inner, Do("d")]).catch(on_error).dispatch()
    tolerant = batch([Do("y", "fail"), Do("z")]).allow_failures().then(on_then)
    chain([tolerant, Do("after")]).catch(on_error).dispatch()
    app.drain()
    assert "d" not in app.ran()
    assert "after" in app.ran()
    assert "Do:ManuallyFailed" in app.told()
    assert app.told("chain") == ["Do:ManuallyFailed"]
