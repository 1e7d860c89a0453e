"""Failures of one cause have one fingerprint."""

import pytest

from onqueue.failed.fingerprint import fingerprint

TRACE = """Traceback (most recent call last):
  File "/srv/app/jobs/mail.py", line 12, in handle
    send(mail)
  File "/srv/app/smtp.py", line 80, in send
    raise Full(mail)
"""


def of(error: str = "mailbox 7 is full", trace: str = TRACE, kind: str = "app.Full") -> str:
    return fingerprint("SendMail", kind, error, trace)


@pytest.mark.parametrize(
    "other",
    [
        of("mailbox 81 is full"),
        of(trace=TRACE.replace("line 80", "line 81").replace("/srv/app", "/srv/next/app")),
    ],
)
def test_numbers_lines_and_places_of_install_do_not_count(other: str) -> None:
    """B14."""
    assert other == of()


@pytest.mark.parametrize(
    "other",
    [
        of("mailbox 7 is gone"),
        of(kind="app.Gone"),
        of(trace=TRACE.replace("in send\n", "in connect\n")),
        fingerprint("SendNews", "app.Full", "mailbox 7 is full", TRACE),
    ],
)
def test_another_cause_is_another_fingerprint(other: str) -> None:
    assert other != of()


def test_ids_and_addresses_in_a_message_do_not_count() -> None:
    first = of("<Mail at 0x7f31ab> 9b2e3c4d5e6f70819b2e3c4d5e6f7081 refused")
    assert first == of("<Mail at 0x66aa01> 00000000111111112222222233333333 refused")


def test_an_error_without_a_traceback_has_one_too() -> None:
    assert len(of(trace="")) == 32
