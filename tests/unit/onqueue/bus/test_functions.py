"""Functions as jobs."""

import base64
import functools
import json
import pickle
import re
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle
import pytest
import svcs

import onqueue
from onqueue import Job, QueueManager, call, closures, dispatch
from onqueue.bus import as_job
from onqueue.bus.editing import edit_of
from onqueue.errors import (
    ConfigurationError,
    JobDefinitionError,
    NotCallableByPath,
    UneditableJob,
    UnserializableArgument,
)
from onqueue.failed import MemoryFailedJobs
from onqueue.keyring import Keyring
from onqueue.payload import decode, plan_of
from onqueue.testing import queue_fake
from support import callables
from support.callables import (
    CALLS,
    Colour,
    Gone,
    Machine,
    Shop,
    Size,
    break_down,
    generate,
    hear,
    note,
    paint,
    read,
    sell,
    think,
    wake_up,
)
from support.child_loop import Bench

KEY = ("2026-11", b"k" * 32)
OLD = ("2025-11", b"o" * 32)


def manager_with(*keys: tuple[str, bytes], failed: Any = None) -> QueueManager:
    services = svcs.Registry()
    services.register_value(Shop, Shop())
    return QueueManager(
        "sync", {"sync": {"driver": "sync"}}, failed, services=services, app_keys=keys
    )


@pytest.fixture
def store() -> MemoryFailedJobs:
    return MemoryFailedJobs()


@pytest.fixture(autouse=True)
def _manager(store: MemoryFailedJobs) -> Iterator[None]:
    CALLS.clear()
    with onqueue.using(manager_with(KEY, failed=store)):
        yield


def encoded(job: Job, *keys: tuple[str, bytes]) -> bytes:
    return plan_of(type(job)).encode(job, 0.0, None, keys=Keyring(keys or [KEY]))


def altered(payload: bytes, **data: Any) -> bytes:
    parts = json.loads(payload)
    parts["data"] |= data
    return json.dumps(parts).encode()


@pytest.fixture
def bench() -> Bench:
    services = svcs.Registry()
    services.register_value(Shop, Shop())
    bench = Bench(services)
    bench.keys = Keyring([KEY])
    return bench


# ---- functions of modules ----


def test_a_function_of_a_module_is_called_with_its_arguments() -> None:
    dispatch(note, 1, "two", [3.5, {"four": None}])
    assert CALLS == [(1, "two", [3.5, {"four": None}])]


def test_it_travels_by_its_path_without_any_pickle() -> None:
    job = decode(encoded(call(note, 1))).restore()
    assert isinstance(job, onqueue.CallFunction)
    assert job.function == {"path": "support.callables:note"}


def test_the_types_its_annotations_name_arrive_as_they_were() -> None:
    dispatch(paint, Colour.RED, size=Size(2, 3))
    assert [(Colour.RED, Size(2, 3), 1)] == CALLS


def test_what_is_not_given_is_found_by_its_type_and_a_default_stays() -> None:
    dispatch(sell, "soap")
    dispatch(sell, "soap", count=3)
    assert CALLS == [("soap", "shop", 1), ("soap", "shop", 3)]


def test_an_async_function_is_run_to_its_end() -> None:
    dispatch(think, "tea")
    assert CALLS == [("thought", "tea")]


def test_a_static_method_has_a_path_too() -> None:
    dispatch(Machine.stop)
    assert CALLS == ["stopped"]


def test_queue_connection_and_delay_are_chosen_on_the_job() -> None:
    with queue_fake() as queue:
        call(note, 1).on_queue("slow").delay(minutes=5).named("Note it").dispatch()
        dispatch(wake_up, name="Wake up")
    [noted, woken] = queue.pushed
    assert (noted.queue, noted.delay) == ("slow", 300)
    assert [one.job.display_name() for one in (noted, woken)] == ["Note it", "Wake up"]  # type: ignore[operator]


def test_people_read_the_function_s_name_unless_it_was_given_another() -> None:
    """K76."""
    assert decode(encoded(call(note, 1))).options["display_name"] == "support.callables.note"
    named = call(note, 1).named("Note it")
    assert decode(encoded(named)).options["display_name"] == "Note it"


def test_name_and_catch_are_the_function_s_own_where_it_has_such_parameters() -> None:
    def own(name: str, catch: int) -> None:
        """Take both."""

    with queue_fake() as queue:
        dispatch(own, name="n", catch=2)
    [job] = queue.jobs(onqueue.CallClosure)
    assert job.kwargs == {"name": "n", "catch": 2}


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (Machine().start, "it is a method: pass a plain function"),
        (functools.partial(note, 1), "it is a partial"),
        (print, "it is a builtin_function_or_method"),
        (Machine, "it is a type"),
        (generate, "has a `yield`"),
        (5, "Only jobs and functions"),
        ("support.callables:note", "Only jobs and functions"),
    ],
)
def test_what_no_worker_could_call_is_refused(function: Any, says: str) -> None:
    with pytest.raises(JobDefinitionError, match=says):
        dispatch(function)


def test_a_function_that_its_path_does_not_lead_to_is_refused() -> None:
    @functools.wraps(wake_up)
    def wrapped() -> None:
        wake_up()

    with pytest.raises(NotCallableByPath, match="there is something else, perhaps because a deco"):
        dispatch(wrapped)


def test_a_function_of_the_program_itself_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wake_up, "__module__", "__main__")
    with pytest.raises(NotCallableByPath, match="move it to a module"):
        dispatch(wake_up)


@pytest.mark.parametrize(
    ("dispatching", "says"),
    [
        (lambda: dispatch(wake_up, why=2), "got an unexpected keyword argument 'why'"),  # type: ignore[call-overload]
        (lambda: dispatch(break_down), "needs its argument 'why': no service is a str"),
        (lambda: dispatch(lambda x: x), "Parameter 'x' of .* has no type"),
        (lambda: dispatch(call(note), 5), "takes no arguments"),  # type: ignore[call-overload]
    ],
)
def test_a_call_that_cannot_be_made_is_refused(
    dispatching: Callable[[], object], says: str
) -> None:
    with pytest.raises(JobDefinitionError, match=says):
        dispatching()


def test_an_argument_that_cannot_travel_is_named_with_its_function() -> None:
    """K79."""
    with pytest.raises(
        UnserializableArgument, match=r"'times' of job 'support\.callables\.paint'.*\(object\)"
    ):
        dispatch(paint, Colour.RED, Size(1), object())  # type: ignore[call-overload]


def test_a_job_is_a_job_already() -> None:
    job = call(wake_up)
    assert as_job(job) is job
    assert isinstance(as_job(wake_up), onqueue.CallFunction)


# ---- functions without a path ----


def test_a_lambda_takes_along_what_it_holds() -> None:
    held = [1, 2]
    dispatch(lambda: note(held))
    assert [(held,)] == CALLS


def test_a_function_made_inside_another_gets_arguments_and_services() -> None:
    def local(what: str, shop: Shop) -> None:
        note(what, shop.name)

    dispatch(local, "soap")  # type: ignore[call-overload]  # a checker wants `= injected`
    assert CALLS == [("soap", "shop")]


def test_people_read_where_a_lambda_was_written() -> None:
    title = call(lambda: None).title
    assert re.search(r"test_functions\.test_people_read.*\.<lambda>:\d+$", title)


def test_a_lambda_needs_keys() -> None:
    with (
        onqueue.using(manager_with()),
        pytest.raises(NotCallableByPath, match="must be signed: give the QueueManager app_keys"),
    ):
        dispatch(lambda: None)


def test_what_a_lambda_holds_must_be_possible_to_pickle() -> None:
    lock = threading.Lock()
    with pytest.raises(UnserializableArgument, match=r"cannot be pickled .*lock.*pass such things"):
        dispatch(lambda: not lock.locked())


def test_without_cloudpickle_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(ConfigurationError, match="install the extra 'closures'"):
        dispatch(lambda: None)
    dispatch(wake_up)
    assert CALLS == ["woken"]


# ---- what is signed, and what that refuses ----


class Trap:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return note, ("unpickled",)


def settled(bench: Bench, payload: bytes, **state: Any) -> Any:
    """Let a worker have the payload; return what became of the job."""
    job_id = bench.put_payload(payload, **state)
    bench.run(tries=5)
    return bench.consumer.settled(job_id)


def test_code_that_was_altered_fails_at_once_and_is_never_unpickled(bench: Bench) -> None:
    code = base64.b64encode(pickle.dumps(Trap())).decode()
    function = {"code": code, "python": closures.PYTHON}
    payload = altered(encoded(call(lambda: None)), function=function)
    assert settled(bench, payload) == ("fail",)
    [record] = bench.failed.records
    assert (record.error_type, record.attempts) == ("ClosureAltered", 1)
    assert "refused unrun: its signature does not fit" in record.error
    assert CALLS == []


def other(what: Any) -> Any:
    """Return the value a little different."""
    match what:
        case str():
            return what[:-1] + ("A" if what[-1:] != "A" else "B")
        case list():
            return [*what, 1]
        case _:
            return what | {"path": "support.callables:wake_up"}


@pytest.mark.parametrize("part", ["function", "args", "kwargs", "catcher", "seal"])
@pytest.mark.parametrize("work", [note, lambda *values: note(values)], ids=["path", "code"])
def test_nothing_that_decides_what_runs_can_be_altered(bench: Bench, work: Any, part: str) -> None:
    payload = encoded(call(work, "x", {"a": 1}).catch(hear))
    before = json.loads(payload)["data"][part]
    assert settled(bench, altered(payload, **{part: other(before)})) == ("fail",)
    assert bench.failed.records[0].error_type == "ClosureAltered"
    assert CALLS == []


def test_a_signed_call_cannot_be_moved_to_the_other_kind_of_job(bench: Bench) -> None:
    parts = json.loads(encoded(call(lambda: note("ran"))))
    parts["job"] = onqueue.CallFunction.name
    assert settled(bench, json.dumps(parts).encode()) == ("fail",)
    assert CALLS == []


def test_a_signed_call_cannot_be_moved_to_another_tenant(bench: Bench) -> None:
    job = call(note, "ran")
    payload = plan_of(type(job)).encode(job, 0.0, {"tenant": "7"}, keys=Keyring([KEY]))
    for context in ({"tenant": "8"}, {}):
        moved = json.dumps(json.loads(payload) | {"c": context}).encode()
        assert settled(bench, moved) == ("fail",)
    assert CALLS == []
    assert settled(bench, payload) == ("done",)


@pytest.mark.parametrize("part", ["function", "args", "kwargs", "catcher"])
def test_a_call_that_makes_no_sense_is_refused_at_once(bench: Bench, part: str) -> None:
    nonsense = {"$datetime": "2026-11-22T00:00:00"}
    assert settled(bench, altered(encoded(call(note)), **{part: nonsense})) == ("fail",)
    assert bench.failed.records[0].error_type == "ClosureAltered"


def test_a_call_without_a_signature_is_refused_where_there_are_keys(bench: Bench) -> None:
    with onqueue.using(manager_with()):
        payload = plan_of(onqueue.CallFunction).encode(call(wake_up), 0.0, None)
    assert settled(bench, payload) == ("fail",)
    assert "it bears no signature" in bench.failed.records[0].error
    assert CALLS == []


def test_without_keys_functions_of_the_application_s_own_are_called(bench: Bench) -> None:
    bench.keys = Keyring()
    bench.put(call(wake_up))
    bench.run()
    assert CALLS == ["woken"]


@pytest.mark.parametrize(
    "path",
    [
        "os:system",
        "subprocess:call",
        "cloudpickle.cloudpickle:dumps",
        "nowhere:f",
        ":f",
        "os.path:f",
    ],
)
def test_without_keys_no_other_function_is_called(bench: Bench, path: str) -> None:
    bench.keys = Keyring()
    unsigned = plan_of(onqueue.CallFunction).encode(call(note, "x"), 0.0, None)
    assert settled(bench, altered(unsigned, function={"path": path})) == ("fail",)
    assert "not in a module of the application's own" in bench.failed.records[0].error


def test_without_keys_a_function_of_an_installed_package_is_refused_at_the_dispatch() -> None:
    with (
        onqueue.using(manager_with()),
        pytest.raises(NotCallableByPath, match="own: give the QueueManager app_keys"),
    ):
        dispatch(cloudpickle.dumps, 1)
    assert dispatch(cloudpickle.dumps, 1)


def test_without_keys_nothing_signed_is_run(bench: Bench) -> None:
    bench.keys = Keyring()
    assert settled(bench, encoded(call(wake_up))) == ("fail",)
    assert "this process has no app_keys" in bench.failed.records[0].error
    assert CALLS == []


def test_a_previous_key_is_still_accepted(bench: Bench) -> None:
    bench.keys = Keyring([KEY, OLD])
    assert settled(bench, encoded(call(lambda: note("old")), OLD)) == ("done",)
    assert CALLS == [("old",)]


def test_what_was_signed_with_a_key_that_is_gone_waits_for_it(bench: Bench) -> None:
    payload = encoded(call(lambda: note("old")), OLD)
    assert settled(bench, payload, attempts=0) == (
        "park",
        "unknown:onqueue.CallClosure | app key 2025-11 is gone",
    )
    assert CALLS == []
    bench.keys = Keyring([KEY, OLD])
    assert settled(bench, payload) == ("done",)
    assert CALLS == [("old",)]


def test_code_of_another_python_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    payload = encoded(call(lambda: None))
    monkeypatch.setattr(closures, "PYTHON", "3.99")
    assert settled(bench, payload) == ("fail",)
    assert "compiled for Python 3.1" in bench.failed.records[0].error


def test_a_function_that_is_no_longer_there_fails_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    payload = encoded(call(wake_up))
    monkeypatch.delattr(callables, "wake_up")
    assert settled(bench, payload) == ("fail",)
    assert "no function 'support.callables:wake_up'" in bench.failed.records[0].error


# ---- when it fails ----


@pytest.mark.parametrize("catcher", [hear, lambda error: hear(error, Shop())], ids=["path", "code"])
def test_a_catcher_hears_of_the_failure_once(bench: Bench, catcher: Any) -> None:
    bench.put(call(break_down, "no soap").catch(catcher))
    bench.run()
    assert CALLS == [("heard", "ValueError", "no soap", "shop")]


def test_a_catcher_may_take_nothing(store: MemoryFailedJobs) -> None:
    with pytest.raises(ValueError, match="no soap"):
        call(break_down, "no soap").catch(wake_up).dispatch()
    assert CALLS == ["woken"]
    assert [record.job for record in store.all()] == ["onqueue.CallFunction"]


def test_a_function_that_raises_is_tried_again(bench: Bench) -> None:
    job_id = bench.put(call(break_down, "no soap").catch(hear))
    bench.run(tries=2)
    assert bench.consumer.settled(job_id) == ("release", 0.0, 1, 1)
    assert CALLS == []


def test_a_record_that_is_gone_fails_a_function_and_skips_a_closure(bench: Bench) -> None:
    """K50."""
    first = bench.put(call(read, Gone()))

    def local(record: Gone) -> None:
        note(record)

    second = bench.put(call(local, Gone()))
    bench.run(tries=5)
    assert bench.consumer.settled(first) == ("fail",)
    assert bench.consumer.settled(second) == ("ack", "skipped")
    assert [record.error for record in bench.failed.records] == ["Gone 1 no longer exists"]
    assert CALLS == []


def test_a_failed_call_is_not_edited_as_nobody_would_know_who_wrote_it(
    store: MemoryFailedJobs,
) -> None:
    with pytest.raises(ValueError, match="no soap"):
        dispatch(break_down, "no soap")
    [record] = store.all()
    with pytest.raises(UneditableJob, match="what it calls is signed: dispatch it again"):
        edit_of(onqueue.current_manager(), record, {"args": ["soap"]})


def test_a_job_class_in_the_place_of_a_job_is_told_what_it_lacks() -> None:
    class Waving(Job):
        person: str

        def handle(self) -> None: ...

    greet: Any = Waving
    for use in (lambda: dispatch(greet), lambda: onqueue.chain([greet]), lambda: call(greet)):
        with pytest.raises(JobDefinitionError, match=r"Waving' is the class of a job: dispatch an"):
            use()
