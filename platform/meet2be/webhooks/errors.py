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
