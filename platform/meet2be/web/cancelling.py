"""From an event to its cancellation: options, preview, code, confirmation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from meet2be.cancellations import services as verbs
from meet2be.cancellations.codes import needs_code, send_code
from meet2be.cancellations.errors import (
    BadCancelOptions,
    CancellationAlreadyRunning,
    CancellationError,
    CodeExpired,
    CodeNeeded,
    EventNotCancellable,
    PreviewStale,
    RunNotInState,
    TooManyCodes,
    UnknownRun,
    WrongCode,
    WrongEventName,
)
from meet2be.cancellations.listing import (
    active_run_uid,
    attendee_uids,
    preview_part,
    run_with_event,
)
from meet2be.cancellations.models import CancelRun
from meet2be.cancellations.options import CancelOptions
from meet2be.cancellations.preparing import stale_of
from meet2be.cancellations.preview import Preview, planned_items
from meet2be.cancellations.report import preview_rows
from meet2be.events.models import Event
from meet2be.language import Message, _, said
from meet2be.money import MoneyError, parse_minor
from meet2be.web.actors import actor
from meet2be.web.downloads import download
from meet2be.web.events import event_or_404
from meet2be.web.money_fields import BadPercentError, read_percent
from meet2be.web.presentation import amount_to_type, percent_to_type
from meet2be.web.security import CANCEL, PREVIEW, identity, requires, services, tenant_session

blueprint = Blueprint("cancelling", __name__)
# In which order outcomes are told: what happens, then what does not and why.
OUTCOMES = (
    "refund", "manual", "disputed", "not_paid", "already_refunded", "fee_kept", "free",
    "no_invoice", "test_mode",
)  # fmt: skip


class PlannedRun(NamedTuple):
    """A run that was previewed, with its event."""

    run: CancelRun
    event: Event


@dataclass(slots=True)
class Problems:
    """What is wrong with a form: by field, and about all of it."""

    fields: dict[str, str] = field(default_factory=dict)
    general: str = ""
    differences: tuple[tuple[Message, str, str], ...] = ()


@blueprint.get("/events/<uid>/cancel")
@requires(PREVIEW)
def options(uid: str) -> ResponseReturnValue:
    """Ask how the event is to be cancelled."""
    event = event_or_404(uid)
    running = active_run_uid(tenant_session(read_only=True), event.id)
    if running is not None:
        return _already_running(event, running)
    return _options_page(event, _typed_before(event, request.args.get("as", "")), Problems())


@blueprint.post("/events/<uid>/cancel")
@requires(PREVIEW)
def make_preview(uid: str) -> ResponseReturnValue:
    """Make the preview with these options and go to it."""
    event, problems = event_or_404(uid), Problems()
    wanted = _read_options(event, request.form, problems)
    if wanted is None:
        return _options_page(event, request.form, problems), 422
    session = tenant_session()
    try:
        run = verbs.start(session, services().desk, event.uid, wanted, identity().user_id)
        session.commit()
    except CancellationAlreadyRunning as error:
        return _already_running(event, error.run_uid)
    except EventNotCancellable as error:
        return _options_page(event, request.form, Problems(general=f"{said(error)}.")), 409
    return redirect(url_for("cancelling.preview", uid=run.uid), 303)


@blueprint.get("/cancellations/<uid>/preview")
@requires(PREVIEW)
def preview(uid: str) -> ResponseReturnValue:
    """Show what would happen; a run that was begun is shown itself."""
    planned = _planned_or_404(uid)
    if planned.run.state != "preview":
        return redirect(url_for("cancellations.show", uid=uid))
    running = active_run_uid(tenant_session(read_only=True), planned.event.id)
    if running is not None:
        return _already_running(planned.event, running)
    return _preview_page(planned, _problems_of(stale_of(planned.run)))


@blueprint.get("/cancellations/<uid>/preview.csv")
@requires(PREVIEW)
def preview_csv(uid: str) -> ResponseReturnValue:
    """Give the whole list of the preview as it would be now."""
    run, event = _planned_or_404(uid)
    session = tenant_session(read_only=True)
    items = planned_items(session, event, CancelOptions.from_json(run.options))
    return download(f"{event.slug}-cancellation-preview.csv", preview_rows(items))


@blueprint.post("/cancellations/<uid>/code")
@requires(CANCEL)
def code(uid: str) -> ResponseReturnValue:
    """Mail a new code to the person who wants to confirm."""
    session = tenant_session()
    try:
        send_code(session, services().desk, uid, identity().user_id)
        session.commit()
    except UnknownRun:
        abort(404)
    except RunNotInState:
        return redirect(url_for("cancellations.show", uid=uid), 303)
    except TooManyCodes as error:
        flash(f"{said(error)}.", "error")
        return redirect(url_for("cancelling.preview", uid=uid, _anchor="confirm"), 303)
    address = identity().user_email
    flash(
        _("A code is on its way to %(address)s. It is good for 15 minutes.", address=address),
        "success",
    )
    return redirect(url_for("cancelling.preview", uid=uid, _anchor="confirm"), 303)


@blueprint.post("/cancellations/<uid>/confirm")
@requires(CANCEL)
def confirm(uid: str) -> ResponseReturnValue:
    """Begin the cancellation; a second click leads to the same run."""
    planned = _planned_or_404(uid)
    form, problems = request.form, Problems()
    try:
        verbs.confirm_tx(
            services().desk,
            planned.run.tenant_id,
            uid,
            typed_name=form.get("event_name", ""),
            preview_hash=form.get("preview_hash", ""),
            code="".join(form.get("code", "").split()) or None,
            confirmed_by=actor(),
        )
    except CancellationAlreadyRunning as error:
        if error.run_uid != uid:
            return _already_running(planned.event, error.run_uid)
    except RunNotInState:
        flash(_("This cancellation was confirmed before."), "info")
    except WrongEventName as error:
        problems.fields["event_name"] = f"{said(error)}."
    except (CodeNeeded, CodeExpired, WrongCode) as error:
        problems.fields["code"] = f"{said(error)}."
    except PreviewStale as error:
        problems = _problems_of(error)
    except CancellationError as error:
        problems.general = f"{said(error)}."
    if problems.fields or problems.general:
        return _preview_page(planned, problems), 422
    return redirect(url_for("cancellations.show", uid=uid), 303)


def _problems_of(stale: PreviewStale | None) -> Problems:
    """Return what a page says of a preview that does not hold any more."""
    if stale is None:
        return Problems()
    return Problems(general=f"{said(stale)}.", differences=stale.differences)


def _planned_or_404(uid: str) -> PlannedRun:
    found = run_with_event(tenant_session(read_only=True), uid)
    if found is None:
        abort(404)
    return PlannedRun(*found)


def _preview_page(planned: PlannedRun, problems: Problems) -> str:
    run, event = planned
    session = tenant_session(read_only=True)
    chosen, outcome = CancelOptions.from_json(run.options), request.args.get("outcome", "")
    outcome = outcome if outcome in OUTCOMES else ""
    part = preview_part(session, event, chosen, request.args.get("beyond", ""), outcome)
    return render_template(
        "cancellations/preview.html",
        run=run,
        event=event,
        options=chosen,
        preview=Preview.from_json(run.preview),
        outcomes=OUTCOMES,
        outcome=outcome,
        part=part,
        uids=attendee_uids(session, part.items),
        is_code_needed=needs_code(services().desk, run.tenant_id, run.uid),
        has_code=run.code_expires_at is not None and run.code_expires_at > services().clock.now(),
        problems=problems,
        typed=request.form,
    )


def _options_page(event: Event, typed: Mapping[str, str], problems: Problems) -> str:
    return render_template(
        "cancellations/options.html", event=event, typed=typed, problems=problems
    )


def _already_running(event: Event, run_uid: str) -> ResponseReturnValue:
    return render_template("cancellations/running.html", event=event, run_uid=run_uid), 409


def _typed_before(event: Event, uid: str) -> dict[str, str]:
    """Return a preview's options as its person typed them; none for one that is not the event's."""
    found = run_with_event(tenant_session(read_only=True), uid) if uid else None
    if found is None or found[1].id != event.id:
        return {}
    chosen = CancelOptions.from_json(found[0].options)
    return {
        "fee_kind": chosen.fee_kind,
        "fee_amount": amount_to_type(chosen.fee_minor, event.currency) if chosen.fee_minor else "",
        "fee_percent": percent_to_type(chosen.fee_basis_points) if chosen.fee_basis_points else "",
        "refund_mode": chosen.refund_mode,
        "message": chosen.message,
        "reason": chosen.reason,
    }


def _read_options(
    event: Event, form: Mapping[str, str], problems: Problems
) -> CancelOptions | None:
    """Return the options of the form, or None and what is wrong in ``problems``."""
    given: dict[str, Any] = {
        "fee_kind": form.get("fee_kind", "none"),
        "refund_mode": form.get("refund_mode", "auto"),
        "message": form.get("message", "").replace("\r\n", "\n").strip(),
        "reason": form.get("reason", "").strip()[:2000],
    }
    try:
        if given["fee_kind"] == "fixed":
            given["fee_minor"] = parse_minor(form.get("fee_amount", ""), event.currency)
    except MoneyError as error:
        problems.fields["fee_amount"] = said(error)
    try:
        if given["fee_kind"] == "percent":
            given["fee_basis_points"] = read_percent(form.get("fee_percent", ""))
    except BadPercentError as error:
        problems.fields["fee_percent"] = f"{said(error)}."
    try:
        made = CancelOptions(**given)
    except BadCancelOptions as error:
        problems.general = f"{said(error)}."
        return None
    return None if problems.fields else made
