"""Fixtures of every test: private servers, emptied or made anew for each test that asks."""

import gc
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
import redis
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

import onqueue
from meet2be.local.valkey import ValkeyServer
from onqueue import Job, registry
from onqueue.errors import NoCurrentManager
from support.connections import none_left_open
from support.databases import (  # noqa: F401 - fixtures for every test
    clock,
    database,
    postgres_database,
    postgres_housekeeping,
    postgres_template,
    sqlite_database,
    sqlite_template,
)
from support.kept import TEMPLATES
from support.servers import PostgresServer, private_postgres, private_valkey

# Files with a test of ten seconds or more that a run would otherwise come upon at any time.
_LONG = frozenset({
    "test_fuzzed.py", "test_route_matrix.py", "test_random_kills.py", "test_mutated_uploads.py",
    "test_order_chain.py", "test_export_crashes.py", "test_how_to_onqueue.py", "test_finding.py",
    "test_typing.py", "test_ledger_model.py", "test_model.py",
})  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a random test be repeated with the seed it printed."""
    parser.addoption("--seed", type=int, default=None, help="seed of the random crash tests")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> "FileByFile | None":
    """Decide which process gets which tests, unless another way was asked for."""
    return FileByFile(config, log) if config.getoption("dist") == "loadscope" else None


class FileByFile(LoadScopeScheduling):  # type: ignore[misc]  # it ships no types
    """Gives a file to one process where its tests share what is dear, and else test by test.

    What they share is mostly a server: each process that gets one of the tests would start it.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return path if _shares(path) else nodeid


@cache
def _shares(path: str) -> bool:
    """Tell whether a file, or the `conftest.py` right beside it, makes something for all of it."""
    file = Path(__file__).parents[1] / path
    texts = (each.read_text() for each in (file, file.with_name("conftest.py")) if each.exists())
    return any('scope="module"' in text or "one_process" in text for text in texts)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that at the end no process works while others wait."""
    items.sort(key=lambda item: item.path.name not in _LONG)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what lives as long as the run: it takes a tenth of all time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_connection_left_open() -> Iterator[None]:
    """Name the test that leaves a connection to PostgreSQL open, and where it was made."""
    with none_left_open(pytest.MonkeyPatch()):
        yield


@pytest.fixture(scope="session", autouse=True)
def _templates_of_the_run(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Share the pages' compiled templates among the run's processes; none outlives the run."""
    if hasattr(pytestconfig, "workerinput"):
        TEMPLATES.share(tmp_path_factory.getbasetemp().parent / "templates")


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    """A Valkey for the whole run; tests that kill or stop one use `private_valkey` themselves."""
    with private_valkey(appendfsync="no") as server:
        yield server


@pytest.fixture
def redis_url(valkey_server: ValkeyServer) -> str:
    """The address of an empty broker."""
    with redis.Redis.from_url(valkey_server.url) as client:
        client.flushall()
    return valkey_server.url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL for the whole run."""
    with private_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of an empty database, connected to as superuser, dropped afterwards."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture(autouse=True)
def _names_of_one_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a job class inside a test bear the name of another test's, and put that back after it."""
    replaces = registry._replaces
    before = dict(registry._classes)

    def replaces_here(new: type[Job], old: type[Job]) -> bool:
        return "<locals>" in new.__qualname__ or replaces(new, old)

    monkeypatch.setattr(registry, "_replaces", replaces_here)
    yield
    registry._classes.update(before)


@pytest.fixture
def any_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the jobs of a page bear the names of tests' jobs."""
    monkeypatch.setattr(registry, "_replaces", lambda _new, _old: True)


@pytest.fixture(autouse=True)
def _manager_of_one_test() -> Iterator[None]:
    """Use after each test the manager that was in use before it."""
    before = None
    with suppress(NoCurrentManager):
        before = onqueue.current_manager()
    yield
    onqueue.use(before)
