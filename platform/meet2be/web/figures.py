"""What an event sold: charts drawn as plain SVG, each with its table behind it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from babel.dates import format_date
from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from meet2be import facts, money
from meet2be.events.facts import EventDataStale
from meet2be.figures.listing import CurrencyFigures, Span, figures_of
from meet2be.language import _
from meet2be.web.charts import Chart, Column, chart
from meet2be.web.events import event_or_404
from meet2be.web.presentation import count, reader_locale
from meet2be.web.security import READ, WORK, requires, tenant_session

blueprint = Blueprint("figures", __name__)
MOST_LABELS = 3


@blueprint.get("/events/<uid>/figures")
@requires(READ)
def show(uid: str) -> ResponseReturnValue:
    """Show what the event sold, by day and by kind of ticket, as of a moment."""
    session = tenant_session(read_only=True)
    event = event_or_404(uid)
    found = figures_of(session, event)
    return render_template(
        "figures/show.html",
        event=event,
        it=found,
        charts=[(each, _tickets_chart(each), _money_chart(each)) for each in found.currencies],
        days=_days,
    )


@blueprint.post("/events/<uid>/figures")
@requires(WORK)
def refresh(uid: str) -> ResponseReturnValue:
    """Have the figures made anew."""
    event = event_or_404(uid)
    session = tenant_session()
    facts.note(session, EventDataStale(event.uid))
    session.connection()
    session.commit()
    flash(_("The figures are being recalculated; look again in a few seconds."), "success")
    return redirect(url_for("figures.show", uid=event.uid), 303)


def _tickets_chart(of: CurrencyFigures) -> Chart | None:
    columns = [Column(_days(span), span.sold) for span in of.spans]
    return chart(columns, count, _labels(of.spans))


def _money_chart(of: CurrencyFigures) -> Chart | None:
    currency = of.whole.currency
    columns = [Column(_days(span), span.gross_minor, span.refunded_minor) for span in of.spans]

    def say(minor: int) -> str:
        return money.format_minor(minor, currency, reader_locale(), short=True)

    return chart(columns, say, _labels(of.spans), 10 ** money.decimals_of(currency))


def _labels(spans: Sequence[Span]) -> list[str]:
    """Return the days that stand below: the first, the one in the middle, and the last."""
    if len(spans) < MOST_LABELS:
        return [_day(span.first) for span in spans]
    middle = spans[len(spans) // 2]
    return [_day(each) for each in (spans[0].first, middle.first, spans[-1].last)]


def _days(span: Span) -> str:
    first, last = _day(span.first), _day(span.last)
    return first if first == last else f"{first} – {last}"


def _day(day: date) -> str:
    return format_date(day, "medium", locale=reader_locale())
