"""The safe side of reading workbooks: asks the child, and outlives it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import IO, Any, Final, Self

from meet2be.imports.errors import UnreadableUpload, unpacked
from meet2be.imports.limits import CHILD_WAIT
from meet2be.imports.workbook.checks import broken
from meet2be.imports.workbook.child import LENGTH
from meet2be.imports.workbook.reading import ENGINES, Sheet
from meet2be.language import Message

LARGEST_FRAME: Final = 256 * 1024 * 1024
_COMMAND: Final = (sys.executable, "-m", "meet2be.imports.workbook.child")


class ChildDied(Exception):
    """The reading process came to an end without an answer; ``code`` is its exit code."""

    def __init__(self, code: int | None) -> None:
        self.code = code
        super().__init__(f"the reading process ended with {code}")


class WorkbookReader:
    """Reads workbooks in a process of its own; use it in a ``with`` block.

    Every verb raises UnreadableUpload with the reason when the file cannot be taken. A file that
    kills the fast reader is given to the careful one.
    """

    def __init__(self, wait: float = CHILD_WAIT) -> None:
        """Start nothing yet; ``wait`` is how many seconds a child may be silent."""
        self._wait = wait
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child and whatever it forked."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        process.wait()

    def sheets(self, path: str) -> list[Sheet]:
        """Check the workbook and return its sheets."""
        for engine in ENGINES:
            found: list[Sheet] = []
            try:
                for answer in self._ask({"do": "sheets", "path": path, "engine": engine}):
                    found = [Sheet(name, bool(seen)) for name, seen in answer.get("sheets", [])]
            except ChildDied:
                continue
            if not found:
                raise UnreadableUpload(Message("The workbook has no sheet with cells."))
            return found
        raise UnreadableUpload(broken())

    def rows(
        self, path: str, sheet: str, most: int | None = None
    ) -> Iterator[tuple[int, list[str]]]:
        """Check the workbook and yield the rows of a sheet that are not empty, numbered."""
        last = 0
        for engine in ENGINES:
            request = {"do": "rows", "path": path, "sheet": sheet, "engine": engine, "most": most}
            try:
                for answer in self._ask(request):
                    for number, cells in answer.get("rows", []):
                        if number > last:
                            last = number
                            yield number, cells
            except ChildDied:
                continue
            return
        raise UnreadableUpload(broken())

    def _ask(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the answers of one request; raises ChildDied when its process did not end well."""
        process = self._running()
        try:
            _stdin(process).write(json.dumps(request).encode() + b"\n")
            _stdin(process).flush()
            while True:
                answer = self._frame(process)
                if "ended" in answer:
                    if answer["ended"] != 0:
                        raise ChildDied(answer["ended"])
                    return
                if "refused" in answer:
                    self._frame(process)
                    raise UnreadableUpload(unpacked(answer["refused"]))
                yield answer
        except (OSError, EOFError, ValueError) as error:
            self.close()
            raise ChildDied(None) from error
        except GeneratorExit:
            self.close()
            raise

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = subprocess.Popen(
                _COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                start_new_session=True,
            )
        return self._process

    def _frame(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        (length,) = LENGTH.unpack(self._bytes(process, LENGTH.size))
        if length > LARGEST_FRAME:
            raise ValueError(length)
        answer = json.loads(self._bytes(process, length))
        if not isinstance(answer, dict):
            raise ValueError(answer)  # noqa: TRY004 -- all that is no answer is the same here
        return answer

    def _bytes(self, process: subprocess.Popen[bytes], wanted: int) -> bytes:
        """Return so many bytes; raises OSError when the child is silent for too long or gone."""
        stream = _stdout(process)
        pieces: list[bytes] = []
        while wanted:
            readable, _, _ = select.select([stream], [], [], self._wait)
            if not readable:
                raise TimeoutError
            piece = os.read(stream.fileno(), min(wanted, 1 << 20))
            if not piece:
                raise EOFError from None
            pieces.append(piece)
            wanted -= len(piece)
        return b"".join(pieces)


def _stdin(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdin is None:
        raise OSError
    return process.stdin


def _stdout(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdout is None:
        raise OSError
    return process.stdout
