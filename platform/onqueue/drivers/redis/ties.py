"""A job's tie as the driver keeps it: JSON that scripts read, with full keys in it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from onqueue.plans import Claim, Tie

if TYPE_CHECKING:
    from onqueue.contracts import ReservedJob
    from onqueue.drivers.redis.keys import Keys


_LANE = {"f", "k", "w"}

TOLD: Final = "{ }"
"""What stands for the tie of a job that lies in a lane of which only its payload tells."""

TELLS: Final = b',"t":{"fair":"'
"""With this begins what a payload tells of a lane."""

WITHOUT_WEIGHT: Final = b'"}}'
"""With this it ends where the lane weighs 1."""

_TOLD = re.compile(rb',"t":\{"fair":"([!#$&-\[\]-~]{1,240})"(?:,"weight":([1-9][0-9]{0,8}))?\}\}\Z')
"""The end of a payload, as `onqueue.payload` writes it, the key such as `lane_name` leaves it.

`_told.lua` reads the same.
"""

_QUOTES_OF_BATCH = 4  # around the name and around the key, which has none


def is_bound(tie: Tie) -> bool:
    """Tell whether more than a lane hangs on the job, so that it must be stored by `receive`."""
    return tie.claim is not None or bool(tie.batch or tie.chain)


def tie_text(keys: Keys, tie: Tie, queue: str) -> bytes:
    """Return what the scripts know of a tie.

    `f` are the keys of the lane, its ring and the ring's shares, `k` what tells the lanes of a
    queue apart, and `w` the lane's weight; `u` what is claimed (key, ms, policy, 1 when only
    until processing), `b` and `c` the keys of its batch and its chain, `a` what it is about.
    A tie that is a lane and nothing else begins with a blank, by which scripts know it at once.
    """
    parts: dict[str, Any] = {}
    if tie.fair:
        parts["f"] = [key.decode() for key in keys.fair_lane(queue, tie.fair)]
        parts["k"] = tie.fair
        if tie.weight != 1:
            parts["w"] = tie.weight
    if tie.claim is not None:
        claim = tie.claim
        lifetime = -int(-claim.lifetime * 1000 // 1)
        parts["u"] = [claim.key, lifetime, claim.on_conflict, int(claim.until_processing)]
    if tie.batch:
        parts["b"] = keys.batch(tie.batch).decode()
    if tie.chain:
        parts["c"] = keys.chain(tie.chain).decode()
    if tie.about:
        parts["a"] = tie.about
    text = json.dumps(parts, separators=(",", ":"))
    return (f"{{ {text[1:]}" if parts.keys() <= _LANE else text).encode()


def told_lane(payload: bytes) -> tuple[str, int] | None:
    """Return fair key and weight that a payload tells at its end, None when it tells nothing else.

    A job with a lane and nothing else needs no tie then: scripts find its lane there when it comes
    back to it, and nobody asks otherwise.
    """
    at = payload.rfind(TELLS)
    found = _TOLD.match(payload, at) if at >= 0 else None
    return None if found is None else (found[1].decode(), int(found[2] or 1))


def lane_or_tie(keys: Keys, tie: Tie, queue: str, payload: bytes) -> bytes:
    """Return what a push says of a tie: its text, or weight and name of a lane that is told."""
    bound = is_bound(tie) or tie.about
    if not bound and told_lane(payload) == (tie.fair, tie.weight):
        return f"{tie.weight} {tie.fair}".encode()
    return tie_text(keys, tie, queue)


def is_told(text: bytes) -> bool:
    """Tell whether a push says that the payload tells the lane."""
    return text[:1].isdigit()


def has_lane(job: ReservedJob) -> bool:
    """Tell whether a job that comes back goes to a lane."""
    tie = tie_in(job.tie.encode())
    return bool(tie.fair) or told_lane(job.payload) is not None


def is_lane(tie: str) -> bool:
    """Tell whether a tie's text says that it is a lane and nothing else, or that there is none."""
    return not tie or tie.startswith("{ ")


def is_batch(tie: str) -> bool:
    """Tell whether a tie's text is that of a member of a batch, and of nothing else."""
    return tie.startswith('{"b":') and tie.count('"') == _QUOTES_OF_BATCH


def tie_in(text: bytes) -> Tie:
    """Return the tie a text is of; that of a plain job is empty."""
    parts = json.loads(text) if text else {}
    claim = None
    if "u" in parts:
        key, lifetime, on_conflict, until = parts["u"]
        claim = Claim(key, lifetime / 1000, on_conflict, bool(until))
    return Tie(
        fair=parts.get("k", ""),
        weight=parts.get("w", 1),
        claim=claim,
        batch=parts.get("b", "").rpartition(":")[2],
        chain=parts.get("c", "").rpartition(":")[2],
        about=parts.get("a", ""),
    )


def tie_up(jobs: list[ReservedJob], ties: list[bytes], marks: str) -> None:
    """Set what came beside the payloads: each job's tie, or that of all, and who was cancelled."""
    if len(ties) == 1:
        tie, about = ties[0].decode(), tie_in(ties[0]).about if b'"a"' in ties[0] else ""
        for job in jobs if tie else ():
            job.tie, job.about = tie, about
    else:
        for job, text in zip(jobs, ties, strict=True):
            job.tie = text.decode()
            if b'"a"' in text:
                job.about = tie_in(text).about
    if "1" in marks:
        for job, mark in zip(jobs, marks, strict=True):
            job.cancelled = mark == "1"
