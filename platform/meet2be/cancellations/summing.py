"""What cancelling an event adds up to, without making a list of it.

Of half a million attendees most are alike: they have one of a few tickets, bought alone or by twos.
The shares of such payments are worked out once, and counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from meet2be.cancellations.planning import PaidWith, Rules, Share, shares, unpaid_share
from meet2be.cancellations.sources import Kind, Ticket, counts_of_unpaid, kinds_of_paid
from meet2be.cancellations.totals import Totals

# Where payments are all different, no more of their kinds are remembered at a time.
MOST_KINDS = 2_000


def totals_of(session: Session, event_id: int, rules: Rules) -> Totals:
    """Return what a plan of the event adds up to, and its hash; reads only."""
    totals, kinds = Totals(), _Kinds(rules)
    for payment_id, kind in kinds_of_paid(session, event_id):
        totals.fingerprint.add(payment_id, kinds.amount(payment_id, kind, totals))
    kinds.empty_into(totals)
    for ticket, number in counts_of_unpaid(session, event_id):
        totals.add(None, [ticket], [unpaid_share(ticket)], number)
    return totals


@dataclass(slots=True)
class _Alike:
    """Payments of one kind: what goes back on each, and how many were met."""

    payment: PaidWith
    tickets: list[Ticket]
    shares: list[Share]
    amount_minor: int
    times: int = 0


@dataclass(slots=True)
class _Kinds:
    """The kinds of payments that were met."""

    rules: Rules
    met: dict[Kind, _Alike] = field(default_factory=dict)

    def amount(self, payment_id: int, kind: Kind, totals: Totals) -> int:
        """Return what goes back on a payment of that kind, and count it, sooner or later."""
        alike = self.met.get(kind)
        if alike is None:
            if len(self.met) >= MOST_KINDS:
                self.empty_into(totals)
            alike = self.met[kind] = self._worked_out(payment_id, kind)
        alike.times += 1
        return alike.amount_minor

    def empty_into(self, totals: Totals) -> None:
        """Count all that were met."""
        for alike in self.met.values():
            totals.add(alike.payment, alike.tickets, alike.shares, alike.times)
        self.met.clear()

    def _worked_out(self, payment_id: int, kind: Kind) -> _Alike:
        payment, tickets = kind.payment(payment_id), kind.tickets
        found = shares(payment, tickets, self.rules)
        return _Alike(payment, tickets, found, sum(share.planned_minor for share in found))
