"""Chains as an author writes them: what is planned, refused, and run in this process."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import onqueue
from onqueue import Job, QueueManager, batch, chain
from onqueue.bus import after_response
from onqueue.bus.plan_codec import plan_from, plan_parts
from onqueue.connections import current_manager
from onqueue.errors import (
    ConfigurationError,
    MemberFailed,
    NotBatchable,
    NotRunning,
    UnserializableArgument,
    UnsupportedByDriver,
)
from onqueue.failed import MemoryFailedJobs
from onqueue.payload import decode
from onqueue.plans import BatchPlan, ChainPlan
from onqueue.testing.clock import FakeClock
from support.broker_double import BrokerDouble

DRIVER = "support.broker_double:broker_double"
RAN: list[Any] = []


class Link(Job):
    name = "test_chains.link"
    label: Any
    how: str = ""

    def middleware(self) -> list[Any]:
        return [lambda job, inner: None] if self.how == "skip" else []

    def handle(self) -> None:
        RAN.append(self.label)
        match self.how:
            case "raise":
                raise ValueError(self.label)
            case "fail":
                self.fail("as told")
            case "delete":
                self.delete()
            case "front":
                self.prepend_to_chain(Link(f"{self.label}1"), Link(f"{self.label}2"))
                self.prepend_to_chain(Link(f"{self.label}0"))
            case "nested":
                chain([Link("b"), Single("c"), Link("d")]).dispatch()
            case "back":
                self.append_to_chain(Link(f"{self.label}1"), batch([Link(f"{self.label}2")]))
            case _:
                """Nothing more."""


class Whose(Job):
    name = "test_chains.whose"

    def handle(self) -> None:
        RAN.append(self.tenant)


class Extends(Job):
    """As in a worker, where nobody says for whom a dispatch is."""

    name = "test_chains.extends"

    def handle(self) -> None:
        current_manager().context = None
        self.prepend_to_chain(Whose(), batch([Whose()]))
        self.append_to_chain(Whose())
        current_manager().context = lambda: {"tenant": "8"}
        self.append_to_chain(Whose())


class Owned(Link):
    name = "test_chains.owned"
    connection = "other"
    queue = "own"


class Durable(Link):
    name = "test_chains.durable"
    durable = True


class Single(Link):
    name = "test_chains.single"
    unique = True

    def unique_id(self) -> str:
        return "one"


class PlanDouble(BrokerDouble):
    """Keeps what plans it was given."""

    def __init__(self, config: Any) -> None:
        super().__init__(config.name, config)
        self.supports |= {"chains", "batches"}
        self.started: list[ChainPlan | BatchPlan] = []

    def start_chain(self, plan: ChainPlan) -> bool:
        self._answer()
        self.started.append(plan)
        return True

    def start_batch(self, plan: BatchPlan) -> bool:
        self._answer()
        self.started.append(plan)
        return True


def plan_double(config: Any, clock: Any) -> PlanDouble:
    """Make the double for a manager."""
    return PlanDouble(config)


def told(error: MemberFailed) -> None:
    RAN.append(("told", str(error.error_type), error.text))


@pytest.fixture(autouse=True)
def manager() -> Iterator[QueueManager]:
    RAN.clear()
    manager = QueueManager(
        "sync",
        {
            "sync": {"driver": "sync"},
            "double": {"driver": f"{__name__}:plan_double", "queue": "main"},
            "other": {"driver": f"{__name__}:plan_double"},
            "plain": {"driver": DRIVER},
            "null": {"driver": "null"},
        },
        failed=MemoryFailedJobs(),
        clock=FakeClock(),
        app_keys=(("test", b"k" * 32),),
        context=lambda: {"tenant": "7"},
    )
    with onqueue.using(manager):
        yield manager


def planned(manager: QueueManager, name: str = "double") -> ChainPlan:
    """Return the one chain that was started on a double."""
    queue = manager.connection(name)
    assert isinstance(queue, PlanDouble)
    [plan] = queue.started
    assert isinstance(plan, ChainPlan)
    return plan


# ---- what is planned ----


def test_links_are_encoded_for_their_queues_and_know_their_chain(manager: QueueManager) -> None:
    """C65."""
    links = [Link("a"), Link("b").on_queue("own").delay(5)]
    chain_id = chain(links).on_connection("double").on_queue("lent").name("n").dispatch()
    plan = planned(manager)
    first, second = plan.links
    assert isinstance(first, onqueue.contracts.Message)
    assert isinstance(second, onqueue.contracts.Message)
    assert (plan.id, plan.name, plan.on_skip) == (chain_id, "n", "continue")
    assert (first.queue, second.queue, second.delay) == ("lent", "own", 5)
    assert first.connection == second.connection == ""
    envelope = decode(second.payload)
    assert envelope.tie == second.tie
    assert second.tie is not None and second.tie.chain == chain_id
    assert (envelope.data, envelope.context) == ({"label": "b", "how": ""}, {"tenant": "7"})


def test_links_on_several_connections_name_them(manager: QueueManager) -> None:
    """C65."""
    chain([Link("a"), Owned("b"), Link("c")]).on_connection("double").catch(told).dispatch()
    plan = planned(manager)
    assert [link.connection for link in plan.links if not isinstance(link, BatchPlan)] == [
        *("double", "other", "double")
    ]


def test_a_chain_begins_where_its_first_link_belongs(manager: QueueManager) -> None:
    chain([Owned("a"), Owned("b")]).dispatch()
    plan = planned(manager, "other")
    assert [link.queue for link in plan.links if not isinstance(link, BatchPlan)] == ["own", "own"]


def test_batches_among_the_links_live_on_the_chain_s_connection(manager: QueueManager) -> None:
    chain([Link("a"), batch([Link("b"), [Link("c"), Link("d")]])]).on_connection("double").on_queue(
        "q"
    ).dispatch()
    inner = planned(manager).links[1]
    assert isinstance(inner, BatchPlan)
    member, links = inner.members
    assert isinstance(links, ChainPlan)
    tie = decode(member.payload).tie if not isinstance(member, ChainPlan) else None
    assert tie is not None and (tie.batch, tie.chain) == (inner.id, "")
    [tied, _] = [link.tie for link in links.links if not isinstance(link, BatchPlan)]
    assert tied is not None and (tied.batch, tied.chain) == (inner.id, links.id)
    assert {link.queue for link in links.links if not isinstance(link, BatchPlan)} == {"q"}


def test_callbacks_go_to_the_queue_of_the_jobs_unless_they_have_their_own(
    manager: QueueManager,
) -> None:
    inner = batch([[Owned("a")]]).then(told).finally_(Link("b").on_queue("mine"))
    chain([inner, Owned("c")]).catch(told).dispatch()
    plan = planned(manager, "other")
    first = plan.links[0]
    assert isinstance(first, BatchPlan)
    queues = {kind: messages[0].queue for kind, messages in first.callbacks.items()}
    assert queues == {"then": "own", "finally": "mine"}
    assert [message.queue for message in plan.catch] == ["own"]


def test_a_chain_may_begin_with_a_batch_and_go_on_elsewhere(manager: QueueManager) -> None:
    chain([batch([Owned("a")]), Link("b").on_connection("double")]).dispatch()
    plan = planned(manager, "other")
    assert isinstance(plan.links[0], BatchPlan)
    assert not isinstance(plan.links[1], BatchPlan) and plan.links[1].connection == "double"


def test_functions_and_closures_are_links_and_callbacks(tmp_path: Path) -> None:
    link, callback = tmp_path / "link", tmp_path / "callback"
    links: list[Any] = [closure_link, link.touch, lambda: link.write_text(""), Link("b", "raise")]
    with pytest.raises(TypeError, match=r"^Link 2 of the chain: .*a method"):
        chain(links)
    del links[1]
    broken = chain(links).catch(told).catch(lambda error: callback.write_text(error.text))
    with pytest.raises(ValueError, match="b"):
        broken.dispatch()
    assert RAN == ["function", "b", ("told", "ValueError", "b")]
    assert link.exists() and callback.read_text() == "b"


def closure_link() -> None:
    RAN.append("function")


def test_a_plan_travels_whole(manager: QueueManager) -> None:
    inner = batch([Single("c"), [Link("d"), Link("e")]]).then(told).allow_failures()
    chain([Link("a"), inner]).catch(told).on_connection("double").on_skip("stop").dispatch()
    plan = planned(manager)
    assert plan_from(plan_parts(plan)) == plan


# ---- what is refused ----


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (
            lambda: chain([Link("a"), Link("b"), Link(object())]),
            UnserializableArgument,
            "^Link 3 of the chain, job 'test_chains.link': .*'label'.*cannot travel",
        ),
        (
            lambda: chain([Link("a"), batch([Link("b"), [Link("c"), Link(object())]])]),
            UnserializableArgument,
            "^Link 2 of the chain: member 2 of the batch: link 2 of its chain, job",
        ),
        (lambda: chain([Link("a")]).catch(Link(object())), UnserializableArgument, "^A callback"),
        (
            lambda: chain([Link("a"), batch([Link("b")]).on_connection("other")]),
            ConfigurationError,
            "^Link 2 of the chain: .*'other'.*'sync'",
        ),
        (lambda: chain([]), NotBatchable, "no link in the chain"),
        (
            lambda: chain(Link("a")),  # type: ignore[arg-type]
            NotBatchable,
            r"^chain\(\) takes a list, not job 'test_chains.link' alone: write chain\(\[…\]\)$",
        ),
        (lambda: batch([[]]), NotBatchable, "^Member 1 of the batch: .*no link"),
        (
            lambda: chain([Link("a"), Durable("b")]),
            ConfigurationError,
            "^Link 2 .*durable.*: let the job before it dispatch it, in the transaction",
        ),
        (lambda: batch([Durable("b")]), ConfigurationError, "^Member 1 .*durable"),
        (
            lambda: chain([Link("a")]).on_connection("plain"),
            UnsupportedByDriver,
            "links that wait",
        ),
    ],
)
def test_an_error_names_the_link_that_cannot_be(
    make: Callable[[], Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        make().dispatch()
    assert RAN == []


@pytest.mark.parametrize(
    ("make", "given", "says"),
    [
        (chain, [[Link("a")]], "^Link 1 of the chain: A list"),
        (chain, [Link("a"), chain([Link("b")])], "^Link 2 of the chain: A Chain"),
        (chain, [Link("a"), 5], "^Link 2 of the chain: .*not 5"),
        (batch, [Link("a"), 5], "^Member 2 of the batch: .*not 5"),
    ],
)
def test_what_cannot_be_a_link_is_refused_when_it_is_written(
    make: Callable[[Any], Any], given: list[Any], says: str
) -> None:
    with pytest.raises(TypeError, match=says):
        make(given)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="'two words' is no name of a queue"):
        chain([]).on_queue("two words")
    with pytest.raises(ValueError, match="'continue' or 'stop'"):
        chain([]).on_skip("perhaps")  # type: ignore[arg-type]
    with pytest.raises(NotBatchable, match="first link is a job"):
        chain([batch([])]).delay(5)


def test_only_a_link_changes_its_chain() -> None:
    with pytest.raises(NotBatchable, match="no link of a chain"):
        Link("a", "front").dispatch()
    with pytest.raises(NotRunning):
        _ = Link("a").batch


# ---- what runs in this process ----


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("", ["x", "after"]),
        ("delete", ["x", "after"]),
        ("skip", ["after"]),
        ("fail", ["x", ("told", "ManuallyFailed", "as told")]),
    ],
)
def test_links_run_one_after_the_other_unless_one_fails(how: str, expected: list[Any]) -> None:
    """K45. C48."""
    chain([Link("x", how), Link("after")]).catch(told).dispatch()
    assert expected == RAN


def test_what_a_link_raises_reaches_the_dispatcher_after_the_callbacks() -> None:
    """K41."""
    with pytest.raises(ValueError, match="b"):
        chain([Link("a"), Link("b", "raise"), Link("c")]).catch(told).dispatch()
    assert RAN == ["a", "b", ("told", "ValueError", "b")]


def test_a_chain_may_stop_at_a_link_that_was_skipped() -> None:
    """C48."""
    chain([Link("a"), Link("b", "skip"), Link("c")]).on_skip("stop").dispatch()
    assert RAN == ["a"]


def test_links_are_added_before_and_behind_those_that_wait() -> None:
    chain([Link("a", "front"), Link("b", "back"), Link("c")]).dispatch()
    assert RAN == ["a", "a0", "a1", "a2", "b", "c", "b1", "b2"]


def test_a_link_that_loses_its_lock_is_skipped() -> None:
    """C59."""
    Single("a", "nested").dispatch()
    assert RAN == ["a", "b", "d"]
    Single("again").dispatch()
    assert RAN[-1] == "again"


def test_a_chain_runs_here_and_now_when_it_is_told_to(manager: QueueManager) -> None:
    """K44."""
    chain([Owned("a"), Link("b"), batch([Owned("c")])]).on_connection("double").dispatch_sync()
    assert RAN == ["a", "b", "c"]


def test_a_chain_is_dispatched_if_and_unless() -> None:
    assert chain([Link("a")]).dispatch_if(0) is None
    assert chain([Link("b")]).dispatch_unless(1) is None
    assert chain([Link("c")]).dispatch_if(1)
    assert chain([Link("d")]).dispatch_unless(0)
    assert RAN == ["c", "d"]


def test_chains_and_batches_may_wait_for_the_response() -> None:
    with after_response() as kept:
        chain([Link("a")]).dispatch_after_response()
        batch([Link("b")]).dispatch_after_response()
    assert RAN == []
    kept.run()
    assert RAN == ["a", "b"]
    chain([Link("c")]).dispatch_after_response()
    assert RAN == ["a", "b", "c"]


def test_a_connection_that_drops_jobs_drops_chains_and_batches() -> None:
    assert chain([Link("a")]).on_connection("null").dispatch()
    assert batch([Link("a")]).on_connection("null").dispatch().pending == 1
    assert RAN == []


def test_a_link_that_belongs_elsewhere_takes_the_rest_with_it(manager: QueueManager) -> None:
    chain([Link("a"), Owned("b"), Link("c")]).dispatch()
    assert RAN == ["a"]
    plan = planned(manager, "other")
    assert len(plan.links) == 2


def test_what_is_added_to_a_chain_is_for_the_tenant_of_the_run_unless_another_is_named() -> None:
    chain([Extends(), Whose()]).dispatch()
    assert RAN == ["7", "7", "7", "7", "8"]
