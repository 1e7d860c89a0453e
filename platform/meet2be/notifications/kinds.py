"""Every kind of notice: what preferences call it, and through what it comes unless told otherwise.

A new kind takes its place here; `tests/unit/meet2be/notifications/test_kinds.py` finds those that
do not. Severity is the notice's own affair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from meet2be.language import N_

Channel = Literal["page", "mail"]
CHANNELS: Final[tuple[Channel, ...]] = ("page", "mail")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of notice; ``is_urgent`` ones cannot be switched off in the page."""

    key: str
    words: str
    by_mail: bool = False
    is_urgent: bool = False

    def comes_by(self, channel: Channel) -> bool:
        """Tell whether it comes through ``channel`` to those who said nothing about it."""
        return channel == "page" or self.by_mail


_KINDS: Final = (
    Kind("cancellation_done", N_("A cancellation has ended"), by_mail=True),
    Kind(
        "cancellation_done_with_errors",
        N_("A cancellation has ended and needs you"),
        by_mail=True,
        is_urgent=True,
    ),
    Kind("cancellation_aborted", N_("A cancellation was aborted")),
    Kind(
        "cancellation_taken_back",
        N_("A cancellation was not begun, because orders had changed"),
        by_mail=True,
    ),
    Kind("cancellation_paused", N_("A cancellation has stopped and waits")),
    Kind("refund_came_back", N_("A refund has come back"), by_mail=True, is_urgent=True),
    Kind("payment_after_cancellation", N_("A payment came in for a cancelled event"), by_mail=True),
    Kind("mail_uncertain", N_("A mail may or may not have arrived"), is_urgent=True),
    Kind("mail.circuit_open", N_("No mail leaves at the moment"), is_urgent=True),
    Kind("mail.failed", N_("A mail could not be made or sent")),
    Kind("export.ready", N_("Your export is ready"), by_mail=True),
    Kind("export.failed", N_("Your export has failed"), by_mail=True),
    Kind("export.schedule_stopped", N_("A regular export has been stopped"), by_mail=True),
    Kind("import.done", N_("Your import has ended")),
    Kind("import.failed", N_("Your import has failed"), by_mail=True),
    Kind("webhook.failing", N_("A webhook cannot be delivered"), by_mail=True),
    Kind("webhook.disabled", N_("A webhook has been switched off"), by_mail=True, is_urgent=True),
    Kind("order.needs_attention", N_("An order needs you"), by_mail=True),
    Kind("event_data.failed", N_("The figures of an event could not be made")),
    Kind("sender.unverified", N_("Your sender address is not verified any more"), by_mail=True),
    # Told by a mail of its own: notices' mail is held while it lasts.
    Kind("tenant.suspended", N_("Your organisation was suspended"), is_urgent=True),
    Kind("tenant.resumed", N_("Your organisation can work again"), by_mail=True, is_urgent=True),
    Kind("member.changed", N_("Somebody joined, left or has another role")),
)
KINDS: Final[Mapping[str, Kind]] = {kind.key: kind for kind in _KINDS}


def kind_of(key: str) -> Kind:
    """Return the kind of that name; one that is not in the table comes in the page only."""
    return KINDS.get(key) or Kind(key, N_("Other news"))
