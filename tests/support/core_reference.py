"""The reference pages of the queue core, made from its code and from the words of `core_words`."""

from __future__ import annotations

import inspect
import logging
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from blinker import NamedSignal
from prometheus_client import CollectorRegistry

from onqueue import QueueManager, errors, events
from onqueue.options import OPTIONS
from onqueue.telling.logs import LEVELS
from onqueue.telling.metrics import Metrics, QueueCollector
from support.core_words import ERRORS, METRICS, OPTION_WORDS
from support.pages import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prometheus_client.core import Metric

MADE = "This page is made from the code by `make catalogue`, and a test holds it against it."

OPTIONS_HEAD = f"""# Options of a job

An option is a plain attribute of the class (`tries = 3`), or a method of the same name where it
depends on the job. What cannot be is refused when the class is made. Spans of time are seconds
or a `timedelta`. Where the default is the worker's, `onqueue work --tries`, `--timeout` and
`--backoff` say it.
{MADE}

| option | what it must be | default | what it does | travels |
| --- | --- | --- | --- | --- |
"""

OPTIONS_TAIL = """
An option that *travels* is written into the payload when the class or the job sets it: a later
deploy with another value does not change jobs that wait. The others are used at the dispatch,
and `version` says which fields the payload has.
"""

EVENTS_HEAD = f"""# Events

Signals of blinker in `onqueue.events`, each with one frozen dataclass. They are told in the
process in which they happen: those of a run in the worker. What a receiver raises is logged and
changes nothing.
{MADE}

| signal | event | when | fields |
| --- | --- | --- | --- |
"""

EVENTS_TAIL = """
Of one attempt the order is `job_processing`, then (if it raised) `job_exception_occurred`, (if
it ran too long) `job_timed_out`, one of `job_processed`, `job_released` or `job_failed`, and last
`job_attempted`. `outcome` is one of
"""

METRICS_HEAD = f"""# Metrics and log lines

For Prometheus, with the extra `metrics`; [how to install them](../how-to/watch-the-queue.md).
{MADE}

| metric | kind | labels | what it counts |
| --- | --- | --- | --- |
"""

METRICS_TAIL = """
`job` and `queue` have at most 200 values each, what comes later is `other`; no label bears a
tenant, an id or an argument. Histograms have buckets from a millisecond to two hours.

## Log lines

What `onqueue.telling.log_events()` writes to the logger `onqueue.log`; the message is the
signal's name.

| signal | level |
| --- | --- |
"""

ERRORS_HEAD = f"""# Errors

All are classes in `onqueue.errors`, under `OnQueueError` but for those that are raised inside a
job to end its run, which are no `Exception`, so that `except Exception` does not catch them.
Each message says what happened, with which value, and what to do.
{MADE}

| error | when | what to do |
| --- | --- | --- |
"""


def options_page() -> str:
    """Return the reference of the options of a job."""
    rows = [
        (f"`{name}`", option.words, *OPTION_WORDS[name], "yes" if option.travels else "")
        for name, option in OPTIONS.items()
    ]
    return OPTIONS_HEAD + _rows(rows) + OPTIONS_TAIL


def events_page() -> str:
    """Return the reference of events, in the order of the module."""
    signals = {name: one for name, one in vars(events).items() if isinstance(one, NamedSignal)}
    rows = [_event(name) for name in signals]
    outcomes = ", ".join(f"`{one}`" for one in events.Outcome.__args__)  # type: ignore[attr-defined]
    return EVENTS_HEAD + _rows(rows) + EVENTS_TAIL.rstrip("\n") + f"\n{outcomes}.\n"


def metrics_page() -> str:
    """Return the reference of metrics and log lines."""
    rows = [
        (f"`{name}`", kind, ", ".join(f"`{label}`" for label in labels), METRICS[name])
        for name, kind, labels in _metrics()
    ]
    lines = [(f"`{signal.name}`", logging.getLevelName(level).lower()) for signal, level in LEVELS]
    return METRICS_HEAD + _rows(rows) + METRICS_TAIL + _rows(lines)


def errors_page() -> str:
    """Return the reference of errors, in the order of the module."""
    rows = [
        (f"`{name}`", _sentence(error), ERRORS[name])
        for name, error in vars(errors).items()
        if isinstance(error, type) and issubclass(error, BaseException)
    ]
    return ERRORS_HEAD + _rows(rows)


PAGES = {
    REFERENCE / "job-options.md": options_page,
    REFERENCE / "queue-events.md": events_page,
    REFERENCE / "queue-metrics.md": metrics_page,
    REFERENCE / "queue-errors.md": errors_page,
}


def write() -> None:
    """Write all of them."""
    for path, page in PAGES.items():
        path.write_text(page(), encoding="utf-8")


def _event(signal: str) -> tuple[str, ...]:
    name = "".join(part.capitalize() for part in signal.split("_"))
    event = getattr(events, name)
    words = ", ".join(f"`{entry.name}`" for entry in fields(event))
    return f"`{signal}`", f"`{name}`", _sentence(event), words


def _metrics() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    registry = CollectorRegistry()
    counting = Metrics(registry)
    for metric in vars(counting).values():
        if hasattr(metric, "_labelnames"):
            [described] = metric.describe()
            name = described.name + ("_total" if described.type == "counter" else "")
            yield name, described.type, metric._labelnames
    manager = QueueManager("null", {"null": {"driver": "null"}})
    for gauge in QueueCollector(manager).collect():
        yield gauge.name, gauge.type, _labels(gauge)


def _labels(gauge: Metric) -> tuple[str, ...]:
    labels: Any = vars(gauge)["_labelnames"]
    return tuple(labels)


def _sentence(thing: type[Any]) -> str:
    """Return the first sentences of a docstring, in one line."""
    return " ".join(inspect.cleandoc(thing.__doc__ or "").partition("\n\n")[0].split())


def _rows(rows: Sequence[tuple[str, ...]]) -> str:
    return "".join("| " + " | ".join(cells).replace("|  |", "| |") + " |\n" for cells in rows)
