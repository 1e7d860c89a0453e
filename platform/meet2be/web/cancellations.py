"""A cancellation that was confirmed: watched, paused, resumed, aborted, tried again, reported."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, abort, flash, jsonify, redirect, render_template, request
from flask import url_for as address
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from meet2be.audit.services import Actor
from meet2be.cancellations import by_hand, listing
from meet2be.cancellations import services as verbs
from meet2be.cancellations.errors import CancellationError, UnknownItem, UnknownRun
from meet2be.cancellations.items_found import count_items, items_page
from meet2be.cancellations.models import CancelRun
from meet2be.cancellations.preparing import stale_of
from meet2be.cancellations.progress import Progress, Track, progress_of
from meet2be.cancellations.report import report_rows
from meet2be.cancellations.watching import shown_progress
from meet2be.events.models import Event
from meet2be.language import _, ngettext, said
from meet2be.payments.errors import ReasonMissing
from meet2be.web.actors import actor
from meet2be.web.downloads import download
from meet2be.web.paging import listing as listed
from meet2be.web.paging import row_number, wanted_slice
from meet2be.web.presentation import count
from meet2be.web.security import CANCEL, READ, identity, requires, services, tenant_session

blueprint = Blueprint("cancellations", __name__)
ENDED = frozenset({"done", "done_with_errors", "aborted"})
STOP_POLLING = 286  # htmx takes it for: this was the last one
LONGEST_REASON = 2000


@blueprint.get("/cancellations")
@requires(READ)
def index() -> ResponseReturnValue:
    """List the organisation's cancellations, the newest first."""
    session = tenant_session(read_only=True)
    part = wanted_slice(lambda uid: listing.position_of_run(session, uid), size=25)
    page = listing.runs_page(session, part)
    return render_template("cancellations/index.html", page=listed(page, lambda row: row[0].uid))


@blueprint.get("/cancellations/<uid>")
@requires(READ)
def show(uid: str) -> ResponseReturnValue:
    """Show how far a cancellation is and what became of each attendee."""
    return _page(uid)


@blueprint.get("/cancellations/<uid>/progress")
@requires(READ)
def progress(uid: str) -> ResponseReturnValue:
    """Give the moving part of the page; the whole page anew when its buttons have changed."""
    found = listing.run_with_event(tenant_session(read_only=True), uid)
    if found is not None and stale_of(found[0]) is not None:
        return Response("", headers={"HX-Refresh": "true"})  # it leads to the preview again
    run, event = _confirmed_or_404(uid)
    seen = request.args.get("at", 0, type=int)
    session, now = tenant_session(read_only=True), services().clock.now()
    how_far = shown_progress(session, run, now, seen)
    fragment = render_template(
        "cancellations/progress.html",
        run=run,
        event=event,
        progress=how_far,
        is_moving=_is_moving(run, how_far),
    )
    response = Response(fragment)
    if not _is_moving(run, how_far):
        response.status_code = STOP_POLLING
    if request.args.get("seen", run.state) != run.state:
        response.headers["HX-Refresh"] = "true"
    response.set_etag(hashlib.sha256(fragment.encode()).hexdigest()[:24])
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Cookie"
    return response if "HX-Refresh" in response.headers else response.make_conditional(request)


@blueprint.get("/cancellations/<uid>/progress.json")
@requires(READ)
def progress_json(uid: str) -> ResponseReturnValue:
    """Give the figures for programs."""
    run, _event = _confirmed_or_404(uid)
    how_far = _progress(run)
    refunds, mails = how_far.refund_states, how_far.mail_states
    return jsonify(
        {
            "state": how_far.state,
            "tracks": {
                "refund": _track(how_far.refunds, refunds),
                "cancel": _track(how_far.cancels, {}),
                "mail": _track(how_far.mails, mails),
            },
            "rate_per_minute": round(how_far.rate, 1),
            "seconds_left": None if how_far.left is None else int(how_far.left.total_seconds()),
            "pause_reason": run.pause_reason or run.pause_code,
            "as_of": services().clock.now().isoformat(),
        }
    )


@blueprint.get("/cancellations/<uid>/report.csv")
@requires(READ)
def report(uid: str) -> ResponseReturnValue:
    """Give what became of each attendee as a file, or of those with that state of the refund."""
    run, event = _confirmed_or_404(uid)
    state = listing.known_item_filter(request.args.get("refund_state", ""), "", "", "").refund_state
    rows = report_rows(tenant_session(read_only=True), run, state)
    return download(f"{event.slug}-cancellation{'-' if state else ''}{state}.csv", rows)


@blueprint.post("/cancellations/<uid>/pause")
@requires(CANCEL)
def pause(uid: str) -> ResponseReturnValue:
    """Stop before the next refunds."""
    return _do(uid, lambda session, by: verbs.pause(session, uid, by, _reason()), _("Paused."))


@blueprint.post("/cancellations/<uid>/resume")
@requires(CANCEL)
def resume(uid: str) -> ResponseReturnValue:
    """Go on."""
    is_operator = identity().is_operator
    return _do(
        uid,
        lambda session, by: verbs.resume(session, uid, by, operator=is_operator),
        _("It goes on."),
    )


@blueprint.post("/cancellations/<uid>/abort")
@requires(CANCEL)
def end(uid: str) -> ResponseReturnValue:
    """End the run for good; needs the box ticked that says so."""
    if request.form.get("sure") != "yes":
        return _page(uid, _("Tick the box that says you are sure. Nothing was changed."), 422)
    return _do(uid, lambda session, by: verbs.abort(session, uid, by, _reason()), _("Aborted."))


@blueprint.post("/cancellations/<uid>/retry")
@requires(CANCEL)
def retry(uid: str) -> ResponseReturnValue:
    """Do all failed refunds again."""
    return _do(
        uid,
        lambda session, by: verbs.retry_failed(session, uid, by),
        lambda count: _("What had failed is tried again.") if count else _("Nothing has failed."),
    )


@blueprint.post("/cancellations/<uid>/paid")
@requires(CANCEL)
def paid(uid: str) -> ResponseReturnValue:
    """Write down that one attendee was paid back by hand; says how that is known."""
    item = row_number(request.form.get("item", ""))
    if item is None:
        abort(404)
    try:
        return _do(
            uid,
            lambda session, by: by_hand.mark_paid(
                session, services().desk, uid, item[0], by, _reason()
            ),
            _("Written down as paid by hand."),
        )
    except ReasonMissing as error:
        return _page(uid, _("%(problem)s. Nothing was changed.", problem=said(error)), 422)


@blueprint.post("/cancellations/<uid>/paid-all")
@requires(CANCEL)
def paid_all(uid: str) -> ResponseReturnValue:
    """Write down that all who were left to be paid by hand were; their number is typed for it."""
    run, _event = _confirmed_or_404(uid)
    session = tenant_session()
    waiting = by_hand.waiting_by_hand(session, run.id).number
    if not waiting:
        flash(_("Nobody waits to be paid by hand."), "info")
        return redirect(address("cancellations.show", uid=uid), 303)
    if "".join(filter(str.isdecimal, request.form.get("number", ""))) != str(waiting):
        words = _("Type the number %(number)s to confirm. Nothing was changed.", number=waiting)
        return _page(uid, words, 422)
    try:
        confirmed = session, services().desk, uid, actor(), _reason()
        done = by_hand.mark_all_paid(*confirmed, most=waiting)
    except ReasonMissing as error:
        return _page(uid, _("%(problem)s. Nothing was changed.", problem=said(error)), 422)
    left = by_hand.waiting_by_hand(session, run.id).number
    session.commit()
    flash(
        ngettext(
            "%(count)s refund is written down as paid by hand.",
            "%(count)s refunds are written down as paid by hand.",
            done,
            count=count(done),
        ),
        "success",
    )
    if left:
        flash(
            _("Still left: %(number)s. Mark them in the same way.", number=count(left)), "warning"
        )
    return redirect(address("cancellations.show", uid=uid), 303)


def _do(
    uid: str, act: Callable[[Session, Actor], Any], done: str | Callable[[Any], str]
) -> ResponseReturnValue:
    """Act, commit and go back to the run; a button pressed twice says that it was pressed."""
    session = tenant_session()
    try:
        result = act(session, actor())
        session.commit()
    except (UnknownRun, UnknownItem):
        abort(404)
    except CancellationError as error:
        session.rollback()
        flash(f"{said(error)}.", "warning")
    else:
        flash(done if isinstance(done, str) else done(result), "success")
    return redirect(address("cancellations.show", uid=uid), 303)


def _page(uid: str, problem: str = "", status: int = 200) -> ResponseReturnValue:
    found = listing.run_with_event(tenant_session(read_only=True), uid)
    if found is not None and found[0].state == "preview":
        return redirect(address("cancelling.preview", uid=uid))
    run, event = _confirmed_or_404(uid)
    session, given = tenant_session(read_only=True), request.args
    wanted = listing.known_item_filter(
        given.get("refund_state", ""),
        given.get("mail_state", ""),
        given.get("q", ""),
        given.get("cause", ""),
    )
    page = items_page(session, run.id, wanted, wanted_slice(row_number))
    number, is_exact = count_items(session, run.id, wanted)
    how_far = _progress(run)
    page_text = render_template(
        "cancellations/show.html",
        run=run,
        event=event,
        progress=how_far,
        is_moving=_is_moving(run, how_far),
        wanted=wanted,
        page=listed(page, lambda row: str(row[0].id)),
        number_found=number,
        is_exact=is_exact,
        problem=problem,
        by_hand=by_hand.waiting_by_hand(session, run.id),
    )
    return page_text, status


def _confirmed_or_404(uid: str) -> tuple[CancelRun, Event]:
    found = listing.run_with_event(tenant_session(read_only=True), uid)
    if found is None or found[0].state == "preview":
        abort(404)
    return found


def _progress(run: CancelRun) -> Progress:
    return progress_of(tenant_session(read_only=True), run, services().clock.now())


def _is_moving(run: CancelRun, progress: Progress) -> bool:
    """Tell whether the page must look again: the run goes on, or mails are still under way.

    Whom an ended run did not write to it writes to no more.
    """
    if run.state not in ENDED or run.finished_at is None:
        return True
    return progress.mails.done + progress.mail_states.get("todo", 0) < progress.mails.total


def _track(track: Track, states: Any) -> dict[str, int]:
    return {
        "done": track.done,
        "total": track.total,
        "failed": states.get("failed", 0),
        "uncertain": states.get("uncertain", 0),
        "open": track.total - track.done,
    }


def _reason() -> str:
    return request.form.get("reason", "").strip()[:LONGEST_REASON]
