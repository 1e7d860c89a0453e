"""An event's kept figures: in all, over time, and by kind of ticket."""

from __future__ import annotations

from datetime import date

from meet2be import facts
from meet2be.events.facts import EventDataStale
from meet2be.figures.listing import CurrencyFigures, figures_of
from meet2be.objects.base import Moment, Told
from meet2be.web.api.calls import Call
from meet2be.web.api.events import event_of
from meet2be.web.api.operations import operation
from meet2be.web.api.schemas import Done


class SpanTold(Told):
    """The days from `first` to `last`, both included; minor units."""

    first: date
    last: date
    sold: int
    cancelled: int
    gross_minor: int
    refunded_minor: int
    net_minor: int


class TicketFigures(Told):
    """What was sold of a kind of ticket in a currency; minor units."""

    ticket_type: str
    sold: int
    cancelled: int
    gross_minor: int
    refunded_minor: int


class FiguresOfCurrency(Told):
    """The figures of one currency; minor units.

    `orders` are those that came about, free ones among them. `gross_minor` is all the money that
    came in: for tickets, for postage (`fees_minor`), and what came twice or too late and goes back.
    """

    currency: str
    orders: int
    sold: int
    cancelled: int
    checked_in: int
    gross_minor: int
    refunded_minor: int
    fees_minor: int
    spans: list[SpanTold]
    tickets: list[TicketFigures]


class FiguresTold(Told):
    """All figures of an event; `as_of` is when they were counted, null for never."""

    as_of: Moment | None
    currencies: list[FiguresOfCurrency]


@operation("GET", "/events/<event_uid>/figures", "figures:read")
def get_event_figures(call: Call, event_uid: str) -> FiguresTold:
    """Give an event's figures as they were last counted."""
    found = figures_of(call.reading, event_of(call, event_uid))
    return FiguresTold(as_of=found.as_of, currencies=[_told(each) for each in found.currencies])


def _told(figures: CurrencyFigures) -> FiguresOfCurrency:
    own = set(FiguresOfCurrency.model_fields) - {"spans", "tickets"}
    of_ticket = set(TicketFigures.model_fields) - {"ticket_type"}
    return FiguresOfCurrency(
        **{name: getattr(figures.whole, name) for name in own},
        spans=[SpanTold.model_validate(span) for span in figures.spans],
        tickets=[
            TicketFigures(
                **{name: getattr(row, name) for name in of_ticket}, ticket_type=ticket.name
            )
            for ticket, row in figures.tickets
        ],
    )


@operation("POST", "/events/<event_uid>/figures", "figures:write", status=202)
def recompute_figures(call: Call, event_uid: str) -> Done:
    """Have an event's figures made anew, in the background."""
    event = event_of(call, event_uid)
    facts.note(call.writing, EventDataStale(event.uid))
    call.writing.connection()
    return Done(status="accepted")
