"""A job's tie as JSON and back: a part of its payload, so that a retried job gets it again."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from onqueue.contracts import Claim, Tie
from onqueue.errors import UnreadablePayload

_CONFLICTS = ("drop", "raise", "replace", "keep_last")


def tie_part(tie: Tie) -> dict[str, Any]:
    """Return what a payload says of a tie: what differs from no tie, and nothing else."""
    part: dict[str, Any] = {}
    if tie.fair:
        part["fair"] = tie.fair
    if tie.weight != 1:
        part["weight"] = tie.weight
    if tie.claim is not None:
        claim = tie.claim
        part["claim"] = [claim.key, claim.lifetime, claim.on_conflict, claim.until_processing]
    if tie.batch:
        part["batch"] = tie.batch
    if tie.chain:
        part["chain"] = tie.chain
    return part


def read_tie(job: str, part: Any) -> Tie:
    """Return the tie of a payload's part; raises `UnreadablePayload` with the job's name.

    What newer code adds to a tie is passed over.
    """
    try:
        if len(part) == 1:  # most ties, and one for many jobs
            if type(fair := part.get("fair")) is str:
                return _in_lane(fair)
            if type(batch := part.get("batch")) is str:
                return _in_batch(batch)
        claim = part.get("claim")
        tie = Tie(
            fair=_text(part.get("fair", "")),
            weight=_weight(part.get("weight", 1)),
            claim=None if claim is None else _claim(*claim),
            batch=_text(part.get("batch", "")),
            chain=_text(part.get("chain", "")),
        )
    except (AttributeError, TypeError, ValueError) as error:
        msg = f"The payload of job {job!r} has the tie {part!r}, which cannot be read: {error}"
        raise UnreadablePayload(msg) from error
    return tie


@lru_cache(maxsize=16_384)
def _in_lane(fair: str) -> Tie:
    """Return the tie of a job that only has a lane.

    Tenants come round in turns: a cache with fewer places than there are tenants would find none.
    """
    return Tie(fair=fair)


@lru_cache(maxsize=1024)
def _in_batch(batch: str) -> Tie:
    """Return the tie of a job that is the member of a batch and nothing else."""
    return Tie(batch=batch)


def _claim(key: Any, lifetime: Any, on_conflict: Any, until_processing: Any) -> Claim:
    if on_conflict not in _CONFLICTS:
        raise ValueError(f"{on_conflict!r} is no policy for conflicts")
    if type(until_processing) is not bool:
        raise TypeError(f"{until_processing!r} is neither true nor false")
    return Claim(_text(key), float(lifetime), on_conflict, until_processing)


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError(f"{value!r} is no text")
    return value


def _weight(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ValueError(f"{value!r} is no weight: a whole number from 1 on")
    return value
