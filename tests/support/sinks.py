"""Fixtures of tests that send mails: one mail sink for a run, empty and well-behaved for each."""

from collections.abc import Iterator

import pytest

from simulators.control import MailSinkControl
from simulators.processes import MailSinkProcess


@pytest.fixture(scope="session")
def running_sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailSinkProcess]:
    """The process; tests ask for `sink`."""
    with MailSinkProcess(tmp_path_factory.mktemp("sink")) as process:
        yield process


@pytest.fixture
def sink(running_sink: MailSinkProcess) -> MailSinkProcess:
    """A mail sink that has received nothing and takes everything."""
    running_sink.control.clear()
    running_sink.control.behave_well()
    return running_sink


@pytest.fixture
def control(sink: MailSinkProcess) -> MailSinkControl:
    """What makes the sink misbehave, and tells what it received."""
    return sink.control
