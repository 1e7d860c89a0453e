"""How messages get to a queue whether or not they are unique, told of alike on every road."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from onqueue import events
from onqueue.errors import UniqueJobExists, UnreadablePayload
from onqueue.payload import decode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onqueue.contracts import JobId, Message, Queue, UniqueQueue
    from onqueue.plans import Claim, Tie

MERGING = frozenset({"replace", "keep_last"})
"""What a loser may want that leaves it in the winner's place: its payload is not lost."""


@dataclass(slots=True)
class Pushed:
    """What a push came to: how many jobs were `new`, and the `owners` of those that lost.

    A loser is a unique job whose lock another one has; that one's id is the owner.
    """

    new: int = 0
    owners: dict[JobId, JobId] = field(default_factory=dict)

    def standing_for(self, job_id: JobId) -> JobId:
        """Return the id under which the job is known now."""
        return self.owners.get(job_id, job_id)


def push_all(queue: Queue, messages: Sequence[Message]) -> Pushed:
    """Push the messages, the unique ones through their locks; tells `job_unique_skipped`."""
    unique = [message for message in messages if _claim_at(queue, message) is not None]
    if not unique:
        return Pushed(_push_plain(queue, messages))
    plain = [message for message in messages if _claim_at(queue, message) is None]
    pushed = Pushed(_push_plain(queue, plain) if plain else 0)
    for message, owner in zip(unique, _push_unique(queue, unique), strict=True):
        claim = _claim_at(queue, message)
        if owner == message.id or claim is None:
            pushed.new += 1
            continue
        pushed.owners[message.id] = owner
        if claim.on_conflict not in MERGING:
            _tell_skipped(queue, message, claim, owner)
    return pushed


def push_again(queue: Queue, message: Message) -> bool:
    """Push a job that was there before; False when that was done already (`once`).

    Raises `UniqueJobExists` when another job has its lock by now, whatever it says about
    conflicts: an old payload must not take the place of a newer one.
    """
    claim = _claim_at(queue, message)
    if claim is None or message.tie is None:
        return queue.push(message)
    modest = replace(message, tie=replace(message.tie, claim=replace(claim, on_conflict="refuse")))
    [owner] = _push_unique(queue, [modest])
    if owner != message.id:
        raise UniqueJobExists(name_in(message.payload), claim.key, owner)
    return True


def tie_in(payload: bytes) -> Tie | None:
    """Return the tie that travels in a payload; None for a plain or an unreadable one."""
    if b'"t":{' not in payload:
        return None
    try:
        return decode(payload).tie
    except UnreadablePayload:
        return None


def name_in(payload: bytes) -> str:
    """Return the job's name on the wire, "" when the payload cannot be read."""
    try:
        return decode(payload).job
    except UnreadablePayload:
        return ""


def conflicts(messages: Sequence[Message], owners: Mapping[JobId, JobId]) -> list[UniqueJobExists]:
    """Return the errors of those losers that want one, in order."""
    found = []
    for message in messages:
        claim = message.tie.claim if message.tie is not None else None
        if claim is not None and claim.on_conflict == "raise" and message.id in owners:
            name = name_in(message.payload)
            found.append(UniqueJobExists(name, claim.key, owners[message.id]))
    return found


def _push_plain(queue: Queue, messages: Sequence[Message]) -> int:
    if len(messages) == 1:
        return int(queue.push(messages[0]))
    return queue.push_many(messages)


def _push_unique(queue: Queue, messages: Sequence[Message]) -> list[JobId]:
    return cast("UniqueQueue", queue).push_unique(messages)


def _claim_at(queue: Queue, message: Message) -> Claim | None:
    if message.tie is None or "unique" not in queue.supports:
        return None
    return message.tie.claim


def _tell_skipped(queue: Queue, message: Message, claim: Claim, owner: JobId) -> None:
    if events.job_unique_skipped.receivers:
        event = events.JobUniqueSkipped(
            queue.name, message.queue, message.id, name_in(message.payload), claim.key, owner
        )
        events.tell(events.job_unique_skipped, event)
