"""What the checkout refuses, in words for the buyer or the organiser."""

from __future__ import annotations

from meet2be.errors import Meet2BeError
from meet2be.language import Message


class CheckoutError(Meet2BeError):
    """The root of this domain's errors."""


class NotOnSale(CheckoutError):
    """The event sells no tickets at the moment."""

    def __init__(self) -> None:
        super().__init__(Message("This event does not sell tickets at the moment."))


class BadWish(CheckoutError):
    """The form cannot be an order; `field` is what to mend."""

    def __init__(self, field: str, why: Message) -> None:
        """Keep which field it is."""
        self.field = field
        super().__init__(why)


class SoldOut(CheckoutError):
    """There are not so many tickets left."""

    def __init__(self, name: str) -> None:
        """Keep the ticket's name."""
        self.name = name
        super().__init__(
            Message(
                "There are not enough tickets of the kind “%(name)s” left. Choose fewer or others.",
                {"name": name},
            )
        )


class NoPostage(CheckoutError):
    """The organiser does not ship to that country."""

    def __init__(self, country: str) -> None:
        """Keep the country's code."""
        self.country = country
        super().__init__(
            Message(
                "Printed tickets are not sent to “%(country)s”. Choose tickets that need no post,"
                " or another address.",
                {"country": country},
            )
        )


class UnknownOrder(CheckoutError):
    """No order of that name here."""

    def __init__(self, name: str) -> None:
        """Keep what was asked for."""
        self.name = name
        super().__init__(Message("There is no order “%(name)s” here.", {"name": name}))


class OrderNotInState(CheckoutError):
    """Something was asked of an order that its state does not allow."""

    def __init__(self, code: str, why: Message) -> None:
        """Keep the order's code."""
        self.code = code
        super().__init__(why)


class SumChanged(CheckoutError):
    """The order comes to another sum than its buyer was shown; nothing was placed."""

    def __init__(self, total: str) -> None:
        """Keep the new sum, written out."""
        self.total = total
        super().__init__(
            Message(
                "With today's prices and postage your order comes to %(total)s. Look at it, then"
                " order again: nothing was ordered yet.",
                {"total": total},
            )
        )


class TooManyOpen(CheckoutError):
    """This buyer holds tickets in as many open orders as anybody may."""

    def __init__(self, most: int) -> None:
        """Keep the limit."""
        self.most = most
        super().__init__(
            Message(
                "You have %(most)s open orders that are not paid yet. Pay one of them, or wait"
                " until their tickets are free again, and try once more then.",
                {"most": most},
            )
        )
