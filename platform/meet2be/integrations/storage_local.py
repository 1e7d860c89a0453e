"""Files on this machine's disk: the store of a desk, a demo and a single server.

A draft lies in ``.drafts`` of the same file system, locked by who writes it; a clean exit brings it
to the disk (fsync) and renames it into place. The lock goes with its process, so that whoever opens
the store next tells a draft that is being written from one that was left behind.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from meet2be.integrations.storage import ObjectMissing, StoreFailed, check_key
from meet2be.language import N_, Message

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_OF_THE_DISK: Final = _FULL | {errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE}


class LocalStore:
    """Keeps files in a folder; see the module's head."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._drafts = folder / ".drafts"

    @contextmanager
    def write(self, key: str, *, content_type: str, filename: str = "") -> Iterator[BinaryIO]:
        """Yield a draft; it becomes the file when the block ends without an error."""
        target = self._path(key)
        with _explained():
            draft, path = self._new_draft()
        try:
            with _explained(), draft:
                yield draft
                draft.flush()
                os.fsync(draft.fileno())
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
                _fsync_folder(target.parent)
        finally:
            path.unlink(missing_ok=True)

    def open(self, key: str) -> BinaryIO:
        """Return the file, open for reading."""
        path = self._path(key)
        with _explained():
            try:
                return path.open("rb")
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                raise ObjectMissing(key) from None

    def size(self, key: str) -> int | None:
        """Return the file's bytes."""
        path = self._path(key)
        with _explained():
            return path.stat().st_size if path.is_file() else None

    def delete(self, key: str) -> bool:
        """Remove the file and the folders that it leaves empty."""
        path = self._path(key)
        with _explained():
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return False
        with suppress(OSError):  # somebody else's file is in one of them: it stays
            for folder in path.parents:
                if folder == self._folder:
                    break
                folder.rmdir()
        return True

    def link(self, key: str, seconds: int, *, filename: str, content_type: str) -> str | None:
        """Return None: a disk has no addresses, the platform serves its files itself."""
        return None

    def clear_leftovers(self, now: datetime) -> int:
        """Remove the drafts of processes that are gone: their locks tell them; return how many."""
        cleared = 0
        for path in self._drafts.glob("*"):
            with suppress(OSError), path.open("rb") as draft:
                fcntl.flock(draft, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: in use
                path.unlink()
                cleared += 1
        return cleared

    def _path(self, key: str) -> Path:
        check_key(key)
        return self._folder / key

    def _new_draft(self) -> tuple[BinaryIO, Path]:
        self._drafts.mkdir(parents=True, exist_ok=True, mode=0o700)
        while True:
            path = self._drafts / secrets.token_hex(16)
            draft = path.open("xb")
            fcntl.flock(draft, fcntl.LOCK_EX)
            if os.fstat(draft.fileno()).st_nlink:  # else it was cleared before the lock was there
                return draft, path
            draft.close()


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what a disk refuses into ``StoreFailed``; other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno not in _OF_THE_DISK:
            raise
        if error.errno in _FULL:
            reason = Message(N_("The disk that keeps the files is full."))
        else:
            reason = Message(
                N_("The disk that keeps the files refused: %(why)s."),
                {"why": error.strerror or type(error).__name__},
            )
        raise StoreFailed(reason, detail=str(error)) from error


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
