"""The audit log, for administrators."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from meet2be.accounts.services import names_of
from meet2be.audit import listing
from meet2be.audit.listing import AuditFilter
from meet2be.audit.models import ACTOR_KINDS
from meet2be.web.paging import listing as listed
from meet2be.web.paging import row_number, wanted_slice
from meet2be.web.security import CANCEL, requires, services, tenant_session

blueprint = Blueprint("audit", __name__)


@blueprint.get("/audit")
@requires(CANCEL)
def index() -> ResponseReturnValue:
    """List who did what, the newest first."""
    kind = request.args.get("actor", "")
    wanted = AuditFilter(
        action=request.args.get("action", "").strip()[:64],
        actor_kind=kind if kind in ACTOR_KINDS else "",
        object_id=request.args.get("object", "").strip()[:64],
    )
    page = listing.entries_page(tenant_session(read_only=True), wanted, wanted_slice(row_number))
    people = [int(entry.actor_id) for entry in page.rows if (entry.actor_id or "").isdecimal()]
    with services().database.system_session("name who acted", read_only=True) as session:
        names = names_of(session, people)
    return render_template(
        "audit/index.html",
        page=listed(page, lambda entry: str(entry.id)),
        wanted=wanted,
        kinds=ACTOR_KINDS,
        names=names,
    )
