"""What a consumer tells the server of the ties of jobs that are done, so that it need not look."""

from onqueue.contracts import ReservedJob
from onqueue.drivers.redis.keys import Keys
from onqueue.drivers.redis.known_ties import LOOSE, UNKNOWN, KnownTies
from onqueue.drivers.redis.ties import is_batch, is_lane, tie_in, tie_text
from onqueue.plans import Claim, Tie

KEYS = Keys("{onqueue:redis}")
LANE, WEIGHTED = Tie(fair="acme"), Tie(fair="acme", weight=3)
BATCH, OTHER = Tie(batch="b" * 32), Tie(batch="c" * 32)
BOUND = (
    Tie(fair="acme", batch="b" * 32),
    Tie(fair="acme", claim=Claim("key")),
    Tie(batch="b" * 32, chain="c" * 32),
    Tie(fair="acme", about="d" * 32),
)


def text(tie: Tie) -> str:
    return tie_text(KEYS, tie, "default").decode()


def known(**ties: Tie | None) -> KnownTies:
    found = KnownTies()
    found.came([
        ReservedJob(name, "default", b"{}", tie="" if tie is None else text(tie))
        for name, tie in ties.items()
    ])  # fmt: skip
    return found


def test_a_lane_and_nothing_else_is_told_by_its_blank_and_read_as_ever() -> None:
    assert is_lane("")
    assert all(is_lane(text(tie)) and tie_in(text(tie).encode()) == tie for tie in (LANE, WEIGHTED))
    assert not any(is_lane(text(tie)) for tie in (BATCH, *BOUND))


def test_only_a_member_of_a_batch_that_has_nothing_else_is_taken_for_one() -> None:
    assert is_batch(text(BATCH))
    assert not any(is_batch(text(tie)) for tie in (LANE, *BOUND))
    assert not is_batch('{"x":1,"b":"key"}')


def test_jobs_in_lanes_and_plain_ones_need_no_look() -> None:
    assert known(a=LANE, b=WEIGHTED, c=None, d=LANE).of(["a", "b", "c", "d"]) == LOOSE


def test_members_of_one_batch_are_told_by_their_tie() -> None:
    assert known(a=BATCH, b=BATCH).of(["a", "b"]) == text(BATCH)


def test_what_differs_or_has_more_to_it_is_left_to_the_server() -> None:
    found = known(a=BATCH, b=OTHER, c=LANE, d=BOUND[1])
    assert found.of(["a", "b"]) == found.of(["a", "c"]) == found.of(["d"]) == UNKNOWN
    assert found.of(["c"]) == LOOSE


def test_what_went_is_forgotten() -> None:
    found = known(a=BATCH, b=BATCH)
    found.went(["a", "b", "unheard of"])
    assert found.of(["a"]) == LOOSE
