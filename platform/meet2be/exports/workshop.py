"""Folders on disk in which files are made, gone with whoever made them.

A folder is locked by the process that works in it. What a killed process left, the next one that
works here finds unlocked and removes.
"""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def workplace(root: Path) -> Iterator[Path]:
    """Yield an empty folder below ``root``; removed at the end, with whatever is in it."""
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    clear_leftovers(root)
    # The folder comes under its lock: nobody takes it for a leftover before it is worked in.
    with tempfile.NamedTemporaryFile(prefix="export-", suffix=".lock", dir=root) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = Path(lock.name).with_suffix("")
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def clear_leftovers(root: Path) -> int:
    """Remove the folders of processes that are gone, and return how many there were."""
    cleared = 0
    for path in root.glob("export-*.lock"):
        with suppress(OSError), path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: somebody works
            shutil.rmtree(path.with_suffix(""), ignore_errors=True)
            path.unlink(missing_ok=True)
            cleared += 1
    return cleared
