"""What webhooks refuse, in words for whoever asked."""

from __future__ import annotations

from meet2be.errors import Meet2BeError
from meet2be.language import Message


class WebhookError(Meet2BeError):
    """The root of what this package raises."""


class UnknownTypeError(WebhookError):
    """A type that is not in the catalogue."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            Message(
                "There is no event type '%(name)s'. Choose one of the catalogue.", {"name": name}
            )
        )


class TooMuchDataError(WebhookError):
    """An announcement's data is larger than what receivers are promised."""

    def __init__(self, name: str, size: int, limit: int) -> None:
        self.name, self.size, self.limit = name, size, limit
        super().__init__(
            f"the data of '{name}' has {size} bytes, at most {limit} are announced. "
            "Announce the subject's uid and let receivers ask the API for more."
        )


class ForeignAnnouncementError(WebhookError):
    """A session without a tenant announces, and nobody said whose announcement it is."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"'{name}' is announced in a session of no tenant. Use a tenant's session, "
            "or say tenant_id."
        )


class SealedWithLostKeyError(WebhookError):
    """A secret was closed with an app key that is not here any more."""

    def __init__(self, place: str) -> None:
        self.place = place
        super().__init__(
            f"{place} cannot be opened with APP_KEY or PREVIOUS_APP_KEYS. "
            "Add the key it was closed with to PREVIOUS_APP_KEYS, or rotate the secret."
        )


class EndpointNotFoundError(WebhookError):
    """No endpoint of that name in this organisation."""

    def __init__(self) -> None:
        super().__init__(Message("There is no such endpoint."))


class DeliveryNotFoundError(WebhookError):
    """No delivery of that name in this organisation."""

    def __init__(self) -> None:
        super().__init__(Message("There is no such delivery."))


class RefusedEndpointError(WebhookError):
    """An endpoint cannot be as it was asked for; the message says why."""


class NotNowError(WebhookError):
    """What was asked for cannot be done with the endpoint or delivery as it stands."""


class DeliveryFailedError(WebhookError):
    """A delivery has come to its end without success."""

    def __init__(self, delivery: int, why: str) -> None:
        self.delivery, self.why = delivery, why
        super().__init__(
            f"webhook delivery {delivery} failed: {why}. "
            "Replay it on the page of webhook deliveries; retrying this job changes nothing."
        )


class EndpointFailsError(WebhookError):
    """A receiver does not work at the moment; counted by its breaker."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the receiver does not work: {why}. It is tried again later.")
