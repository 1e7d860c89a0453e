"""The operators' list of organisations: suspending, lifting that, and giving limits."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from meet2be.audit.services import record
from meet2be.errors import Meet2BeError
from meet2be.language import _, said
from meet2be.mailings.limits import day_of
from meet2be.organisations import listing, suspension
from meet2be.organisations.listing import TenantFilter
from meet2be.organisations.usage import usage
from meet2be.payments.messages import open_messages
from meet2be.tenancy.limits import LIMITS, set_limits
from meet2be.tenancy.models import TENANT_STATUSES, Tenant
from meet2be.web.actors import actor
from meet2be.web.paging import listing as listed
from meet2be.web.paging import wanted_slice
from meet2be.web.security import OPERATE, requires, services

blueprint = Blueprint("operator", __name__, url_prefix="/operator")
REASON = "an operator looks after the organisations"


@blueprint.get("/tenants")
@requires(OPERATE)
def tenants() -> ResponseReturnValue:
    """List all organisations, the newest first."""
    status = request.args.get("state", "")
    wanted = TenantFilter(
        words=request.args.get("q", "").strip()[:100],
        status=status if status in TENANT_STATUSES else "",
    )
    with services().database.system_session(REASON, read_only=True) as session:
        part = wanted_slice(lambda uid: listing.position_of(session, uid), size=50)
        page = listing.tenants_page(session, wanted, part)
        members = listing.members_of(session, [tenant.id for tenant in page.rows])
        return render_template(
            "operator/tenants.html",
            open_messages=open_messages(session),
            page=listed(page, lambda tenant: tenant.uid),
            members=members,
            wanted=wanted,
            states=TENANT_STATUSES,
        )


@blueprint.get("/tenants/<uid>")
@requires(OPERATE)
def tenant(uid: str) -> ResponseReturnValue:
    """Show an organisation: its state, its use, and what may be done."""
    return _page(uid)


@blueprint.post("/tenants/<uid>/suspend")
@requires(OPERATE)
def suspend(uid: str) -> ResponseReturnValue:
    """Suspend it; needs a reason."""
    reason = request.form.get("reason", "")
    platform = services()

    def act(session: Session) -> str:
        done = suspension.suspend(
            session,
            reason,
            actor(),
            platform.clock.now(),
            platform.desk.sender,
            platform.settings.web.base_url,
        )
        return _("The organisation is suspended.") if done else _("It was suspended already.")

    return _do(uid, act, reason)


@blueprint.post("/tenants/<uid>/lift")
@requires(OPERATE)
def lift(uid: str) -> ResponseReturnValue:
    """Let it work again."""
    reason, now = request.form.get("reason", ""), services().clock.now()

    def act(session: Session) -> str:
        done = suspension.lift(session, reason, actor(), now)
        return _("The organisation can work again.") if done else _("It is not suspended.")

    return _do(uid, act)


@blueprint.post("/tenants/<uid>/limits")
@requires(OPERATE)
def limits(uid: str) -> ResponseReturnValue:
    """Give it limits of its own; an empty field means the usual one."""
    wanted = {}
    for key, limit in LIMITS.items():
        text = request.form.get(key, "").strip()
        if text and not (text.isdecimal() and len(text) < 12):
            problem = _("“%(text)s” is no number of %(what)s.", text=text[:40], what=_(limit.words))
            return _page(uid, problem), 422
        wanted[key] = int(text) if text else limit.usual

    def act(session: Session) -> str:
        found = session.get_one(Tenant, _tenant_or_404(uid).id)
        changed = set_limits(found, wanted)
        if changed:
            record(session, actor(), "tenant.limits_changed", "tenant", uid, after=changed)
        return _("The limits are saved.")

    return _do(uid, act)


def _do(uid: str, act: Callable[[Session], str], reason: str = "") -> ResponseReturnValue:
    """Act in the organisation's own session and go back to its page."""
    with services().database.tenant_session(_tenant_or_404(uid).id) as session:
        try:
            words = act(session)
            session.commit()
        except Meet2BeError as error:
            session.rollback()
            return _page(uid, f"{said(error)}.", reason), 422
    flash(words, "success")
    return redirect(url_for("operator.tenant", uid=uid), 303)


def _page(uid: str, problem: str = "", reason: str = "") -> str:
    found = _tenant_or_404(uid)
    now = services().clock.now()
    day = day_of(services().queues.connection(), found.id, now)
    with services().database.tenant_session(found.id, read_only=True) as session:
        used = usage(session, now, day)
        waiting = listing.stopped_work(session)
    return render_template(
        "operator/tenant.html",
        tenant=found,
        used=used,
        waiting=waiting,
        problem=problem,
        reason=reason,
    )


def _tenant_or_404(uid: str) -> Tenant:
    with services().database.system_session(REASON, read_only=True) as session:
        found = listing.find(session, uid)
    if found is None:
        abort(404)
    return found
