"""Parcels: what the broker keeps of a job, a chain or a batch that a script is to push later.

A parcel is lines, the first three of them its kind, its id and the connection it is for ("" for the
one it lives on). A job's goes on with queue, ready, delayed, wake, delay (ms), tie and, up to the
end, the payload; one of a chain or a batch with the key it is to live under and the key it is
staged under; one that loads members with the batch's key and the key of the staged members.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from onqueue.contracts import ONCE_WINDOW, Message
from onqueue.drivers.redis.ties import tie_in, tie_text
from onqueue.plans import Tie

if TYPE_CHECKING:
    from onqueue.drivers.redis.keys import Keys


@dataclass(slots=True, frozen=True)
class Head:
    """The first lines of any parcel, with the staged key of a chain's or a batch's."""

    kind: str
    id: str
    connection: str
    stage: bytes = b""


def job_parcel(keys: Keys, message: Message, tie: Tie | None, connection: str = "") -> bytes:
    """Return a message as a parcel, with this tie."""
    delay = -int(-message.delay * 1000 // 1)
    lines = (
        *(b"job", message.id.encode(), connection.encode(), keys.queue(message.queue).post),
        *(
            b"%d" % delay,
            b"" if tie is None else tie_text(keys, tie, message.queue),
            message.payload,
        ),
    )
    return b"\n".join(lines)


def bundle_parcel(kind: str, id_: str, connection: str, key: bytes, stage: bytes) -> bytes:
    """Return the parcel of a staged chain or batch, or of staged members."""
    return b"\n".join((f"{kind}\n{id_}\n{connection}".encode(), key, stage))


def head_of(parcel: bytes) -> Head:
    """Return what a parcel is."""
    kind, id_, connection, rest = parcel.split(b"\n", 3)
    stage = b"" if kind == b"job" else rest.split(b"\n")[1]
    return Head(kind.decode(), id_.decode(), connection.decode(), stage)


def message_in(parcel: bytes, *, bare: bool = False) -> Message:
    """Return the message of a job's parcel, without its chain and batch when `bare`."""
    _, id_, connection, queue, _, _, _, delay, tie, payload = parcel.split(b"\n", 9)
    return Message(
        id=id_.decode(),
        queue=queue.decode(),
        payload=payload,
        delay=int(delay) / 1000,
        once=ONCE_WINDOW,
        token=id_.decode(),
        tie=_tie(tie, bare=bare),
        connection=connection.decode(),
    )


def _tie(text: bytes, *, bare: bool) -> Tie | None:
    tie = tie_in(text)
    if bare:
        tie = replace(tie, batch="", chain="")
    return None if tie == Tie() else tie
