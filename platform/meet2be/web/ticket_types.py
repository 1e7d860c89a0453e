"""An event's kinds of tickets: the list, making, changing, sorting and closing them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from meet2be.events import listing
from meet2be.events.models import Event, TicketType
from meet2be.events.selling import sale_begins, sale_state
from meet2be.language import N_, _, said
from meet2be.money import MoneyError, parse_minor
from meet2be.programme import tickets as verbs
from meet2be.programme.errors import EntryRefused, NotInState, ProgrammeError, UnknownEntry
from meet2be.programme.times import written
from meet2be.tenancy.models import Tenant
from meet2be.web import meanwhile
from meet2be.web.actors import actor
from meet2be.web.cancelling import Problems
from meet2be.web.event_editing import read_moment, read_number
from meet2be.web.events import event_or_404
from meet2be.web.money_fields import BadPercentError, read_percent
from meet2be.web.presentation import amount_to_type, percent_to_type
from meet2be.web.security import READ, WORK, requires, services, tenant_session

blueprint = Blueprint("ticket_types", __name__)
SALE_WORDS = {
    "open": (N_("on sale"), "ok"),
    "later": (N_("not yet on sale"), "info"),
    "over": (N_("sale is over"), ""),
    "closed": (N_("not on sale"), ""),
}
LABELS = {
    "name": N_("Name"), "price": N_("Price"), "tax": N_("Tax rate in per cent"),
    "quota": N_("Number of tickets"), "on_sale_from": N_("On sale from"),
    "on_sale_until": N_("On sale until"), "is_hidden": N_("Hidden: only by a link of its own"),
    "is_shipped": N_("Printed, sent by post"),
}  # fmt: skip


@blueprint.get("/events/<uid>/tickets")
@requires(READ)
def index(uid: str) -> ResponseReturnValue:
    """List the kinds of tickets of an event."""
    session, event = tenant_session(read_only=True), event_or_404(uid)
    now = services().clock.now()
    kinds = listing.ticket_types(session, event.id)
    return render_template(
        "ticket_types/index.html",
        event=event,
        tenant=session.get_one(Tenant, event.tenant_id),
        rows=[(each, sale_state(event, each, now), sale_begins(event, each)) for each in kinds],
        words=SALE_WORDS,
    )


@blueprint.get("/events/<uid>/tickets/new")
@requires(WORK)
def new(uid: str) -> ResponseReturnValue:
    """Ask what the new kind is."""
    return _form(event_or_404(uid), None, Problems())


@blueprint.post("/events/<uid>/tickets/new")
@requires(WORK)
def create(uid: str) -> ResponseReturnValue:
    """Make it."""
    event = event_or_404(uid)
    return _save(event, None, lambda session, draft: verbs.create_ticket(
        session, uid, draft, actor()))  # fmt: skip


@blueprint.get("/ticket-types/<uid>")
@requires(WORK)
def edit(uid: str) -> ResponseReturnValue:
    """Show a kind, to change it."""
    ticket, event = _ticket_or_404(uid)
    return _form(event, ticket, Problems())


@blueprint.post("/ticket-types/<uid>")
@requires(WORK)
def change(uid: str) -> ResponseReturnValue:
    """Save it."""
    ticket, event = _ticket_or_404(uid)
    return _save(event, ticket, lambda session, draft: verbs.change_ticket(
        session, uid, asdict(draft), actor(), _look))  # fmt: skip


@blueprint.post("/ticket-types/<uid>/close")
@requires(WORK)
def close(uid: str) -> ResponseReturnValue:
    """Sell no more of it."""

    def act(session: Session) -> str:
        ticket = verbs.close_ticket(session, uid, actor())
        return _("“%(name)s” is not sold any more.", name=ticket.name)

    return _do(uid, act)


@blueprint.post("/ticket-types/<uid>/reopen")
@requires(WORK)
def reopen(uid: str) -> ResponseReturnValue:
    """Sell it again."""

    def act(session: Session) -> str:
        ticket = verbs.reopen_ticket(session, uid, actor())
        return _("“%(name)s” is sold again.", name=ticket.name)

    return _do(uid, act)


@blueprint.post("/ticket-types/<uid>/move")
@requires(WORK)
def move(uid: str) -> ResponseReturnValue:
    """Put it one place up or down."""

    def act(session: Session) -> str:
        is_up = request.form.get("where") == "up"
        ticket = verbs.move_ticket(session, uid, "up" if is_up else "down", actor())
        return _("“%(name)s” has moved.", name=ticket.name)

    return _do(uid, act)


def _do(uid: str, act: Callable[[Session], str]) -> ResponseReturnValue:
    session = tenant_session()
    _ticket, event = _ticket_or_404(uid)
    try:
        words = act(session)
        session.commit()
    except UnknownEntry:
        abort(404)
    except ProgrammeError as error:
        session.rollback()
        flash(said(error), "error")
    else:
        flash(words, "success")
    return redirect(url_for("ticket_types.index", uid=event.uid), 303)


def _save(
    event: Event,
    ticket: TicketType | None,
    save: Callable[[Session, verbs.TicketDraft], TicketType],
) -> ResponseReturnValue:
    session, problems = tenant_session(), Problems()
    draft = _read(event, ticket, problems)
    if draft is None:
        return _form(event, ticket, problems), 422
    try:
        saved = save(session, draft)
        session.commit()
    except meanwhile.SavedMeanwhile as error:
        session.rollback()
        return _form(event, ticket, problems, error.seen), 409
    except EntryRefused as error:
        session.rollback()
        problems.fields[error.field] = said(error)
        return _form(event, ticket, problems), 422
    except NotInState as error:
        session.rollback()
        problems.general = said(error)
        return _form(event, ticket, problems), 409
    flash(_("“%(name)s” is saved.", name=saved.name), "success")
    return redirect(url_for("ticket_types.index", uid=event.uid), 303)


def _read(event: Event, ticket: TicketType | None, problems: Problems) -> verbs.TicketDraft | None:
    """Return the kind of the form that was sent; None, and the problems, when it cannot be."""
    given = request.form
    price = tax = 0
    try:
        price = parse_minor(given.get("price", ""), event.currency)
    except MoneyError as error:
        problems.fields["price"] = f"{said(error)}"
    try:
        tax = read_percent(given.get("tax", "") or "0")
    except BadPercentError as error:
        problems.fields["tax"] = f"{said(error)}."
    quota = read_number("quota", problems)
    if quota is None and "quota" not in problems.fields:
        problems.fields["quota"] = _("Give a number of tickets from 0 on.")
    since = read_moment("on_sale_from", event.timezone, ticket, problems)
    until = read_moment("on_sale_until", event.timezone, ticket, problems)
    if problems.fields or quota is None:
        return None
    return verbs.TicketDraft(
        name=given.get("name", ""),
        price_minor=price,
        tax_bp=tax,
        quota=quota,
        on_sale_from=since,
        on_sale_until=until,
        is_hidden=given.get("is_hidden") == "yes",
        is_shipped=given.get("is_shipped") == "yes",
    )


def _look(ticket: TicketType, event: Event) -> None:
    meanwhile.check_unchanged(_values(event, ticket), request.form, LABELS)


def _form(
    event: Event,
    ticket: TicketType | None,
    problems: Problems,
    newer: meanwhile.Seen | None = None,
) -> str:
    values = _values(event, ticket)
    seen = newer or meanwhile.seen(values if ticket else {})
    return render_template(
        "ticket_types/form.html",
        event=event,
        ticket=ticket,
        seen=seen,
        given=seen.filled(request.form) if request.method == "POST" else values,
        problems=problems,
    )


def _values(event: Event, ticket: TicketType | None) -> dict[str, str]:
    if ticket is None:
        return {"tax": "0"}
    return {
        "name": ticket.name,
        "price": amount_to_type(ticket.price_minor, event.currency),
        "tax": percent_to_type(ticket.tax_bp),
        "quota": str(ticket.quota),
        "on_sale_from": written(ticket.on_sale_from, event.timezone),
        "on_sale_until": written(ticket.on_sale_until, event.timezone),
        "is_hidden": "yes" if ticket.is_hidden else "",
        "is_shipped": "yes" if ticket.is_shipped else "",
    }


def _ticket_or_404(uid: str) -> tuple[TicketType, Event]:
    try:
        return verbs.find_ticket(tenant_session(read_only=True), uid)
    except UnknownEntry:
        abort(404)
