"""What an author may write, and what is refused when the class is made."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from onqueue import Job
from onqueue.errors import JobDefinitionError, LeaseLost, NotRunning
from onqueue.job_context import JobContext, Order


class Resize(Job):
    queue = "images"
    tries = 3

    path: str
    width: int = 800
    labels: list[str] = field(default_factory=list)

    def handle(self) -> None: ...


class Alive:
    holder = "h1"

    def __init__(self, *, alive: bool = True) -> None:
        self.alive = alive

    def holds_lease(self) -> bool:
        return self.alive

    def should_stop(self) -> bool:
        return True


def context(lifeline: Alive | None = None) -> JobContext:
    return JobContext(
        job_id="1" * 32,
        attempts=2,
        connection="redis",
        queue="images",
        context={"tenant": "7"},
        lifeline=lifeline or Alive(),
    )


def make(body: str, bases: tuple[type, ...] = (Job,)) -> Any:
    """Make a job class from the text of its body."""
    names: dict[str, Any] = {"Job": Job, "__name__": __name__}
    lines = [f"    {line}" for line in [*body.split("; "), "def handle(self): return None"]]
    exec("class Made(Job):\n" + "\n".join(lines), names)  # noqa: S102 - the test's own text
    return names["Made"]


def test_annotated_names_are_the_constructors_fields() -> None:
    job = Resize("a.png", width=20)
    assert (job.path, job.width, job.labels) == ("a.png", 20, [])
    assert Resize("a.png").labels is not Resize("a.png").labels
    with pytest.raises(TypeError):
        Resize()  # type: ignore[call-arg]


def test_jobs_compare_and_show_like_dataclasses() -> None:
    assert Resize("a.png") == Resize(path="a.png")
    assert Resize("a.png") != Resize("b.png")
    assert repr(Resize("a.png")) == "Resize(path='a.png', width=800, labels=[])"


def test_fields_are_inherited() -> None:
    class Crop(Resize):
        height: int = 5

    assert repr(Crop("a")) == f"{Crop.__qualname__}(path='a', width=800, labels=[], height=5)"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("tires = 3", "did you mean 'tries'"),
        ("limit = 3", "neither an option nor a field"),
        ("tries = 'many'", "must be a whole number"),
        ("tries = -1", "must be a whole number"),
        ("tries = True", "must be a whole number"),
        ("timeout = -1", "span of time"),
        ("timeout = float('inf')", "span of time"),
        ("backoff = ()", "or a sequence"),
        ("jitter = 2", "fraction"),
        ("queue = ''", "the name of a queue"),
        ("durable = 1", "true or false"),
        ("tags = 'one'", "list of texts"),
        ("version = 0", "from 1 on"),
        ("retry_until = __import__('datetime').datetime(2026, 1, 1)", "aware datetime"),
        ("unique = 1", "true or false"),
        ("unique_for = 60", "needs `unique = True`"),
        ("unique = True; unique_for = 0", "above 0"),
        ("unique = True; unique_on_conflict = 'later'", "one of drop, raise, replace"),
        ("fair_key = ('x', 0)", "weight from 1 on"),
        ("encrypted: bool = True", "name of an option"),
        ("queue: str = 'x'", "name of an option"),
        ("release: int = 1", "name of a method"),
        ("batch: int = 1", "name of a method"),
        ("_hidden: int = 1", "underscore"),
        ("items: list = []", "default_factory"),
        ("a: int = 1; b: int", "follows default argument"),
        ("def version(self): return 2", "belongs to the class"),
        ("queue = 'two words'", "without blanks"),
        ("queue = 'a,b'", "without blanks"),
    ],
)
def test_a_class_that_cannot_be_right_is_refused_when_it_is_made(body: str, says: str) -> None:
    with pytest.raises(JobDefinitionError, match=says):
        make(body)


def test_a_constant_is_a_class_variable() -> None:
    class Limited(Job):
        LIMIT: ClassVar[int] = 5

        def handle(self) -> None: ...

    assert Limited() == Limited()
    assert Limited.LIMIT == 5


def test_a_concrete_class_needs_handle() -> None:
    with pytest.raises(JobDefinitionError, match="has no `handle`"):

        class Nothing(Job):
            path: str


def test_a_handle_that_yields_is_refused() -> None:
    with pytest.raises(JobDefinitionError, match="a `yield` in `handle`"):

        class Stream(Job):
            def handle(self) -> Iterator[None]:  # type: ignore[override]
                yield

    with pytest.raises(JobDefinitionError, match="a `yield` in `handle`"):

        class AsyncStream(Job):
            async def handle(self) -> AsyncIterator[None]:  # type: ignore[override]
                yield


def test_abstract_bases_need_no_handle() -> None:
    class Base(Job, abstract=True):
        tries = 5

    class Drawn(Job, ABC):
        @abstractmethod
        def draw(self) -> None: ...

    class Child(Base):
        def handle(self) -> None: ...

    assert Child().tries == 5
    with pytest.raises(TypeError, match="abstract"):
        Drawn()  # type: ignore[abstract]


def test_setters_chain_and_refuse_what_cannot_be() -> None:
    job = Resize("a").on_connection("redis-long").on_queue("slow").delay(minutes=10)
    assert isinstance(job, Resize)
    assert job.queue == "slow"
    assert job == Resize("a")
    with pytest.raises(JobDefinitionError):
        job.on_queue("")
    with pytest.raises(JobDefinitionError):
        job.delay(-1)
    with pytest.raises(JobDefinitionError, match=r"delay\(minutes=\) needs a span"):
        job.delay(minutes=-1)
    with pytest.raises(JobDefinitionError, match=r"delay\(hours=\) needs a span"):
        job.delay(hours=float("inf"))
    with pytest.raises(ValueError, match="time zone"):
        job.delay(until=datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused
    job.delay(timedelta(minutes=1)).delay(until=datetime(2026, 1, 1, tzinfo=UTC)).without_delay()


@pytest.mark.parametrize(
    "act",
    [
        lambda job: job.delay(1e300),
        lambda job: job.delay(timedelta.max),
        lambda job: job.delay(hours=1_000_000),
        lambda job: job.delay(3_000_000_000, minutes=10_000_000),
        lambda job: setattr(type(job), "default_delay", 1e300),
        lambda job: job.bind(context()).release(1e300),
    ],
)
def test_no_job_is_put_off_for_more_than_a_hundred_years(act: Callable[[Any], object]) -> None:
    with pytest.raises(JobDefinitionError, match="a span of time from 0 to 100 years"):
        act(Resize("a"))


@pytest.mark.parametrize(
    "act",
    [
        lambda job: job.attempts,
        lambda job: job.release(5),
        lambda job: job.fail("no"),
        lambda job: job.delete(),
        lambda job: job.snooze(),
        lambda job: job.should_stop,
        lambda job: job.ensure_lease(),
        lambda job: job.tenant,
    ],
)
def test_what_only_a_running_job_can_do_is_refused_elsewhere(act: Any) -> None:
    with pytest.raises(NotRunning, match="only while a worker runs a job"):
        act(Resize("a"))


def test_a_running_job_knows_its_run() -> None:
    job = Resize("a").bind(context())
    assert (job.attempts, job.job_id, job.tenant) == (2, "1" * 32, "7")
    assert job.should_stop
    assert job.holds_lease
    assert not job.cancelled
    job.ensure_lease()


def test_a_job_without_its_lease_is_told_before_an_outside_effect() -> None:
    job = Resize("a").bind(context(Alive(alive=False)))
    assert not job.holds_lease
    with pytest.raises(LeaseLost, match="h1"):
        job.ensure_lease()


def test_of_several_orders_the_first_wins() -> None:
    """C12."""
    run = context()
    job = Resize("a").bind(run)
    job.release(timedelta(seconds=5))
    job.fail("too late")
    job.delete()
    assert run.order == Order("release", delay=5.0)


def test_fail_takes_an_error_or_a_text() -> None:
    run = context()
    Resize("a").bind(run).fail("bad file")
    assert run.order is not None
    assert run.order.kind == "fail"
    assert str(run.order.error) == "bad file"
