"""Making an event, changing what is said of it, and publishing it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from meet2be.accounts.own import zones
from meet2be.events.models import Event
from meet2be.language import N_, _, said
from meet2be.organisations.details import COMMON_CURRENCIES
from meet2be.programme import events as verbs
from meet2be.programme import shelving
from meet2be.programme.errors import (
    EntryRefused,
    NotInState,
    ProgrammeError,
    TooManyEvents,
    UnknownEntry,
)
from meet2be.programme.times import moment_at, written
from meet2be.tenancy.models import Tenant
from meet2be.tenancy.services import in_test_mode
from meet2be.web import meanwhile
from meet2be.web.actors import actor
from meet2be.web.cancelling import Problems
from meet2be.web.events import event_or_404
from meet2be.web.security import WORK, identity, requires, tenant_session
from meet2be.web.wording import sentence

blueprint = Blueprint("event_editing", __name__)
MOMENTS = ("starts_at", "ends_at", "on_sale_from", "on_sale_until")
TEXTS = ("title", "slug", "place", "description", "timezone", "currency", "capacity")
LARGEST_NUMBER = 9
LABELS = {
    "title": N_("Title"), "slug": N_("Name in links"), "place": N_("Place"),
    "description": N_("Description"), "timezone": N_("Time zone"), "currency": N_("Currency"),
    "capacity": N_("Total places"), "starts_at": N_("Begins"), "ends_at": N_("Ends"),
    "on_sale_from": N_("On sale from"), "on_sale_until": N_("On sale until"),
    "test_mode": N_("Test mode"),
}  # fmt: skip
SHELVING = {
    "unpublish": (
        shelving.unpublish_event, N_("“%(title)s” is off its page. Nothing more is sold."),
    ),
    "archive": (shelving.archive_event, N_("“%(title)s” is in the archive.")),
    "restore": (shelving.restore_event, N_("“%(title)s” is out of the archive.")),
}  # fmt: skip


@blueprint.get("/events/new")
@requires(WORK)
def new() -> ResponseReturnValue:
    """Ask what the new event is."""
    return _form(None, Problems())


@blueprint.post("/events/new")
@requires(WORK)
def create() -> ResponseReturnValue:
    """Make the event and go to its kinds of tickets."""
    session, problems = tenant_session(), Problems()
    draft = read_draft(None, problems)
    if draft is None:
        return _form(None, problems), 422
    try:
        event = verbs.create_event(session, draft, actor())
        session.commit()
    except EntryRefused as error:
        session.rollback()
        problems.fields[error.field] = said(error)
        return _form(None, problems), 422
    except TooManyEvents as error:
        session.rollback()
        problems.general = sentence(error)
        return _form(None, problems), 422
    flash(_("“%(title)s” is a draft. Say which tickets there are.", title=event.title), "success")
    return redirect(url_for("ticket_types.index", uid=event.uid), 303)


@blueprint.get("/events/<uid>/edit")
@requires(WORK)
def edit(uid: str) -> ResponseReturnValue:
    """Show what is said of an event, to change it."""
    return _form(event_or_404(uid), Problems())


@blueprint.post("/events/<uid>/edit")
@requires(WORK)
def change(uid: str) -> ResponseReturnValue:
    """Save it."""
    event, session, problems = event_or_404(uid), tenant_session(), Problems()
    draft = read_draft(event, problems)
    if draft is None:
        return _form(event, problems), 422
    try:
        verbs.change_event(session, uid, asdict(draft), actor(), _look)
        session.commit()
    except meanwhile.SavedMeanwhile as error:
        session.rollback()
        return _form(event, problems, error.seen), 409
    except EntryRefused as error:
        session.rollback()
        problems.fields[error.field] = said(error)
        return _form(event, problems), 422
    except NotInState as error:
        session.rollback()
        problems.general = said(error)
        return _form(event, problems), 409
    flash(_("What is said of “%(title)s” is saved.", title=draft.title), "success")
    return redirect(url_for("events.show", uid=uid), 303)


@blueprint.post("/events/<uid>/publish")
@requires(WORK)
def publish(uid: str) -> ResponseReturnValue:
    """Put the event on its public page."""
    session = tenant_session()
    try:
        event = verbs.publish_event(session, uid, actor())
        session.commit()
    except UnknownEntry:
        abort(404)
    except ProgrammeError as error:
        session.rollback()
        flash(said(error), "error")
        return redirect(url_for("events.show", uid=uid), 303)
    flash(_("“%(title)s” is published. Its tickets can be bought.", title=event.title), "success")
    return redirect(url_for("events.show", uid=uid), 303)


@blueprint.post("/events/<uid>/unpublish", defaults={"verb": "unpublish"})
@blueprint.post("/events/<uid>/archive", defaults={"verb": "archive"})
@blueprint.post("/events/<uid>/restore", defaults={"verb": "restore"})
@requires(WORK)
def shelve(uid: str, verb: str) -> ResponseReturnValue:
    """Take an event off its page, put it into the archive, or take it out of that."""
    session, (act, words) = tenant_session(), SHELVING[verb]
    try:
        event = act(session, uid, actor())
        session.commit()
    except UnknownEntry:
        abort(404)
    except ProgrammeError as error:
        session.rollback()
        flash(said(error), "error")
    else:
        flash(_(words, title=event.title), "success")
    return redirect(url_for("events.show", uid=uid), 303)


def read_draft(event: Event | None, problems: Problems) -> verbs.EventDraft | None:
    """Return the event of the form that was sent; None, and the problems, when it cannot be."""
    given = request.form
    zone = given.get("timezone", "")
    if zone not in zones():
        problems.fields["timezone"] = _("Choose a time zone of the list.")
        return None
    moments = {name: read_moment(name, zone, event, problems) for name in MOMENTS}
    for name in ("starts_at", "ends_at"):
        if moments[name] is None and name not in problems.fields:
            problems.fields[name] = _("Give a day and a time.")
    capacity = read_number("capacity", problems)
    starts_at, ends_at = moments["starts_at"], moments["ends_at"]
    if problems.fields or starts_at is None or ends_at is None:
        return None
    return verbs.EventDraft(
        title=given.get("title", ""),
        slug=given.get("slug", ""),
        description=given.get("description", ""),
        place=given.get("place", ""),
        timezone=zone,
        currency=given.get("currency", "").strip().upper()[:8],
        starts_at=starts_at,
        ends_at=ends_at,
        capacity=capacity,
        on_sale_from=moments["on_sale_from"],
        on_sale_until=moments["on_sale_until"],
        test_mode=given.get("test_mode") == "yes",
    )


def read_moment(name: str, zone: str, row: object | None, problems: Problems) -> datetime | None:
    """Return the moment of a form's field on the clocks of a zone; None where it is empty."""
    text = request.form.get(name, "").strip()
    if not text:
        return None
    try:
        return moment_at(name, text, zone, getattr(row, name, None))
    except EntryRefused as error:
        problems.fields[name] = said(error)
        return None


def read_number(name: str, problems: Problems) -> int | None:
    """Return the whole number of a form's field; None where it is empty, or none."""
    text = request.form.get(name, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= LARGEST_NUMBER):
        problems.fields[name] = _("“%(text)s” is no whole number.", text=text[:40])
        return None
    return int(text)


def _look(event: Event) -> None:
    meanwhile.check_unchanged(_values(event), request.form, LABELS)


def _form(event: Event | None, problems: Problems, newer: meanwhile.Seen | None = None) -> str:
    seen = newer or meanwhile.seen(_values(event) if event else {})
    given = seen.filled(request.form) if request.method == "POST" else _values(event)
    currencies = {*COMMON_CURRENCIES, given.get("currency") or "EUR"}
    return render_template(
        "events/form.html",
        event=event,
        seen=seen,
        given=given,
        problems=problems,
        zones=zones(),
        currencies=sorted(currencies),
    )


def _values(event: Event | None) -> dict[str, str]:
    """Return what the fields hold before anybody types; a new event has what is usual here."""
    if event is None:
        tenant = tenant_session(read_only=True).get_one(Tenant, identity().tenant_id)
        test_mode = "yes" if in_test_mode(tenant) else ""
        return {"timezone": tenant.timezone, "currency": tenant.currency, "test_mode": test_mode}
    texts = {name: getattr(event, name) for name in TEXTS}
    values = {name: "" if value is None else str(value) for name, value in texts.items()}
    for name in MOMENTS:
        values[name] = written(getattr(event, name), event.timezone)
    return {**values, "test_mode": "yes" if event.test_mode else ""}
