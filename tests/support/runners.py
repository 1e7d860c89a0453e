"""Processes that play parts in children of theirs: asked in a line of JSON, they answer in one."""

import json
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ANSWERS_WITHIN = 240.0
"""Seconds; a part takes one or two, so only a child that hangs comes here."""


class Runner:
    """A program that has imported the platform; its children are killed, it lives on."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, question: object) -> Any:
        """Return its answer; raises `AssertionError` when there is none, and ends it then."""
        asked = json.dumps(question)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{asked}\n")
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], ANSWERS_WITHIN)
        answer = self._process.stdout.readline() if ready else ""
        if not answer:
            self._process.kill()
            how = "ended" if ready else f"gave no answer for {ANSWERS_WITHIN:g} s"
            raise AssertionError(f"The runner {how}, asked for: {asked}")
        return json.loads(answer)


@contextmanager
def running(program: Path) -> Iterator[Runner]:
    """Yield a runner; it ends with its input."""
    with subprocess.Popen(
        [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Runner(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(ANSWERS_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
