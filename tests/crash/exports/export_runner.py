"""A process that makes one export and kills itself at a given point of it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from meet2be.db import Database
from meet2be.db.tables import load_models
from meet2be.exports import running, telling
from meet2be.exports.running import Counter, run_export
from meet2be.integrations.storage import Store
from meet2be.integrations.storage_local import LocalStore
from meet2be.integrations.storage_s3 import S3Settings, S3Store
from onqueue.clock import SystemClock
from support.bucket import BUCKET
from support.exporting import Control


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingStore:
    """Dies when the first part has been sent, or when the file is there."""

    def __init__(self, store: Store, point: str) -> None:
        self.store, self.point = store, point

    @contextmanager
    def write(self, key: str, *, content_type: str, filename: str = "") -> Iterator[BinaryIO]:
        with self.store.write(key, content_type=content_type, filename=filename) as file:
            yield file
            if self.point == "mid_upload":
                file.write(b"x" * 6 * 1024 * 1024)
                die()
        if self.point == "uploaded":
            die()


def main(url: str, place: str, point: str, tenant: str, uid: str, work: str) -> None:
    load_models()
    store: Any
    if place.startswith("http"):
        settings = S3Settings(BUCKET, "eu-central-1", place, "AKIATESTS", "secret of tests")
        store = S3Store(settings, part_size=5 * 1024 * 1024)
    else:
        store = LocalStore(Path(place))
    if point == "mid_file":
        original = running._checked
        running._checked = lambda chunks, folder: _dying(original(chunks, folder))
    if point == "before_commit":
        telling.tell_ready = lambda *_: die()
    clock = SystemClock()
    counter = Counter(
        Database(url, clock), cast("Store", DyingStore(store, point)), clock, Path(work)
    )
    run_export(counter, int(tenant), uid, Control())


def _dying(chunks: Iterator[Any]) -> Iterator[Any]:
    yield next(chunks)
    die()


if __name__ == "__main__":
    main(*sys.argv[1:])
