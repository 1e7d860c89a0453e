"""By what a unique job is known: its lock as the job itself describes it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, cast

from onqueue.job_class import field_names
from onqueue.options import seconds
from onqueue.payload import NO_KEYS, option, plan_of
from onqueue.payload_values import Writer
from onqueue.plans import DEFAULT_LIFETIME, Claim

if TYPE_CHECKING:
    from onqueue.job import Job
    from onqueue.keyring import Keyring
    from onqueue.plans import OnConflict

LONGEST_KEY = 200
"""Signs up to which a key stays readable; a longer one is hashed."""


def claim_of(job: Job, keys: Keyring = NO_KEYS) -> Claim | None:
    """Return the lock that the job must take to be pushed, None when it is not unique.

    The fields of an encrypted job are hashed with the present key, so that nobody can guess them
    from the lock; with a new key its locks are others.
    """
    if not option(job, "unique"):
        return None
    lifetime = option(job, "unique_for")
    return Claim(
        key=_key(job, keys),
        lifetime=DEFAULT_LIFETIME if lifetime is None else float(seconds(lifetime)),
        on_conflict=cast("OnConflict", option(job, "unique_on_conflict") or "drop"),
        until_processing=bool(option(job, "unique_until_processing")),
    )


def _key(job: Job, keys: Keyring) -> str:
    own = option(job, "unique_id")
    text = _digest(job, keys) if own is None else str(own)
    if len(job.name) + len(text) >= LONGEST_KEY:
        text = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{job.name}:{text}"


def _digest(job: Job, keys: Keyring) -> str:
    """Return a hash of the job's fields, the same whatever the order in its dicts."""
    words = plan_of(type(job)).vocabulary
    values = {
        name: Writer(job.name, name, words).write(job.__dict__[name], name)
        for name in field_names(type(job))
    }
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    if option(job, "encrypted"):
        return keys.digest(job.name, text.encode())
    return hashlib.sha256(text.encode()).hexdigest()[:32]
