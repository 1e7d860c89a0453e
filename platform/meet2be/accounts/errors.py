"""Why somebody is not let in."""

from __future__ import annotations

from meet2be.errors import Meet2BeError
from meet2be.language import Message


class LoginError(Meet2BeError):
    """A log-in that did not succeed."""


class LoginRefused(LoginError):
    """Address and password do not fit; deliberately silent about which of the two is wrong."""

    def __init__(self) -> None:
        """Say the same for an unknown address, a wrong password and a disabled account."""
        super().__init__(Message("This e-mail address and password do not fit together"))


class LoginThrottled(LoginError):
    """Too many wrong tries; ``retry_after`` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        """Keep how long to wait."""
        self.retry_after = retry_after
        super().__init__(
            Message("Too many attempts. Try again in %(time)s", {"time": _spoken(retry_after)})
        )


class NoTenant(LoginError):
    """The account belongs to no organisation, so there is nothing to show."""

    def __init__(self) -> None:
        """Say who can help."""
        super().__init__(
            Message("This account belongs to no organisation. Ask an administrator for one")
        )


class WeakPassword(Meet2BeError):
    """A password that is too short, too long or too well known."""

    def __init__(self, why: Message) -> None:
        """Keep the reason; the password itself is never repeated."""
        self.why = why
        super().__init__(Message("This password cannot be used: %(why)s", {"why": why}))


def _spoken(seconds: int) -> Message:
    if seconds < 60:
        return Message("%(number)s second", plural="%(number)s seconds", number=seconds)
    minutes = -(-seconds // 60)
    return Message("%(number)s minute", plural="%(number)s minutes", number=minutes)
