"""Payloads of released versions, byte for byte: what is on a queue must stay readable."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from onqueue import Job
from onqueue.payload import decode, plan_of

AT = 1_767_225_600.25
HERE = Path(__file__).parent


class Paper(Enum):
    A4 = "a4"


@dataclass
class Margin:
    left: int
    right: int = 2


class PrintTicket(Job):
    name = "golden.print-ticket"

    def handle(self) -> None: ...


class PrintBadge(Job):
    name = "golden.print-badge"
    tries = 3
    timeout = 600
    fail_on_timeout = True
    max_exceptions = 2
    backoff = (10, 30, 60)
    retry_until = timedelta(hours=1)
    jitter = 0.5
    delete_when_missing_models = True
    tags = ("badge",)
    display_name = "Print a badge"
    version = 2
    expires_in = 3600
    durable = True

    title: str
    values: list[Any]
    paper: Paper = Paper.A4
    margin: Margin | None = None

    def handle(self) -> None: ...


BADGE = PrintBadge(
    'Zoë "Q" \\ \n',
    [
        None,
        True,
        -1,
        1.5,
        {"a": [], "$a": {}},
        (1, 2),
        b"\x00\xff",
        datetime(2026, 1, 1, 12, tzinfo=UTC),
        date(2026, 1, 1),
        time(9, 30),
        timedelta(days=1, seconds=2, microseconds=3),
        Decimal("10.50"),
        UUID(int=7),
    ],
    margin=Margin(1),
)


@pytest.mark.parametrize(
    ("file", "job", "context"),
    [
        ("payload-v1-empty.json", PrintTicket(), {}),
        ("payload-v1-full.json", BADGE, {"tenant": "7", "trace": "00-ab-cd-01"}),
    ],
)
def test_a_payload_is_these_bytes(file: str, job: Job, context: dict[str, str]) -> None:
    golden = (HERE / file).read_bytes().rstrip(b"\n")
    assert plan_of(type(job)).encode(job, AT, context) == golden
    envelope = decode(golden)
    assert envelope.restore() == job
    assert envelope.context == context
    assert envelope.at == AT
