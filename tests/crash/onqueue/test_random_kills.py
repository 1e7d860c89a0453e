"""Workers killed and stopped at random; `--seed` repeats the choices of a run that was printed.

The runs here are short: `test_each_step.py` kills at every step on purpose, and `make chaos` kills
by thousands.
"""

import secrets
from pathlib import Path

import pytest

from support.servers import private_valkey
from support.worker_chaos import Chaos

pytestmark = pytest.mark.crash


def _run(
    request: pytest.FixtureRequest, directory: Path, kills: int, stops: int, concurrency: int = 1
) -> None:
    given = request.config.getoption("--seed")
    seed = secrets.randbelow(1_000_000) if given is None else given
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with private_valkey(appendfsync="no") as server:
        chaos = Chaos(directory, server.url, seed, concurrency)
        try:
            chaos.run(kills, stops)
            chaos.check()
        finally:
            with capture.global_and_fixture_disabled():
                print(f"\n{chaos.figures}")  # noqa: T201 - the figures are what the run is for


def test_100_kills_and_10_stops_lose_nothing(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    _run(request, tmp_path, kills=100, stops=10)


@pytest.mark.chaos
@pytest.mark.timeout(3600)
def test_5000_kills_and_150_stops_lose_nothing(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    _run(request, tmp_path, kills=5000, stops=150)


def test_30_kills_and_5_stops_of_workers_with_four_threads_lose_nothing(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    _run(request, tmp_path, kills=30, stops=5, concurrency=4)
