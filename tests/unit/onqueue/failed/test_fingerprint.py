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


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("no person 9f1c2b3a-0d4e-4f5a-8b6c-7d8e9f0a1b2c", "no person 0-0"),
        ("cannot open /srv/a/list.csv", "cannot open /home/b/c/other.txt"),
        (r"cannot open C:\a\list.csv", r"cannot open D:\other.txt"),
        ("GET https://api.example.org/v1/refunds/re_3MxQ failed", "GET http://localhost/ failed"),
        ("mail to ada@example.org bounced", "mail to b.c+d@example.com bounced"),
        ("charge ch_3Nq8x2e not found", "charge ch_1AbC9 not found"),
        ("at 2026-11-22T05:23:12+00:00 it was late", "at 2025-01-01T00:00:00Z it was late"),
        ("took 1.25 s", "took 300 s"),
        ("ids 1, 2, 3 are missing", "ids 4 are missing"),
        ("ids ['a1', 'b2'] are missing", "ids ['c3', 'd4', 'e5'] are missing"),
        ("digest deadbeefcafe differs", "digest 00ff00ff differs"),
        ("connect to 10.0.0.1:5432 refused", "connect to 127.0.0.1:6379 refused"),
        ("<Mail object at 0x7f31ab>", "<Mail object at 0x66aa01beef>"),
        ("two\n  lines", "two lines"),
        ("balance -5 EUR", "balance 17 EUR"),
    ],
)
def test_what_differs_between_two_failures_of_one_cause_does_not_count(
    first: str, second: str
) -> None:
    """B14."""
    assert of(first) == of(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("'event_id'", "'tenant_id'"),
        ("no such person", "no such event"),
        ("connection refused", "connection reset by peer"),
        ("ada is away", "bob is away"),
        ("expected a decade", "expected a facade"),
    ],
)
def test_words_do_count(first: str, second: str) -> None:
    """B14."""
    assert of(first) != of(second)


def test_the_innermost_place_counts_also_in_a_group_of_exceptions_and_on_windows() -> None:
    group = TRACE.replace("  File", "  |     File")
    assert of(trace=group) == of()
    assert of(trace=TRACE.replace("/srv/app/", "C:\\\\app\\\\")) == of()


def test_a_message_of_any_length_is_read_in_time() -> None:
    for text in ("1" * 100_000, "/a" * 50_000, "a@" * 50_000, "#, " * 50_000, "x-" * 50_000):
        assert of(text)
