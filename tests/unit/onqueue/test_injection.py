"""Dependencies of `handle`."""

from typing import Any

import pytest
import svcs

from onqueue import Job
from onqueue.errors import JobDefinitionError
from onqueue.injection import call_handle, dependencies, injected
from onqueue.job_context import JobContext


class Storage:
    is_open = True


class Mailer:
    pass


class Export(Job):
    path: str

    def handle(self, storage: Storage, mailer: Mailer) -> None:
        GOT.append((self.path, storage, mailer))


GOT: list[Any] = []


@pytest.fixture(autouse=True)
def _fresh() -> None:
    GOT.clear()


class Lifeline:
    holder = "h"

    def holds_lease(self) -> bool:
        return True

    def should_stop(self) -> bool:
        return False


def context(registry: svcs.Registry) -> JobContext:
    return JobContext(
        job_id="1",
        attempts=1,
        connection="c",
        queue="q",
        context={},
        lifeline=Lifeline(),
        services=registry,
    )


def test_handle_gets_what_it_names_by_type_and_the_run_closes_it() -> None:
    registry = svcs.Registry()
    mailer = Mailer()
    registry.register_value(Mailer, mailer)
    closed: list[Storage] = []

    def storage() -> Any:
        made = Storage()
        yield made
        closed.append(made)

    registry.register_factory(Storage, storage)
    run = context(registry)
    call_handle(Export("a"), run)
    ((path, used, same),) = GOT
    assert (path, same) == ("a", mailer)
    assert run.service(Storage) is used
    run.close()
    assert closed == [used]


def test_a_dependency_nobody_registered_is_named() -> None:
    with pytest.raises(svcs.exceptions.ServiceNotFoundError):
        call_handle(Export("a"), context(svcs.Registry()))


def test_a_parameter_without_a_type_is_refused_unless_it_has_a_default() -> None:
    class Loose(Job):
        def handle(self, storage, n=3) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001

    class Fine(Job):
        def handle(self, n=3) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001

    with pytest.raises(JobDefinitionError, match=r"'storage' of .*Loose\.handle has no type"):
        dependencies(Loose)
    assert dependencies(Fine) == ()


def test_a_handle_put_in_its_place_is_looked_at_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    class Patched(Job):
        def handle(self) -> None: ...

    def other(_self: Job, storage: Storage) -> None: ...

    assert dependencies(Patched) == ()
    monkeypatch.setattr(Patched, "handle", other)
    assert dependencies(Patched) == (("storage", Storage, False),)


def test_a_dependency_with_a_default_is_injected_where_it_is_registered() -> None:
    class Lenient(Job):
        def handle(self, storage: Storage | None = None, mailer: Mailer = NOBODY) -> None:
            GOT.append((storage, mailer))

    def run(*services: object) -> None:
        registry = svcs.Registry()
        for service in services:
            registry.register_value(type(service), service)
        using = context(registry)
        call_handle(Lenient(), using)
        using.close()

    storage, mailer = Storage(), Mailer()
    run()
    run(mailer)
    run(storage)
    assert list(GOT) == [(None, NOBODY), (None, mailer), (storage, NOBODY)]


NOBODY = Mailer()


def test_a_dependency_marked_as_injected_is_needed() -> None:
    class Marked(Job):
        def handle(self, storage: Storage = injected) -> None: ...

    assert dependencies(Marked) == (("storage", Storage, False),)
    using = context(svcs.Registry())
    with pytest.raises(svcs.exceptions.ServiceNotFoundError):
        call_handle(Marked(), using)
    using.close()


def test_a_dependency_that_can_only_be_given_by_place_is_refused() -> None:
    class Placed(Job):
        def handle(self, storage: Storage, /) -> None: ...

    with pytest.raises(JobDefinitionError, match=r"'storage' of .*can only be given by place"):
        dependencies(Placed)


def test_a_dependency_whose_type_cannot_be_found_is_named() -> None:
    class Puzzled(Job):
        def handle(self, storage: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(JobDefinitionError, match="'Nowhere' is not defined"):
        dependencies(Puzzled)
