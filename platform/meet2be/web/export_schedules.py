"""Exports that come regularly: looked at, changed, paused, run out of turn, deleted."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, abort, flash, redirect, render_template, request
from flask import url_for as address
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.events.models import Event
from meet2be.exports import listing, schedules
from meet2be.exports.errors import BadExport, ExportError, UnknownExport
from meet2be.exports.models import ExportSchedule
from meet2be.language import _, said
from meet2be.web import export_forms as forms
from meet2be.web.actors import actor
from meet2be.web.security import WORK, identity, requires, services, tenant_session

blueprint = Blueprint("export_schedules", __name__)


@blueprint.get("/exports/schedules")
@requires(WORK)
def index() -> ResponseReturnValue:
    """List what comes regularly."""
    session = tenant_session(read_only=True)
    rows = listing.schedules_with_events(session)
    return render_template(
        "exports/schedules.html",
        rows=rows,
        names=listing.names_of(session, [row[0].owner_id for row in rows]),
        error_of=schedules.last_error,
        weekdays=forms.WEEKDAYS,
    )


@blueprint.get("/exports/schedules/<uid>")
@requires(WORK)
def edit(uid: str) -> ResponseReturnValue:
    """Show a schedule to change it."""
    session = tenant_session(read_only=True)
    schedule, event = _found_or_404(session, uid)
    wish = forms.from_schedule(schedule, identity(), event)
    return forms.page(session, event, wish, schedule=schedule)


@blueprint.post("/exports/schedules/<uid>")
@requires(WORK)
def change(uid: str) -> ResponseReturnValue:
    """Change a schedule."""
    session = tenant_session()
    schedule, event = _found_or_404(session, uid)
    wish = forms.from_form(identity(), event)
    try:
        spec = forms.spec_of(wish)
        plan = schedules.read_plan({**request.form, "timezone": spec.timezone}, forms.recipients())
        schedules.change(
            session, uid, spec, plan, identity().user_id, actor(), services().clock.now()
        )
        session.commit()
    except BadExport as error:
        session.rollback()
        return forms.page(session, event, wish, error.problems, schedule=schedule), 422
    flash(_("Changed."), "success")
    return redirect(address("export_schedules.index"), 303)


@blueprint.post("/exports/schedules/<uid>/pause")
@requires(WORK)
def pause(uid: str) -> ResponseReturnValue:
    """Let it rest."""
    now = services().clock.now()

    def act(session: Session) -> str:
        schedules.switch(session, uid, identity().user_id, actor(), now, on=False)
        return _("Paused.")

    return _do(act)


@blueprint.post("/exports/schedules/<uid>/resume")
@requires(WORK)
def resume(uid: str) -> ResponseReturnValue:
    """Let it go on."""
    now = services().clock.now()

    def act(session: Session) -> str:
        schedules.switch(session, uid, identity().user_id, actor(), now, on=True)
        return _("It goes on.")

    return _do(act)


@blueprint.post("/exports/schedules/<uid>/run")
@requires(WORK)
def run(uid: str) -> ResponseReturnValue:
    """Make its file now."""
    now = services().clock.now()

    def act(session: Session) -> str:
        schedules.run_now(session, uid, identity().user_id, actor(), now)
        return _("The export has been asked for.")

    return _do(act)


@blueprint.post("/exports/schedules/<uid>/delete")
@requires(WORK)
def delete(uid: str) -> ResponseReturnValue:
    """Delete it; its files stay until they expire."""

    def act(session: Session) -> str:
        schedules.delete(session, uid, actor())
        return _("Deleted.")

    return _do(act)


def _do(act: Callable[[Session], str]) -> ResponseReturnValue:
    session = tenant_session()
    try:
        told = act(session)
        session.commit()
    except UnknownExport:
        abort(404)
    except ExportError as error:
        session.rollback()
        flash(said(error), "warning")
    else:
        flash(told, "success")
    return redirect(address("export_schedules.index"), 303)


def _found_or_404(session: Session, uid: str) -> tuple[ExportSchedule, Event]:
    try:
        schedule = schedules.find(session, uid)
    except UnknownExport:
        abort(404)
    event = session.scalars(select(Event).where(Event.id == schedule.event_id)).one()
    return schedule, event
