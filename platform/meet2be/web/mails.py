"""The outbox: what was mailed, what was not, and what a person has to decide."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from meet2be.mailings import listing
from meet2be.mailings.decisions import (
    DECISIONS,
    MailIsDecided,
    ReasonNeeded,
    UnknownMail,
    decide_uncertain,
)
from meet2be.mailings.models import MAIL_STATUSES, Mail
from meet2be.web.actors import actor
from meet2be.web.paging import listing as listed
from meet2be.web.paging import wanted_slice
from meet2be.web.security import CANCEL, READ, requires, services, tenant_session

blueprint = Blueprint("mails", __name__)
LONGEST_ADDRESS = 320


@blueprint.get("/mail")
@requires(READ)
def index() -> ResponseReturnValue:
    """List the organisation's mails, the newest first, the uncertain ones above them."""
    session = tenant_session(read_only=True)
    state = request.args.get("state", "")
    state = state if state in MAIL_STATUSES else ""
    address = request.args.get("q", "").strip()[:LONGEST_ADDRESS]
    part = wanted_slice(lambda uid: listing.position_of(session, uid))
    page = listing.mails_page(session, state, address, part)
    is_plain = not state and not address and part.after is None and part.before is None
    return render_template(
        "mails/index.html",
        page=listed(page, lambda mail: mail.uid),
        uncertain=listing.uncertain_mails(session) if is_plain else [],
        states=MAIL_STATUSES,
        state=state,
        address=address,
    )


@blueprint.get("/mail/<uid>")
@requires(READ)
def show(uid: str) -> ResponseReturnValue:
    """Show one mail and what came of each try to send it."""
    return _page(uid)


@blueprint.post("/mail/<uid>/mark")
@requires(CANCEL)
def mark(uid: str) -> ResponseReturnValue:
    """Decide about an uncertain mail: it was sent, or is sent once more."""
    session, reason = tenant_session(), request.form.get("reason", "")
    decision = next((word for word in DECISIONS if word == request.form.get("decision")), None)
    if decision is None:
        return _page(uid, "Say which of the two it is.", reason), 422
    recorder, now = services().deliveries.recorder, services().clock.now()
    try:
        decide_uncertain(session, recorder, uid, decision, reason, actor(), now)
        session.commit()
    except UnknownMail:
        abort(404)
    except ReasonNeeded as error:
        return _page(uid, f"{error}.", reason, decision), 422
    except MailIsDecided as error:
        return _page(uid, f"{error}."), 409
    flash("Marked as sent." if decision == "sent" else "The mail is queued once more.", "success")
    return redirect(url_for("mails.show", uid=uid), 303)


def _page(uid: str, problem: str = "", reason: str = "", decision: str = "") -> str:
    session = tenant_session(read_only=True)
    mail: Mail | None = listing.find_mail(session, uid)
    if mail is None:
        abort(404)
    return render_template(
        "mails/show.html",
        mail=mail,
        log=listing.log_of(session, mail),
        problem=problem,
        reason=reason,
        decision=decision,
    )
