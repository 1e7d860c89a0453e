"""What an organiser decides about a cancellation before it starts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from meet2be.cancellations.errors import BadCancelOptions
from meet2be.language import Message

FeeKind = Literal["none", "fixed", "percent"]
RefundMode = Literal["auto", "manual"]
MAX_MESSAGE = 5_000
FULL_PERCENT = 10_000


@dataclass(frozen=True, slots=True)
class CancelOptions:
    """The decisions, checked when made.

    `fee_minor` (minor units of the event's currency) is kept per attendee with `fixed`;
    `fee_basis_points` (1 % = 100) of the price with `percent`, rounded half up per payment.
    With `manual` nothing is sent to the provider: every refund goes on the organiser's own list.
    """

    fee_kind: FeeKind = "none"
    fee_minor: int = 0
    fee_basis_points: int = 0
    refund_mode: RefundMode = "auto"
    message: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        """Raise ``BadCancelOptions`` with everything that is wrong at once."""
        problems = list(self._problems())
        if problems:
            raise BadCancelOptions(problems)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> CancelOptions:
        """Return the options stored with a run; what they do not know is left out."""
        known = {item.name for item in fields(cls)}
        return cls(**{name: value for name, value in data.items() if name in known})

    def _problems(self) -> list[Message]:
        found: list[Message] = []
        if self.fee_kind not in get_args(FeeKind):
            found.append(
                Message(
                    "the fee is 'none', 'fixed' or 'percent', not '%(kind)s'",
                    {"kind": self.fee_kind},
                )
            )
        if self.fee_minor < 0:
            found.append(
                Message("the fee kept per attendee cannot be %(fee)s", {"fee": self.fee_minor})
            )
        if not 0 <= self.fee_basis_points <= FULL_PERCENT:
            percent = self.fee_basis_points / 100
            found.append(
                Message(
                    "the percentage kept lies between 0 and 100, not %(percent)s",
                    {"percent": f"{percent:g}"},
                )
            )
        if self.refund_mode not in get_args(RefundMode):
            found.append(
                Message(
                    "refunds are 'auto' or 'manual', not '%(mode)s'", {"mode": self.refund_mode}
                )
            )
        if len(self.message) > MAX_MESSAGE:
            found.append(
                Message(
                    "the message has %(length)s characters, %(most)s at most",
                    {"length": len(self.message), "most": MAX_MESSAGE},
                )
            )
        return found
