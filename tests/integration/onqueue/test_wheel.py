"""The queue core alone: its wheel keeps the contracts with nothing but its own dependencies."""

import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NEEDED = ("redis", "click", "blinker", "svcs", "attrs", "typing_extensions")
"""The four dependencies, and the two that svcs brings."""

RUNNER = ("pytest", "pluggy", "iniconfig", "packaging", "pygments")

CONTRACTS = '''
"""The shipped contracts, on a server whose address is in the environment."""
import os

import pytest
import redis

import onqueue
from onqueue.config import connection_config
from onqueue.drivers.redis import RedisQueue
from onqueue.testing.work_contract import WorkContract


class TestFromTheWheel(WorkContract):
    @pytest.fixture
    def make_queue(self):
        url, made = os.environ["BROKER"], []
        with redis.Redis.from_url(url) as client:
            client.flushall()

        def make(**settings):
            given = {"driver": "redis", "url": url, **settings}
            made.append(RedisQueue(connection_config("redis", given)))
            return made[-1]

        yield make
        for queue in made:
            queue.close()


def test_only_the_wheel_is_there():
    assert os.path.dirname(onqueue.__file__).startswith(os.environ["WHEEL"])
    for name in ("sqlalchemy", "flask", "boto3", "meet2be", "cryptography", "cloudpickle"):
        with pytest.raises(ImportError):
            __import__(name)
'''


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked, beside links to what it needs and to the runner."""
    built = tmp_path_factory.mktemp("built")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)],
        cwd=ROOT / "platform" / "onqueue",
        check=True,
        capture_output=True,
    )
    [path] = built.glob("onqueue-*.whl")
    place = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(place)
    for name in (*NEEDED, *RUNNER):
        _link(name, place)
    return place


def _link(name: str, place: Path) -> None:
    of = distribution(name)
    tops = {file.parts[0] for file in of.files or () if file.parts[0] not in {"..", "__pycache__"}}
    for top in tops:
        (place / top).symlink_to(str(of.locate_file(top)))


def test_the_contracts_pass_from_the_wheel_alone(
    wheel: Path, redis_url: str, tmp_path: Path
) -> None:
    """B20."""
    (tmp_path / "test_contracts.py").write_text(CONTRACTS, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-S", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(wheel), "WHEEL": str(wheel), "BROKER": redis_url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_its_commands_start_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-S", "-m", "onqueue", "--help"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "work" in ran.stdout
