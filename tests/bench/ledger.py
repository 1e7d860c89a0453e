"""What ran, how often and when: a file of fixed places that all processes of a run share.

A job notes itself by its number with two writes into shared memory, which costs every system the
same half a microsecond and asks nothing of the broker. Only the standard library is needed.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from time import monotonic

_RECORD = struct.Struct("=d")
_MOST = 255


class Ledger:
    """Counts of runs and instants of the last run for jobs 0…size-1; monotonic seconds."""

    def __init__(self, path: Path, size: int) -> None:
        """Open the file, made by `create`."""
        self.path = path
        self.size = size
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), size * (1 + _RECORD.size))

    @classmethod
    def create(cls, path: Path, size: int) -> Ledger:
        """Return a ledger in which nothing has run."""
        with path.open("wb") as file:
            file.truncate(size * (1 + _RECORD.size))
        return cls(path, size)

    def note(self, number: int) -> None:
        """Note that a job runs now."""
        counts = self._map
        if counts[number] < _MOST:
            counts[number] += 1
        _RECORD.pack_into(counts, self.size + number * _RECORD.size, monotonic())

    def done(self, first: int = 0, last: int | None = None) -> int:
        """Return how many of the jobs first…last-1 have run."""
        places = self._map[first : self.size if last is None else last]
        return len(places) - places.count(0)

    def at(self, number: int) -> float:
        """Return when a job ran, 0.0 while it has not."""
        found: tuple[float] = _RECORD.unpack_from(self._map, self.size + number * _RECORD.size)
        return found[0]

    def faults(self, first: int = 0, last: int | None = None) -> tuple[int, int]:
        """Return how many of the jobs first…last-1 never ran and how many ran more than once."""
        places = self._map[first : self.size if last is None else last]
        lost = places.count(0)
        return lost, len(places) - lost - places.count(1)

    def close(self) -> None:
        """Let go of the memory; the file stays."""
        self._map.close()
