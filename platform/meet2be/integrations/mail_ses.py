"""Mail over Amazon SES: one HTTPS call a message, signed by boto3.

A call cannot be told twice (SES knows no idempotency key), so boto3's own retries are off: what
was lost before an answer is uncertain, as over SMTP. Nothing is announced in advance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
)

from meet2be.integrations.mail import (
    DeliveryDeferred,
    DeliveryRefused,
    DeliveryUncertain,
    Envelope,
    GivenName,
    TransportBroken,
)

LARGEST: Final = 40 * 1024 * 1024
"""Bytes of a message that SES takes (v2 API)."""
_BROKEN: Final = frozenset(
    {
        "AccessDeniedException", "InvalidClientTokenId", "SignatureDoesNotMatch",
        "UnrecognizedClientException", "ExpiredTokenException", "AccountSuspendedException",
        "SendingPausedException", "MailFromDomainNotVerifiedException",
        "AccountSuspended", "MailFromDomainNotVerified", "AccessDenied",
    }
)  # fmt: skip
_LATER: Final = frozenset(
    {
        "TooManyRequestsException", "LimitExceededException", "ThrottlingException", "Throttling",
        "ServiceUnavailable",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SesSettings:
    """Where SES is; without keys the machine's own role signs. Times in seconds."""

    region: str
    endpoint: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    configuration_set: str | None = None
    connect: float = 10.0
    total: float = 30.0


def _nothing() -> None:
    """Use no time: SES has nothing to wait for."""


class SesTransport:
    """Sends each message by one call; one for all threads of a process."""

    def __init__(self, settings: SesSettings, client: Any = None) -> None:
        self.settings = settings
        self._client = client

    def prepare(self, envelope: Envelope, meanwhile: Callable[[], None] = _nothing) -> None:
        """Refuse what SES would refuse; nothing is said yet.

        Raises ``TransportBroken`` where the settings do not make a client.
        """
        meanwhile()
        try:
            self._connected()
        except (BotoCoreError, ValueError) as error:
            raise TransportBroken("SES", 0, f"SES cannot be called as set: {error}") from error
        if not envelope.to_addr.isascii() or not envelope.from_addr.isascii():
            reason = "SES takes no address outside ASCII (SMTPUTF8, RFC 6531)"
            raise DeliveryRefused(envelope.to_addr, 553, reason)
        if len(envelope.content) > LARGEST:
            reason = f"the message has {len(envelope.content)} bytes, SES takes {LARGEST}"
            raise DeliveryRefused(envelope.to_addr, 552, reason)

    def transmit(self, envelope: Envelope, following: Envelope | None = None) -> str:
        """Send it and return the name SES gives it; see ``meet2be.integrations.mail``."""
        del following
        more = {}
        if self.settings.configuration_set:
            more["ConfigurationSetName"] = self.settings.configuration_set
        try:
            answer = self._connected().send_email(
                FromEmailAddress=envelope.from_addr,
                Destination={"ToAddresses": [envelope.to_addr]},
                Content={"Raw": {"Data": envelope.content}},
                **more,
            )
        except ClientError as error:
            raise _of_answer(envelope.to_addr, error) from error
        except (
            NoCredentialsError,
            PartialCredentialsError,
            CredentialRetrievalError,
        ) as error:  # it signs first, so nothing has left
            raise TransportBroken("SES", 0, f"SES has no keys to sign with: {error}") from error
        except (EndpointConnectionError, ConnectTimeoutError) as error:
            raise DeliveryDeferred(envelope.to_addr, 0, f"SES is away: {error}") from error
        except BotoCoreError as error:
            raise DeliveryUncertain(envelope.to_addr, str(error)) from error
        return GivenName(answer["MessageId"])

    def abandon(self) -> None:
        """Forget nothing: nothing was said in advance."""

    def close(self) -> None:
        """Let the connections go."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connected(self) -> Any:
        if self._client is None:
            given = self.settings
            self._client = boto3.client(
                "sesv2",
                region_name=given.region,
                endpoint_url=given.endpoint,
                aws_access_key_id=given.access_key_id,
                aws_secret_access_key=given.secret_access_key,
                config=Config(
                    retries={"total_max_attempts": 1},
                    connect_timeout=given.connect,
                    read_timeout=given.total,
                ),
            )
        return self._client


def _of_answer(address: str, error: ClientError) -> Exception:
    """Return what a definite answer of SES means for the mail."""
    told = error.response.get("Error", {})
    code, text = str(told.get("Code", "")), str(told.get("Message", error))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _BROKEN:
        return TransportBroken("SES", status, f"SES refuses us ({code}): {text}")
    if code in _LATER:
        return DeliveryDeferred(address, status, f"{code}: {text}")
    if status >= 500:  # it may have been taken
        return DeliveryUncertain(address, f"{status} {code}: {text}")
    return DeliveryRefused(address, 554, f"{code}: {text}")
