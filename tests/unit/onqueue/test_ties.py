"""What hangs on a job besides its payload travels in it, too."""

from typing import Any

import pytest

from onqueue import Job
from onqueue.contracts import Claim, Tie
from onqueue.errors import UnreadablePayload
from onqueue.payload import decode, plan_of
from onqueue.ties import read_tie, tie_part


class Tied(Job):
    name = "ties.tied"
    n: int = 1

    def handle(self) -> None: ...


TIES = [
    Tie(),
    Tie(fair="tenant-7"),
    Tie(fair="tenant-7", weight=3),
    Tie(claim=Claim("Tied:1")),
    Tie(claim=Claim("Tied:1", 60.5, "keep_last", until_processing=True)),
    Tie(batch="b" * 32, chain="c" * 32),
]


def encoded(tie: Tie | None) -> bytes:
    return plan_of(Tied).encode(Tied(), 0.0, {"tenant": "7"}, tie=tie)


@pytest.mark.parametrize("tie", TIES[1:])
def test_a_tie_arrives_as_it_was(tie: Tie) -> None:
    envelope = decode(encoded(tie))
    assert envelope.tie == tie
    assert envelope.restore() == Tied()


def test_a_plain_payload_says_nothing_of_a_tie() -> None:
    assert decode(encoded(None)).tie is None
    assert b'"t"' not in encoded(None)


def test_a_tie_stands_at_the_end_in_the_open() -> None:
    """K78."""
    payload = encoded(Tie(batch="b1", claim=Claim("k", 60.0)))
    assert payload == (
        b'{"v":1,"job":"ties.tied","at":0,"data":{"n":1},"c":{"tenant":"7"},'
        b'"t":{"claim":["k",60.0,"drop",false],"batch":"b1"}}'
    )


@pytest.mark.parametrize("tie", TIES)
def test_only_what_differs_from_no_tie_is_written(tie: Tie) -> None:
    part = tie_part(tie)
    assert read_tie("x", part) == tie
    assert (part == {}) is (tie == Tie())


def test_what_newer_code_adds_is_passed_over() -> None:
    assert read_tie("x", {"batch": "b", "colour": "red"}) == Tie(batch="b")


@pytest.mark.parametrize(
    "part",
    [
        "text",
        [1],
        {"fair": 7},
        {"weight": 0},
        {"weight": "2"},
        {"claim": ["k"]},
        {"claim": "k"},
        {"claim": [1, 1.0, "drop", False]},
        {"claim": ["k", "soon", "drop", False]},
        {"claim": ["k", 1.0, "shrug", False]},
        {"claim": ["k", 1.0, "drop", 1]},
        {"batch": 5},
        {"chain": None},
    ],
)
def test_a_tie_that_nobody_wrote_is_refused_with_the_job_s_name(part: Any) -> None:
    with pytest.raises(UnreadablePayload, match="job 'x' has the tie"):
        read_tie("x", part)
