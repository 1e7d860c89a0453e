"""Orders: the list, one order with its steps, and what an organiser does with it."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from meet2be.checkout import cancelling as verbs
from meet2be.checkout import listing
from meet2be.checkout.errors import OrderNotInState, UnknownOrder
from meet2be.checkout.listing import Filter
from meet2be.events.listing import find_event
from meet2be.language import N_, NC_, _, in_sense, said
from meet2be.orders.models import ORDER_STATUSES
from meet2be.web.paging import listing as listed
from meet2be.web.paging import wanted_slice
from meet2be.web.security import READ, WORK, identity, requires, services, tenant_session

blueprint = Blueprint("orders", __name__)
LONGEST_REASON = 2000
STEP_WORDS = {
    "validate_order": N_("Check the order"),
    "process_payment": N_("Take the payment"),
    "update_inventory": N_("Sell the tickets"),
    "calculate_shipping": N_("Work out the postage"),
    "create_shipping_label": N_("Write the parcel’s label"),
    "send_confirmation": N_("Mail the confirmation"),
    "notify_warehouse": N_("Tell the warehouse"),
}
STATE_WORDS = {
    "todo": (N_("to do"), ""),
    "doing": (N_("under way"), "info"),
    "waiting": (N_("waits for the provider"), "info"),
    "done": (N_("done"), "ok"),
    "failed": (N_("failed"), "bad"),
    "compensated": (N_("taken back"), "warn"),
    "dropped": (N_("not needed"), ""),
}
ORDER_WORDS = {
    "draft": (N_("draft"), ""),
    "pending": (N_("open"), "info"),
    "paid": (N_("paid"), "ok"),
    "cancelled": (NC_("state", "cancelled"), ""),
    "expired": (N_("expired"), "warn"),
    "failed": (N_("failed"), "bad"),
}


@blueprint.get("/orders")
@requires(READ)
def index() -> ResponseReturnValue:
    """List the organisation's orders, the newest first."""
    session, given = tenant_session(read_only=True), request.args
    status = given.get("state", "")
    wanted = Filter(
        status if status in ORDER_STATUSES else "",
        given.get("event", "")[:26],
        given.get("q", "").strip()[:320],
    )
    page = listing.orders_page(
        session, wanted, wanted_slice(lambda uid: listing.position_of(session, uid))
    )
    return render_template(
        "orders/index.html",
        page=listed(page, lambda row: row[0].uid),
        wanted=wanted,
        event=find_event(session, wanted.event) if wanted.event else None,
        states=[(name, said(in_sense("state", ORDER_WORDS[name][0]))) for name in ORDER_STATUSES],
        words=ORDER_WORDS,
    )


@blueprint.get("/orders/<uid>")
@requires(READ)
def show(uid: str) -> ResponseReturnValue:
    """Show one order with all that belongs to it."""
    return _page(uid)


@blueprint.post("/orders/<uid>/confirmation")
@requires(WORK)
def confirmation(uid: str) -> ResponseReturnValue:
    """Mail the confirmation once more."""

    def act(session: Session) -> str:
        verbs.mail_again(session, services().checkout, uid, identity().user_id)
        return _("The confirmation is mailed once more.")

    return _done(uid, act)


@blueprint.post("/orders/<uid>/steps/<step>")
@requires(WORK)
def retry(uid: str, step: str) -> ResponseReturnValue:
    """Have a step tried again."""

    def act(session: Session) -> str:
        verbs.retry_step(session, services().checkout, uid, step, identity().user_id)
        return _("The step is tried again.")

    return _done(uid, act)


@blueprint.post("/orders/<uid>/refund")
@requires(WORK)
def refund(uid: str) -> ResponseReturnValue:
    """Pay the chosen tickets back."""
    reason = request.form.get("reason", "").strip()[:LONGEST_REASON]
    chosen = request.form.getlist("ticket")
    if not reason or not chosen:
        return _page(uid, _("Choose the tickets and say why: it goes into the audit log.")), 422

    def act(session: Session) -> str:
        verbs.refund_tickets(
            session, services().checkout, uid, chosen, identity().user_id, reason,
            cancel=request.form.get("cancel") == "yes",
        )  # fmt: skip
        return _("The refund is on its way to the provider.")

    return _done(uid, act)


@blueprint.post("/orders/<uid>/cancel")
@requires(WORK)
def cancel(uid: str) -> ResponseReturnValue:
    """Cancel the whole order and pay all of it back."""
    reason = request.form.get("reason", "").strip()[:LONGEST_REASON]
    if not reason:
        return _page(uid, _("Say why: it goes into the audit log.")), 422

    def act(session: Session) -> str:
        verbs.cancel_order(session, services().checkout, uid, identity().user_id, reason)
        return _("The order is cancelled, and what was paid goes back.")

    return _done(uid, act)


def _done(uid: str, act: Callable[[Session], str]) -> ResponseReturnValue:
    session = tenant_session()
    try:
        words = act(session)
        session.commit()
    except UnknownOrder:
        abort(404)
    except OrderNotInState as error:
        session.rollback()
        return _page(uid, said(error)), 409
    flash(words, "success")
    return redirect(url_for("orders.show", uid=uid), 303)


def _page(uid: str, problem: str = "") -> str:
    it = listing.details_of(tenant_session(read_only=True), uid)
    if it is None:
        abort(404)
    return render_template(
        "orders/show.html",
        it=it,
        problem=problem,
        can_retry={
            name
            for name, step in it.steps.items()
            if verbs.may_retry(it.order, step, services().clock.now())
        },
        step_words=STEP_WORDS,
        state_words=STATE_WORDS,
        words=ORDER_WORDS,
    )
