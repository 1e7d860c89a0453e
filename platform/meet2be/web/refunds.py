"""The refund ledger: every refund, what was asked of the provider, and what a person decides."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from meet2be.cancellations import by_hand
from meet2be.cancellations import services as verbs
from meet2be.cancellations.errors import CancellationError
from meet2be.cancellations.following import look_up_now_tx
from meet2be.cancellations.listing import failed_items_of_refund, items_of_refund, run_uid_of
from meet2be.language import N_, Message, _, said
from meet2be.payments import listing
from meet2be.payments.errors import PaymentsError, ReasonMissing, UnknownRefund
from meet2be.payments.listing import RefundDetails
from meet2be.payments.models import REFUND_MODES, REFUND_STATUSES
from meet2be.refunding import again
from meet2be.web.actors import actor
from meet2be.web.paging import listing as listed
from meet2be.web.paging import wanted_slice
from meet2be.web.security import CANCEL, READ, requires, services, tenant_session

blueprint = Blueprint("refunds", __name__)
LONGEST_REASON = 2000
FOUND = {
    "settled": (N_("The provider has answered; it is written down."), "success"),
    "no_news": (N_("The provider has nothing new to tell."), "info"),
    "not_found": (
        N_("The provider does not have this refund. If it stays so, decide that it was not made."),
        "warning",
    ),
}


@blueprint.get("/refunds")
@requires(READ)
def index() -> ResponseReturnValue:
    """List the ledger, the newest first, the uncertain ones above it."""
    session, given = tenant_session(read_only=True), request.args
    wanted = listing.known_filter(
        given.get("status", ""), given.get("mode", ""), given.get("q", "")
    )
    part = wanted_slice(lambda uid: listing.position_of(session, uid))
    page = listing.refunds_page(session, wanted, part)
    is_plain = wanted.is_empty and part.after is None and part.before is None
    return render_template(
        "refunds/index.html",
        page=listed(page, lambda row: row[0].uid),
        uncertain=listing.uncertain_refunds(session) if is_plain else [],
        wanted=wanted,
        statuses=REFUND_STATUSES,
        modes=REFUND_MODES,
    )


@blueprint.get("/refunds/<uid>")
@requires(READ)
def show(uid: str) -> ResponseReturnValue:
    """Show one refund with every call that was made for it."""
    return _page(uid)


@blueprint.post("/refunds/<uid>/lookup")
@requires(CANCEL)
def lookup(uid: str) -> ResponseReturnValue:
    """Ask the provider now what it has of this refund; nothing is sent by this."""
    details = _details_or_404(uid)
    try:
        found = look_up_now_tx(services().desk, details.refund.tenant_id, uid)
    except PaymentsError as error:
        flash(f"{said(error)}.", "warning")
    else:
        words, category = FOUND[found]
        flash(_(words), category)
    return redirect(url_for("refunds.show", uid=uid), 303)


@blueprint.post("/refunds/<uid>/retry")
@requires(CANCEL)
def retry(uid: str) -> ResponseReturnValue:
    """Refund anew what this refund was for, under a new key."""
    refund, by = _details_or_404(uid).refund, actor()

    def act(session: Session) -> None:
        if refund.run_id is None:
            again.retry(session, uid, by, services().clock.now())
            return
        items = [item.id for item in failed_items_of_refund(session, refund.id)]
        run_uid = run_uid_of(session, refund.run_id)
        if run_uid is None or not items:
            raise CancellationError(Message("Nothing of this refund waits to be tried again"))
        verbs.retry_failed(session, run_uid, actor(), items)

    return _do(uid, act, _("A new refund takes its place."))


@blueprint.post("/refunds/<uid>/mark-paid")
@requires(CANCEL)
def mark_paid(uid: str) -> ResponseReturnValue:
    """Settle a refund by a person's word, with the reason.

    An uncertain one was made, or (``made`` is ``no``) was not; a failed one was paid another way.
    """
    refund = _details_or_404(uid).refund
    desk, by = services().desk, actor()
    reason = request.form.get("reason", "").strip()[:LONGEST_REASON]
    was_made = request.form.get("made", "yes") != "no"

    def act(session: Session) -> None:
        if refund.status == "failed" and refund.run_id is None:
            again.mark_paid(session, uid, by, reason, services().clock.now())
            return
        items = failed_items_of_refund(session, refund.id)
        run_uid = run_uid_of(session, refund.run_id) if refund.run_id is not None else None
        if refund.status == "uncertain" or run_uid is None or not items:
            by_hand.decide(session, desk, uid, by, reason, made=was_made)
            return
        for item in items:
            by_hand.mark_paid(session, desk, run_uid, item.id, by, reason)

    try:
        return _do(uid, act, _("Your decision is written down."))
    except ReasonMissing as error:
        return _page(uid, f"{said(error)}."), 422


def _do(uid: str, act: Callable[[Session], None], done: str) -> ResponseReturnValue:
    session = tenant_session()
    try:
        act(session)
        session.commit()
    except UnknownRefund:
        abort(404)
    except ReasonMissing:
        session.rollback()
        raise
    except (CancellationError, PaymentsError) as error:
        session.rollback()
        flash(f"{said(error)}.", "warning")
    else:
        flash(done, "success")
    return redirect(url_for("refunds.show", uid=uid), 303)


def _details_or_404(uid: str) -> RefundDetails:
    details = listing.refund_details(tenant_session(read_only=True), uid)
    if details is None:
        abort(404)
    return details


def _page(uid: str, problem: str = "") -> str:
    details, session = _details_or_404(uid), tenant_session(read_only=True)
    run_id = details.refund.run_id
    return render_template(
        "refunds/show.html",
        it=details,
        run_uid=None if run_id is None else run_uid_of(session, run_id),
        items=items_of_refund(session, details.refund.id),
        can_retry=bool(failed_items_of_refund(session, details.refund.id))
        or again.may_decide(session, details.refund),
        problem=problem,
        reason=request.form.get("reason", ""),
    )
