"""What users of the core need to test their jobs, and drivers to test themselves."""

from onqueue.testing.bus_fake import BusFake, bus_fake, chained_batch
from onqueue.testing.clock import FakeClock
from onqueue.testing.queue_fake import Pushed, QueueFake, queue_fake

__all__ = [
    "BusFake",
    "FakeClock",
    "Pushed",
    "QueueFake",
    "bus_fake",
    "chained_batch",
    "queue_fake",
]
