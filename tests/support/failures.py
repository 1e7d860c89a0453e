"""Failed jobs for tests that do not care why they failed."""

from datetime import timedelta
from typing import Any

from onqueue.connections import QueueManager
from onqueue.stores import FailedJob
from onqueue.testing.clock import START
from support.outbox_records import job_id

PAYLOAD = b'{"v":1,"job":"SendMail","at":1000,"data":{"mail":7}}'


def fail(manager: QueueManager, number: int, *, hours: float = 0, **more: Any) -> None:
    """Record the failure of the job of a number; the higher it is, the older."""
    values: dict[str, Any] = {
        "id": job_id(number),
        "connection": "redis",
        "queue": "default",
        "job": "SendMail",
        "payload": PAYLOAD,
        "error_type": "smtplib.SMTPException",
        "error": f"mailbox {number}\nis \x1b[31mfull",
        "traceback": "Traceback …",
        "attempts": 3,
        "failed_at": START - timedelta(hours=hours, seconds=number),
    }
    manager.failed.record(FailedJob(**(values | more)))
