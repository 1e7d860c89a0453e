"""Jobs as they are written to an outbox, for tests that do not care what is in them."""

from onqueue.contracts import Message
from onqueue.stores import OutboxRecord


def record(
    number: int,
    *,
    durable: bool = False,
    connection: str = "redis",
    queue: str = "default",
    delay: float = 0.0,
) -> OutboxRecord:
    """Return the job of a number; its id is the number in 32 hexadecimal digits."""
    message = Message(job_id(number), queue, f"payload {number}".encode(), delay)
    return OutboxRecord(message, connection, "Job", "tenant-1", durable)


def records(count: int, *, durable: bool = False, first: int = 1) -> list[OutboxRecord]:
    """Return so many jobs, numbered from `first`."""
    return [record(number, durable=durable) for number in range(first, first + count)]


def job_id(number: int) -> str:
    """Return the id of the job of a number."""
    return f"{number:032x}"


def job_ids(count: int, *, first: int = 1) -> list[str]:
    """Return the ids of the jobs from `first` on."""
    return [job_id(number) for number in range(first, first + count)]
