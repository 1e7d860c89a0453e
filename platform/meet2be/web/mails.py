"""The outbox: what was mailed, what was not, and what a person has to decide."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from meet2be.language import N_, _, said
from meet2be.mailings import actions, listing
from meet2be.mailings.decisions import (
    DECISIONS,
    MailIsDecided,
    ReasonNeeded,
    UnknownMail,
    decide_uncertain,
)
from meet2be.mailings.errors import BadAddress, BodyGone, MailNotFound, MailNotInState
from meet2be.mailings.kinds import KINDS, kind_of
from meet2be.mailings.limits import MOST_AN_HOUR
from meet2be.mailings.listing import MailFilter
from meet2be.mailings.models import MAIL_STATUSES, Mail
from meet2be.web.actors import actor
from meet2be.web.paging import listing as listed
from meet2be.web.paging import wanted_slice
from meet2be.web.security import (
    CANCEL,
    READ,
    WORK,
    identity,
    requires,
    services,
    tenant_session,
)

blueprint = Blueprint("mails", __name__)
LONGEST_ADDRESS = 320
PERIODS = {"1": N_("Last 24 hours"), "7": N_("Last 7 days"), "30": N_("Last 30 days")}


@blueprint.get("/mail")
@requires(READ)
def index() -> ResponseReturnValue:
    """List the organisation's mails, the newest first, the uncertain ones above them."""
    session, wanted = tenant_session(read_only=True), _wanted()
    part = wanted_slice(lambda uid: listing.position_of(session, uid))
    page = listing.mails_page(session, wanted, part)
    is_plain = wanted.is_empty and part.after is None and part.before is None
    return render_template(
        "mails/index.html",
        page=listed(page, lambda mail: mail.uid),
        uncertain=listing.uncertain_mails(session) if is_plain else [],
        states=MAIL_STATUSES,
        kinds=[(kind.key, _(kind.words)) for kind in KINDS.values()],
        periods=[(days, _(words)) for days, words in PERIODS.items()],
        wanted=wanted,
        given=request.args,
        name_of=_name_of,
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
        return _page(uid, _("Say which of the two it is."), reason), 422
    recorder, now = services().deliveries.recorder, services().clock.now()
    try:
        decide_uncertain(session, recorder, uid, decision, reason, actor(), now)
        session.commit()
    except UnknownMail:
        abort(404)
    except ReasonNeeded as error:
        return _page(uid, f"{said(error)}.", reason, decision), 422
    except (MailIsDecided, BodyGone) as error:
        return _page(uid, f"{said(error)}."), 409
    words = _("Marked as sent.") if decision == "sent" else _("The mail is queued once more.")
    flash(words, "success")
    return redirect(url_for("mails.show", uid=uid), 303)


@blueprint.post("/mail/<uid>/cancel")
@requires(WORK)
def cancel(uid: str) -> ResponseReturnValue:
    """Withdraw a mail that has not left."""
    session, now = tenant_session(), services().clock.now()
    try:
        actions.cancel(session, services().deliveries.recorder, uid, actor(), now)
        session.commit()
    except MailNotFound:
        abort(404)
    except MailNotInState as error:
        session.rollback()
        return _page(uid, f"{said(error)}."), 409
    flash(_("The mail is withdrawn and will not leave."), "success")
    return redirect(url_for("mails.show", uid=uid), 303)


@blueprint.post("/mail/<uid>/resend")
@requires(WORK)
def resend(uid: str) -> ResponseReturnValue:
    """Send a copy; it counts in the reader's limit."""
    session = tenant_session()
    try:
        written = actions.resend(session, uid, actor(), services().clock.now())
        session.commit()
    except MailNotFound:
        abort(404)
    except (MailNotInState, BodyGone, BadAddress) as error:
        session.rollback()
        return _page(uid, f"{said(error)}."), 409
    if written.status == "suppressed":
        flash(_("The copy was not sent: the address is suppressed."), "error")
    else:
        flash(_("A copy is queued."), "success")
    copy = session.get_one(Mail, written.mail_id)
    return redirect(url_for("mails.show", uid=copy.uid), 303)


def _page(uid: str, problem: str = "", reason: str = "", decision: str = "") -> str:
    session = tenant_session(read_only=True)
    mail: Mail | None = listing.find_mail(session, uid)
    if mail is None:
        abort(404)
    can_resend = mail.status in actions.RESENDABLE and bool(mail.body_text) and not mail.sensitive
    return render_template(
        "mails/show.html",
        mail=mail,
        log=listing.log_of(session, mail),
        problem=problem,
        reason=reason,
        decision=decision,
        name_of=_name_of,
        can_cancel=mail.status in actions.CANCELLABLE,
        can_resend=can_resend,
        most_an_hour=MOST_AN_HOUR,
    )


def _name_of(mail: Mail) -> str:
    """Return what a list calls a mail: the subject of one with a secret may hold that secret."""
    if mail.sensitive or not mail.subject:
        return _(kind_of(mail.kind).words)
    return mail.subject


def _wanted() -> MailFilter:
    """Return the filter of the address; what it does not understand leaves all in."""
    given = request.args
    status, kind = given.get("state", ""), given.get("kind", "")
    since, until = _day(given.get("from", "")), _day(given.get("to", ""))
    period = given.get("last", "")
    if since is None and period in PERIODS:
        since = services().clock.now() - timedelta(days=int(period))
    return MailFilter(
        status=status if status in MAIL_STATUSES else "",
        address=given.get("q", "").strip()[:LONGEST_ADDRESS],
        kind=kind if kind in KINDS else "",
        since=since,
        until=None if until is None else until + timedelta(days=1),
    )


def _day(text: str) -> datetime | None:
    """Return the beginning of a day in the organisation's zone, None for what is no day."""
    try:
        day = date.fromisoformat(text)
        start = datetime.combine(day, time(), ZoneInfo(identity().tenant_timezone))
        return start.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
