"""What tokens and remembered answers refuse."""

from __future__ import annotations

from meet2be.errors import Meet2BeError
from meet2be.language import N_, Message


class ApiTokenError(Meet2BeError):
    """The root of this package's errors."""


class UnknownToken(ApiTokenError):
    """The organisation has no such token."""

    def __init__(self, uid: str) -> None:
        self.uid = uid
        super().__init__(
            Message(N_("There is no API token '%(uid)s' here. Open the list of tokens."),
                    {"uid": uid})
        )  # fmt: skip


class RefusedToken(ApiTokenError):
    """A token cannot be made as it was wished; ``field`` says which part of the wish is wrong."""

    def __init__(self, field: str, message: Message) -> None:
        self.field = field
        super().__init__(message)


class KeyInUse(ApiTokenError):
    """A request with the same key is being worked on."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(
            Message(
                N_(
                    "A request with this Idempotency-Key is being worked on."
                    " Send it again in a moment."
                )
            )
        )


class KeyOfAnotherRequest(ApiTokenError):
    """The key was used for another request."""

    def __init__(self) -> None:
        super().__init__(
            Message(
                N_(
                    "This Idempotency-Key was used for another request within the last 24 hours."
                    " Use a new key for a new request."
                )
            )
        )


class LockLost(ApiTokenError):
    """The request took so long that another one took its key over; nothing of it counts."""

    def __init__(self) -> None:
        super().__init__(
            Message(
                N_(
                    "Another request with this Idempotency-Key took over, and this one changed"
                    " nothing."
                )
            )
        )
