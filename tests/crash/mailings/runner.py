"""Plays parts in children, of which the first kills itself at a given point.

A line of standard input is a part, its point and its arguments; the answer is how each ended.
"""

from __future__ import annotations

import json
import os
import sys

# Both lie beside this file.
import delivery_part  # type: ignore[import-not-found]
import job_part  # type: ignore[import-not-found]

from meet2be.db.tables import load_models

PARTS = {"deliver": (delivery_part.play, 2), "job": (job_part.play, 3)}


def main() -> None:
    load_models()
    for line in sys.stdin:
        name, point, *arguments = json.loads(line)
        play, times = PARTS[name]
        ends: list[int] = []
        for where in [point, *["never"] * (times - 1)]:
            pid = os.fork()
            if pid == 0:
                play(where, *arguments)
                os._exit(0)
            _, status = os.waitpid(pid, 0)
            ends.append(os.waitstatus_to_exitcode(status))
        sys.stdout.write(f"{json.dumps(ends)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
