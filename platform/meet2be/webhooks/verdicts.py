"""What an answer means: done, again later, or failed. Pure, so that every case is one line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from random import SystemRandom
from typing import Final

from meet2be.integrations.guarded_http import Answer, HookCallFailed
from meet2be.language import N_

BACKOFF: Final = (30.0, 60.0, 120.0, 300.0, 600.0)
"""Seconds before each further attempt: six attempts in all."""
MOST_ATTEMPTS: Final = len(BACKOFF) + 1
JITTER: Final = 0.2
LONGEST_WAIT: Final = 86_400.0
GONE: Final = 410
TEMPORARY_REFUSALS: Final = frozenset((408, 425, 429))

REASONS: Final[Mapping[str, str]] = {
    "succeeded": N_("Delivered"),
    "server_error": N_("The receiver has a problem (5xx)"),
    "refused": N_("The receiver refused it (4xx)"),
    "gone": N_("The receiver is gone for good (410)"),
    "moved": N_("The receiver has moved (3xx); redirects are not followed"),
    "odd_status": N_("The receiver's answer has no meaning"),
    "unsafe": N_("The address must not be called"),
    "dns": N_("The host's name cannot be found"),
    "connect": N_("No connection"),
    "tls": N_("No secure connection"),
    "timeout": N_("No complete answer in time"),
    "reset": N_("The connection broke"),
    "unparsable": N_("The answer is not HTTP"),
    "endpoint_disabled": N_("The endpoint was switched off"),
    "endpoint_deleted": N_("The endpoint was deleted"),
    "by_hand": N_("Cancelled by hand"),
    "crashed": N_("The delivery itself failed"),
}
"""Why a delivery or an attempt ended as it did, in words."""

_random = SystemRandom()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a delivery after an attempt; ``delay`` (seconds) when it comes again."""

    outcome: str
    code: str
    text: str
    delay: float = 0.0

    @property
    def is_failure(self) -> bool:
        """Tell whether the attempt failed."""
        return self.outcome != "succeeded"


def judge(
    found: Answer | HookCallFailed,
    attempt: int,
    now: datetime,
    *,
    retry_refusals: bool = False,
    jitter: bool = False,
    most_attempts: int = MOST_ATTEMPTS,
) -> Verdict:
    """Return what the attempt of this number (from 1 on) came to."""
    if isinstance(found, HookCallFailed):
        code = "unsafe" if found.code == "refused" else found.code
        text, is_temporary, wait = str(found), code != "unsafe", None
    else:
        code, text, is_temporary = _of_status(found, retry_refusals=retry_refusals)
        wait = retry_after(found.headers.get("retry-after"), now)
    if code == "succeeded":
        return Verdict("succeeded", code, text)
    if not is_temporary or attempt >= most_attempts:
        return Verdict("failed", code, text[:500])
    delay = BACKOFF[min(attempt, len(BACKOFF)) - 1]
    if jitter:
        delay *= 1 + _random.uniform(0, JITTER)
    return Verdict("again", code, text[:500], min(max(delay, wait or 0.0), LONGEST_WAIT))


def _of_status(answer: Answer, *, retry_refusals: bool) -> tuple[str, str, bool]:
    """Return code, text and whether another attempt may do better."""
    status = answer.status
    text = f"HTTP {status}"
    if 200 <= status < 300:
        return "succeeded", text, False
    if 300 <= status < 400:
        location = answer.headers.get("location")
        return "moved", f"{text}: the address moved to {location}" if location else text, False
    if status == GONE:
        return "gone", text, False
    if 400 <= status < 500:
        after = answer.headers.get("retry-after")
        text = f"{text}, Retry-After: {after}" if after else text
        return "refused", text, retry_refusals and status in TEMPORARY_REFUSALS
    if 500 <= status < 600:
        return "server_error", text, True
    return "odd_status", text, False


def retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds a Retry-After asks for, as a number or as a date; None for neither."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # the latter for years and zones beyond all calendars
        return None
    if moment.tzinfo is None:
        return None
    return max(0.0, (moment - now).total_seconds())
