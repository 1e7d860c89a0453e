"""The process that reads workbooks: ``python -m meet2be.imports.workbook.child``.

It takes one request a line on its standard input and forks for each, so that what a file does to
its reader ends with that reader. Answers are frames: four bytes of length, then JSON. The forked
process may neither compute nor take memory beyond limits, nor write files, nor use the network.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import sys
from typing import Any, BinaryIO, Final

from meet2be.imports.errors import UnreadableUpload, packed
from meet2be.imports.limits import CHILD_CPU, CHILD_MEMORY
from meet2be.imports.workbook.checks import check_workbook
from meet2be.imports.workbook.reading import Engine, rows_of, sheets_of

LENGTH: Final = struct.Struct(">I")
ROWS_A_FRAME: Final = 500
_FORBIDDEN: Final = (
    "socket.", "subprocess.", "os.exec", "os.system", "os.posix_spawn", "os.fork", "os.remove",
    "os.rename", "os.mkdir", "shutil.", "urllib.", "http.", "ftplib.", "ctypes.dlopen",
)  # fmt: skip


def main() -> None:
    """Serve requests until nobody is there to make them."""
    import openpyxl  # noqa: F401 -- before the fork, so that each request finds it
    import python_calamine  # noqa: F401

    for line in sys.stdin.buffer:
        pid = os.fork()
        if pid == 0:
            _read(json.loads(line))
        _, status = os.waitpid(pid, 0)
        _send({"ended": os.waitstatus_to_exitcode(status)})


def _read(request: dict[str, Any]) -> None:
    """Answer one request and end this process."""
    code = 1
    try:
        _confine()
        _answer(request)
        code = 0
    except UnreadableUpload as error:
        _send({"refused": packed(error.why)})
        code = 0
    except BrokenPipeError:
        code = 3
    except MemoryError:
        code = 4
    finally:
        # Past every cleanup: nothing here is worth what a broken library might still do.
        os._exit(code)


def _answer(request: dict[str, Any]) -> None:
    path, engine = str(request["path"]), _engine(request)
    if request.get("check", True):
        check_workbook(path)
    if request["do"] == "sheets":
        sheets = [[each.name, each.is_visible] for each in sheets_of(path, engine)]
        _send({"sheets": sheets})
        return
    most = request.get("most")
    waiting: list[tuple[int, list[str]]] = []
    for count, row in enumerate(rows_of(path, str(request["sheet"]), engine), start=1):
        waiting.append(row)
        if len(waiting) == ROWS_A_FRAME:
            _send({"rows": waiting})
            waiting = []
        if most is not None and count >= int(most):
            break
    _send({"rows": waiting})


def _engine(request: dict[str, Any]) -> Engine:
    return "openpyxl" if request.get("engine") == "openpyxl" else "calamine"


def _confine() -> None:
    """Take from this process what reading a file does not need."""
    memory = CHILD_MEMORY
    for what, limit in (
        (resource.RLIMIT_CPU, CHILD_CPU),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 32),
    ):
        resource.setrlimit(what, (limit, limit))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    sys.addaudithook(_refuse)


def _refuse(event: str, _arguments: object) -> None:
    if event.startswith(_FORBIDDEN):
        raise PermissionError(event)


def _send(answer: dict[str, Any], to: BinaryIO | None = None) -> None:
    data = json.dumps(answer).encode()
    stream = to or sys.stdout.buffer
    stream.write(LENGTH.pack(len(data)) + data)
    stream.flush()


if __name__ == "__main__":
    main()
