"""Mail over SES: moto's server, and answers that it does not give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from moto.server import ThreadedMotoServer

from meet2be.integrations.mail import (
    DeliveryDeferred,
    DeliveryRefused,
    DeliveryUncertain,
    Envelope,
    GivenName,
    TransportBroken,
)
from meet2be.integrations.mail_ses import SesSettings, SesTransport

LETTER = Envelope("tickets@aurora.example", "ada@firma.example", b"Subject: hi\r\n\r\nhi\r\n")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def test_a_message_is_taken_under_a_name_of_ses(endpoint: str) -> None:
    transport = SesTransport(SesSettings("eu-central-1", endpoint, "AKIATESTS", "secret"))
    transport._connected().create_email_identity(EmailIdentity="tickets@aurora.example")
    transport.prepare(LETTER)
    assert isinstance(transport.transmit(LETTER), GivenName)
    transport.close()


class Answering:
    """A client that raises."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def send_email(self, **_given: Any) -> Any:
        raise self.error


def answer(code: str, status: int) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}},
        "SendEmail",
    )


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (answer("TooManyRequestsException", 429), DeliveryDeferred),
        (answer("MessageRejected", 400), DeliveryRefused),
        (answer("SignatureDoesNotMatch", 403), TransportBroken),
        (answer("InternalFailure", 500), DeliveryUncertain),
        (EndpointConnectionError(endpoint_url="x"), DeliveryDeferred),
        (CredentialRetrievalError(provider="x", error_msg="gone"), TransportBroken),
        (ReadTimeoutError(endpoint_url="x"), DeliveryUncertain),
    ],
)
def test_each_answer_has_its_class(error: Exception, meaning: type[Exception]) -> None:
    """D7, D23, D24."""
    transport = SesTransport(SesSettings("eu-central-1"), Answering(error))
    with pytest.raises(meaning) as caught:
        transport.transmit(LETTER)
    assert type(caught.value) is meaning


def test_what_ses_cannot_take_is_refused_before_it_is_claimed() -> None:
    """D13."""
    transport = SesTransport(SesSettings("eu-central-1"))
    with pytest.raises(DeliveryRefused, match="SMTPUTF8"):
        transport.prepare(Envelope("a@b.example", "jürgen@firma.example", b""))


def test_settings_that_make_no_client_are_told_before_a_mail_is_claimed() -> None:
    """D24."""
    transport = SesTransport(SesSettings("eu-central-1", "no address"))
    with pytest.raises(TransportBroken, match="as set"):
        transport.prepare(LETTER)
