"""Files that somebody has tampered with: refused with a sentence or read, and no worker dies."""

import io
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from meet2be.imports.detection import SAMPLE, Layout, format_of, guess_layout
from meet2be.imports.errors import UnreadableUpload
from meet2be.imports.tables import Source, opened_table, preview_of
from meet2be.imports.workbook.reader import WorkbookReader
from meet2be.language import said
from support.uploads import mutated

LOOKED_UP = 5


class OneFile:
    """A store that holds one file; the rest of a store nobody asks for."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self, _key: str) -> BinaryIO:
        return self.path.open("rb")


def read_as_an_upload(
    reader: WorkbookReader, path: Path, data: bytes, *, looks_up: bool = True
) -> str:
    """Do with a file what an upload and a check do; return how it ended.

    Without ``looks_up`` the sheet's name is taken for known: half the processes, the same readers.
    """
    try:
        kind = format_of(data[:SAMPLE], data[-SAMPLE:])
        path.write_bytes(data)
        if kind == "csv":
            layout = guess_layout(data[:SAMPLE], is_utf8=is_utf8(data))
        else:
            layout = Layout(sheet=reader.sheets(str(path))[0].name if looks_up else "Sheet")
        source = Source(OneFile(path), "key", kind, "list")  # type: ignore[arg-type]
        if kind == "csv":  # of a workbook it is what comes next, up to a row
            preview_of(source, layout, reader)
        with opened_table(source, layout, reader) as table:
            rows = sum(1 for _ in table.rows)
    except UnreadableUpload as error:
        return "refused" if said(error) else "refused without a word"
    return "read" if rows else "empty"


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@contextmanager
def alive(reader: WorkbookReader) -> Iterator[None]:
    """Hold that the worker's side of the reader is the same process as before."""
    before = os.getpid()
    yield
    assert os.getpid() == before
    reader.close()


def run(folder: Path, seed: int, files: int) -> Counter[str]:
    ends: Counter[str] = Counter()
    with WorkbookReader() as reader, alive(reader):
        for number, data in enumerate(mutated(seed, files)):
            try:
                end = read_as_an_upload(
                    reader, folder / "upload", data, looks_up=number % LOOKED_UP == 1
                )
                ends[end] += 1
            except Exception as error:
                error.add_note(f"file {number} of seed {seed}")
                raise
    return ends


def test_a_thousand_mutated_files_kill_no_worker(tmp_path: Path) -> None:
    ends = run(tmp_path, seed=20261122, files=1_000)
    assert ends.total() == 1_000
    assert not ends["refused without a word"]
    # They reach the readers, and are not all turned away at the door.
    assert ends["read"] > 150
    assert ends["refused"] > 150


@pytest.mark.chaos
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_mutated_files_kill_no_worker(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    ends = run(tmp_path, seed, files=100_000)
    assert ends.total() == 100_000, f"seed {seed}"


def test_the_reader_outlives_a_child_that_is_killed(tmp_path: Path) -> None:
    with WorkbookReader() as reader:
        for data in mutated(1, 2):
            read_as_an_upload(reader, tmp_path / "upload", data)
        child = reader._process
        assert child is not None
        child.kill()
        child.wait()
        ends = [read_as_an_upload(reader, tmp_path / "upload", data) for data in mutated(2, 6)]
    assert len(ends) == 6


def test_what_a_closed_stream_says_is_no_file() -> None:
    with pytest.raises(UnreadableUpload, match="empty"):
        format_of(io.BytesIO().read())
