"""A job's tie as the driver keeps it: JSON that scripts read, with full keys in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onqueue.drivers.redis.keys import Keys
    from onqueue.plans import Tie


def tie_text(keys: Keys, tie: Tie) -> bytes:
    """Return what the scripts know of a tie.

    `f` and `w` are the lane's key and weight, `u` what is claimed (key, ms, policy, 1 when only
    until processing), `b` and `c` the keys of its batch and its chain.
    """
    parts: dict[str, Any] = {}
    if tie.fair:
        parts["f"] = tie.fair
        parts["w"] = tie.weight
    if tie.claim is not None:
        claim = tie.claim
        lifetime = -int(-claim.lifetime * 1000 // 1)
        parts["u"] = [claim.key, lifetime, claim.on_conflict, int(claim.until_processing)]
    if tie.batch:
        parts["b"] = keys.batch(tie.batch).decode()
    if tie.chain:
        parts["c"] = keys.chain(tie.chain).decode()
    return json.dumps(parts, separators=(",", ":")).encode()
