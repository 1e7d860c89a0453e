"""A worker is killed at each point of an export; its successor runs the same job again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from meet2be.db import Database
from meet2be.integrations.storage import Store
from meet2be.integrations.storage_local import LocalStore
from meet2be.integrations.storage_s3 import S3Settings
from onqueue.clock import SystemClock
from support.bucket import bucket_server, small_parts, unfinished
from support.exporting import Exporting, exporting

pytestmark = pytest.mark.crash
RUNNER = Path(__file__).with_name("export_runner.py")
POINTS = ("mid_file", "mid_upload", "uploaded", "before_commit")


@pytest.fixture(scope="module")
def bucket() -> Iterator[S3Settings]:
    with bucket_server() as settings:
        yield settings


@pytest.fixture
def clock() -> SystemClock:
    """The wall's: the killed process and its successor have no other."""
    return SystemClock()


def kill_at(point: str, desk: Exporting, place: str, uid: str) -> None:
    url = str(desk.database.engine.url)
    tests = str(RUNNER.parents[2])
    died = subprocess.run(
        [sys.executable, str(RUNNER), url, place, point, str(desk.tenant.id), uid,
         str(desk.counter.folder)],
        check=False, timeout=180, env={**os.environ, "PYTHONPATH": tests},  # noqa: TID251
    )  # fmt: skip
    assert died.returncode == -signal.SIGKILL, point


def check_the_second_try(desk: Exporting, store: Store, uid: str, point: str) -> None:
    before = desk.export(uid)
    assert before.state in {"running", "uploading"}, point
    assert desk.notices() == [], "nobody is told before it is ready"
    if point in {"mid_file", "mid_upload"}:
        assert store.size(before.storage_key) is None, "no half file is seen"
    after = desk.run(uid)
    assert (after.state, after.total, after.fence) == ("ready", 3, before.fence + 1)
    with store.open(after.storage_key) as file:
        content = file.read()
    assert content.decode("utf-8-sig").split() == ["Name", "Al", "Bo", "Cy"]
    assert after.size == len(content)
    assert [notice.kind for notice in desk.notices()] == ["export.ready"]
    assert list(desk.counter.folder.iterdir()) == [], "what the killed one left is cleared"


def test_a_killed_worker_s_export_is_made_once_and_whole_on_a_disk(
    sqlite_database: Database, clock: SystemClock, tmp_path: Path
) -> None:
    """B22."""
    with exporting(sqlite_database, clock, tmp_path) as desk:
        desk.sell("Bo", "Al", "Cy")
        for point in POINTS:
            uid = desk.ask(words="", columns=("name",)).export.uid
            kill_at(point, desk, str(tmp_path / "files"), uid)
            check_the_second_try(desk, desk.counter.store, uid, point)
            desk.forget_notices()
        store = desk.counter.store
        assert isinstance(store, LocalStore)
        assert store.clear_leftovers(clock.now()) == 1, "the draft of the killed upload"


def test_a_killed_upload_leaves_no_unfinished_multipart_in_s3(
    sqlite_database: Database, clock: SystemClock, tmp_path: Path, bucket: S3Settings
) -> None:
    """B22."""
    store = small_parts(bucket)
    with exporting(sqlite_database, clock, tmp_path, store) as desk:
        desk.sell("Bo", "Al", "Cy")
        uid = desk.ask().export.uid
        kill_at("mid_upload", desk, str(bucket.endpoint), uid)
        assert unfinished(bucket) == [desk.export(uid).storage_key]
        check_the_second_try(desk, store, uid, "mid_upload")
        assert unfinished(bucket) == []
