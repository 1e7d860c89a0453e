"""Dispatches for a system, in its environment: `python -m bench.dispatch APP fill|idle|later …`."""

from __future__ import annotations

import argparse
import importlib
import json
import random
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

_never = Event()
_LOOK = 0.001
_LONGEST = 20.0
_WARM = 20


def fill(app: Any, first: int, last: int, _seconds: float) -> list[float]:
    """Send jobs that a worker is to find; return the seconds that took."""
    began = monotonic()
    app.fill(first, last)
    return [monotonic() - began]


def idle(app: Any, first: int, last: int, seconds: float) -> list[float]:
    """Send jobs one after the other to an idle worker; return the seconds until each ran.

    The first ones only warm up. Ends early when so many `seconds` are over.
    """
    ends = monotonic() + seconds
    waits = []
    for number in range(first, last):
        _never.wait(random.uniform(0.005, 0.02))
        sent = monotonic()
        app.send(number)
        waits.append(_ran(app, number) - sent)
        if monotonic() > ends and len(waits) > 2 * _WARM:
            break
    return waits[_WARM:]


def later(app: Any, first: int, last: int, seconds: float) -> list[float]:
    """Send jobs that are due within `seconds`; return by how much each came too late.

    The first one only warms up.
    """
    app.send_later(first, 0.01)
    _ran(app, first)
    due = {}
    for number in range(first + 1, last):
        delay = random.uniform(0.2, seconds)
        due[number] = monotonic() + delay
        app.send_later(number, delay)
    return [_ran(app, number) - instant for number, instant in due.items()]


def _ran(app: Any, number: int) -> float:
    """Return when a job ran, looking a thousand times a second so as not to be in its way."""
    gives_up = monotonic() + _LONGEST
    while not (at := app.ledger.at(number)):
        if monotonic() > gives_up:
            raise SystemExit(f"Job {number} did not run within {_LONGEST:g} s.")
        _never.wait(_LOOK)
    return float(at)


def main() -> None:
    """Do what the command line says; figures go to a file as JSON."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("app")
    options.add_argument("what", choices=["fill", "idle", "later"])
    options.add_argument("first", type=int)
    options.add_argument("last", type=int)
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--to", type=Path)
    given = options.parse_args()
    app = importlib.import_module(given.app)
    acts = {"fill": fill, "idle": idle, "later": later}
    figures = acts[given.what](app, given.first, given.last, given.seconds)
    given.to.write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
