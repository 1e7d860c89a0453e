"""What reaches a process's standard output."""

import logging
from collections.abc import Iterator

import pytest

from meet2be.telemetry import log_to_standard_output


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root, stripe = logging.getLogger(), logging.getLogger("stripe")
    before = root.level, root.handlers[:], stripe.level
    yield
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    stripe.setLevel(before[2])


@pytest.mark.parametrize(
    ("level", "is_heard"), [("info", False), ("warning", False), ("debug", True)]
)
def test_a_library_that_tells_of_each_call_is_heard_when_debugging_only(
    level: str, is_heard: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    log_to_standard_output(level)
    logging.getLogger("stripe").info("Request to Stripe api")
    assert ("Request to Stripe api" in capsys.readouterr().out) is is_heard


def test_its_warnings_are_heard(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_standard_output("info")
    logging.getLogger("stripe").warning("deprecated")
    assert "deprecated" in capsys.readouterr().out


def test_our_own_words_are_heard(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_standard_output("info")
    logging.getLogger("onqueue.worker").info("worker stopped")
    assert "worker stopped" in capsys.readouterr().out
