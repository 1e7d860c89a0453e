"""Fixtures of the simulators' tests: one process for a module, well-behaved for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import stripe

from simulators.control import ProviderControl
from simulators.processes import MailSinkProcess, ProviderProcess
from support.simulators import stripe_client


@pytest.fixture(scope="module")
def provider_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProviderProcess]:
    with ProviderProcess(tmp_path_factory.mktemp("provider")) as process:
        yield process


@pytest.fixture
def provider(provider_process: ProviderProcess) -> Iterator[ProviderProcess]:
    yield provider_process
    provider_process.control.behave_well()


@pytest.fixture
def control(provider: ProviderProcess) -> ProviderControl:
    return provider.control


@pytest.fixture
def client(provider: ProviderProcess) -> stripe.StripeClient:
    return stripe_client(provider.url)


@pytest.fixture
def own_provider(tmp_path: Path) -> Iterator[ProviderProcess]:
    """A provider that the test may kill, move in time or make poor."""
    with ProviderProcess(tmp_path / "provider") as process:
        yield process


@pytest.fixture(scope="module")
def mailsink_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailSinkProcess]:
    with MailSinkProcess(tmp_path_factory.mktemp("mailsink")) as process:
        yield process


@pytest.fixture
def mailsink(mailsink_process: MailSinkProcess) -> Iterator[MailSinkProcess]:
    yield mailsink_process
    mailsink_process.control.behave_well()
    mailsink_process.control.clear()
