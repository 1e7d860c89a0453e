from datetime import UTC, datetime

import pytest

from meet2be.integrations.guarded_http import Answer
from meet2be.webhooks.verdicts import BACKOFF, LONGEST_WAIT, judge, retry_after

NOW = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("Sun, 01 Mar 2026 10:02:00 GMT", 120.0),
        ("Sun, 01 Mar 2026 09:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2026 00:00:00 +99999999999999999999", None),
    ],
)
def test_a_wish_to_be_left_alone_is_read_and_nonsense_is_none(
    text: str, seconds: float | None
) -> None:
    """W8."""
    assert retry_after(text, NOW) == seconds


def test_a_huge_wish_is_cut_to_a_day() -> None:
    answer = Answer(503, {"retry-after": "9" * 5000}, b"", truncated=False, address="")
    assert judge(answer, 1, NOW).delay == LONGEST_WAIT
    odd = Answer(
        503, {"retry-after": f"Mon, 01 Jan {'9' * 40} 00:00:00 GMT"}, b"", truncated=False,
        address="",
    )  # fmt: skip
    assert judge(odd, 1, NOW).delay == BACKOFF[0]
