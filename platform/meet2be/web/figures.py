"""What an event sold: charts drawn as plain SVG, each with its table behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from babel.dates import format_date
from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from meet2be import facts
from meet2be.events.facts import EventDataStale
from meet2be.figures.listing import CurrencyFigures, Span, figures_of
from meet2be.language import _
from meet2be.web.events import event_or_404
from meet2be.web.presentation import reader_locale
from meet2be.web.security import READ, WORK, requires, tenant_session

blueprint = Blueprint("figures", __name__)
WIDTH, HEIGHT, FLOOR = 720, 180, 150
"""Of a chart, in its own units: all of it, and where its bars stand."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart, in the chart's units; `words` say what it stands for."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars with the days at both ends and the highest value."""

    bars: Sequence[Bar]
    first: str
    last: str
    highest: int


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
        day=_day,
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
    flash(_("The figures are made anew; look again in a few seconds."), "success")
    return redirect(url_for("figures.show", uid=event.uid), 303)


def _tickets_chart(of: CurrencyFigures) -> Chart | None:
    return _chart(of.spans, [("", [span.sold for span in of.spans])])


def _money_chart(of: CurrencyFigures) -> Chart | None:
    came = [span.gross_minor for span in of.spans]
    went = [span.refunded_minor for span in of.spans]
    return _chart(of.spans, [("", came), ("back", went)])


def _chart(spans: Sequence[Span], series: Sequence[tuple[str, list[int]]]) -> Chart | None:
    highest = max((value for _kind, values in series for value in values), default=0)
    if not spans or highest <= 0:
        return None
    step = WIDTH / len(spans)
    width = max(1.0, min(36.0, step * 0.8) / len(series))
    bars = []
    for number, (kind, values) in enumerate(series):
        for at, value in enumerate(values):
            height = value / highest * (FLOOR - 24)
            x = at * step + (step - width * len(series)) / 2 + number * width
            if value:
                bars.append(
                    Bar(
                        round(x, 1),
                        round(FLOOR - height, 1),
                        round(width, 1),
                        round(height, 1),
                        kind,
                        _day(spans[at].first),
                    )
                )
    return Chart(bars, _day(spans[0].first), _day(spans[-1].last), highest)


def _day(day: date) -> str:
    return format_date(day, "medium", locale=reader_locale())
