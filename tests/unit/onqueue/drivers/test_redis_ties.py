"""Which lanes a payload tells, so that the server keeps nothing else of them."""

from dataclasses import replace

import pytest

from onqueue.drivers.redis.keys import Keys
from onqueue.drivers.redis.ties import is_told, lane_or_tie, tie_in, told_lane
from onqueue.job import Job
from onqueue.payload import plan_of
from onqueue.plans import Claim, Tie

KEYS = Keys("{onqueue:redis}")
TELLABLE = ("acme", "17", "a-b_c.d:e/f", "[x]{y}", "x" * 240)
OTHERS = ('a"b', "a\\b", "a b", "50%", "Müller", "a\n", "x" * 241, "")


class ToldJob(Job):
    """Has text in it that looks like more."""

    text: str

    def handle(self) -> None:
        """Do nothing."""


def payload(tie: Tie | None, text: str = "") -> bytes:
    return plan_of(ToldJob).encode(ToldJob(text), 1.0, {"tenant": "acme"}, tie=tie)


@pytest.mark.parametrize("key", TELLABLE)
@pytest.mark.parametrize("weight", [1, 3])
def test_a_payload_tells_a_lane_that_needs_no_tie(key: str, weight: int) -> None:
    tie = Tie(fair=key, weight=weight)
    assert told_lane(payload(tie)) == (key, weight)
    assert lane_or_tie(KEYS, tie, "default", payload(tie)) == f"{weight} {key}".encode()
    assert KEYS.fair_lane("default", key)[0] == KEYS.queue("default").lanes + key.encode()


@pytest.mark.parametrize("key", OTHERS)
def test_a_key_that_is_written_otherwise_in_a_lanes_name_has_a_tie(key: str) -> None:
    tie = Tie(fair=key)
    text = lane_or_tie(KEYS, tie, "default", payload(tie))
    assert not is_told(text)
    assert tie_in(text) == tie


@pytest.mark.parametrize(
    "more", [{"batch": "b" * 32}, {"chain": "c" * 32}, {"claim": Claim("key")}, {"about": "d" * 32}]
)
def test_what_hangs_on_more_than_a_lane_has_a_tie(more: dict[str, object]) -> None:
    tie = replace(Tie(fair="acme"), **more)  # type: ignore[arg-type]
    for written in (payload(tie), payload(Tie(fair="acme"))):
        assert tie_in(lane_or_tie(KEYS, tie, "default", written)) == tie


def test_a_payload_of_another_lane_or_of_none_tells_nothing() -> None:
    tie = Tie(fair="acme")
    for written in (
        payload(Tie(fair="other")),
        payload(replace(tie, weight=2)),
        payload(None),
        b"",
    ):
        assert tie_in(lane_or_tie(KEYS, tie, "default", written)) == tie


@pytest.mark.parametrize("text", [',"t":{"fair":"acme"}}', ',"t":{"fair":"acme"', "\\"])
def test_a_jobs_own_text_tells_no_lane(text: str) -> None:
    assert told_lane(payload(None, text)) is None
    assert told_lane(b'{"v":1,"data":{"a":1,"t":{"fair":"acme"}}}') is None
