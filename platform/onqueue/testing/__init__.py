"""What users of the core need to test their jobs, and drivers to test themselves."""

from onqueue.testing.clock import FakeClock
from onqueue.testing.queue_fake import Pushed, QueueFake, queue_fake

__all__ = ["FakeClock", "Pushed", "QueueFake", "queue_fake"]
