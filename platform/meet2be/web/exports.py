"""Exports: asked for, watched, fetched, cancelled, made again, deleted."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from flask import Blueprint, Response, abort, flash, redirect, render_template, request
from flask import url_for as address
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from meet2be.events.models import Event
from meet2be.exports import listing, schedules
from meet2be.exports import services as verbs
from meet2be.exports.columns import COLUMNS
from meet2be.exports.errors import BadExport, ExportError, UnknownExport
from meet2be.exports.exporters import exporters
from meet2be.exports.models import OPEN_STATES, Export
from meet2be.exports.remains import remove_file
from meet2be.exports.running import direct_link
from meet2be.exports.telling import said_again
from meet2be.integrations.storage import ObjectMissing, StoreFailed, attachment
from meet2be.language import N_, _, said
from meet2be.web import export_forms as forms
from meet2be.web.actors import actor
from meet2be.web.events import event_or_404
from meet2be.web.paging import listing as listed
from meet2be.web.paging import wanted_slice
from meet2be.web.security import WORK, identity, requires, services, tenant_session

blueprint = Blueprint("exports", __name__)
STOP_POLLING = 286  # htmx takes it for: this was the last one
CLICK_SECONDS = 300
BLOCK = 256 * 1024
STATE_WORDS = {
    "queued": (N_("waiting"), ""),
    "running": (N_("being made"), "info"),
    "uploading": (N_("being stored"), "info"),
    "ready": (N_("ready"), "ok"),
    "failed": (N_("failed"), "bad"),
    "cancelled": (N_("cancelled"), ""),
    "expired": (N_("expired"), ""),
}


@blueprint.context_processor
def _words() -> dict[str, Any]:
    return {
        "state_words": STATE_WORDS,
        "percent": listing.percent,
        "formats": exporters(),
        "OPEN_STATES": OPEN_STATES,
    }


@blueprint.get("/exports")
@requires(WORK)
def index() -> ResponseReturnValue:
    """List the organisation's exports, the newest first."""
    session = tenant_session(read_only=True)
    state = request.args.get("state", "")
    wanted = listing.ExportFilter(
        state if state in listing.STATES else "", request.args.get("event", "")
    )
    part = wanted_slice(lambda uid: listing.position_of(session, uid), size=25)
    page = listing.exports_page(session, wanted, part)
    names = listing.names_of(session, [row[0].requested_by for row in page.rows])
    return render_template(
        "exports/index.html",
        page=listed(page, lambda row: row[0].uid),
        wanted=wanted,
        names=names,
        is_moving=any(row[0].state in OPEN_STATES for row in page.rows),
    )


@blueprint.get("/events/<event_uid>/export")
@requires(WORK)
def new(event_uid: str) -> ResponseReturnValue:
    """Ask what the file shall have; the address carries over what a list was filtered by."""
    event = event_or_404(event_uid)
    session = tenant_session(read_only=True)
    wish = forms.from_address(session, identity(), event)
    return forms.page(session, event, wish)


@blueprint.post("/events/<event_uid>/export")
@requires(WORK)
def start(event_uid: str) -> ResponseReturnValue:
    """Start an export, or save the selection, or let it come regularly: as the button says."""
    event = event_or_404(event_uid)
    session = tenant_session()
    wish = forms.from_form(identity(), event)
    try:
        where = _done(session, event, wish)
        session.commit()
    except BadExport as error:
        session.rollback()
        return forms.page(session, event, wish, error.problems), 422
    except UnknownExport:
        abort(404)
    except ExportError as error:
        session.rollback()
        return forms.page(session, event, wish, problem=said(error)), 422
    return redirect(where, 303)


def _done(session: Session, event: Event, wish: forms.Wish) -> str:
    now, person = services().clock.now(), identity().user_id
    spec = forms.spec_of(wish)
    button = request.form.get("do", "start")
    if button == "save":
        preset = verbs.save_preset(
            session, person, request.form.get("preset_name", ""), spec, actor()
        )
        flash(_("Saved as “%(name)s”.", name=preset.name), "success")
        return address("exports.new", event_uid=event.uid, preset=preset.uid)
    if button == "schedule":
        plan = schedules.read_plan({**request.form, "timezone": spec.timezone}, forms.recipients())
        schedules.create(session, event, spec, plan, person, actor(), now)
        flash(_("It comes regularly from now on."), "success")
        return address("export_schedules.index")
    asked = verbs.request_export(session, event, spec, person, actor(), now)
    if asked.joined:
        flash(_("The same export is under way already; this is it."), "info")
    return address("exports.show", uid=asked.export.uid)


@blueprint.get("/exports/<uid>")
@requires(WORK)
def show(uid: str) -> ResponseReturnValue:
    """Show an export: how far it is, or its file, or why there is none."""
    export, event = _export_or_404(uid)
    return render_template("exports/show.html", event=event, **_shown(export))


@blueprint.get("/exports/<uid>/progress")
@requires(WORK)
def progress(uid: str) -> ResponseReturnValue:
    """Give the moving part of the page; the whole page anew when its buttons have changed."""
    export, event = _export_or_404(uid)
    fragment = render_template("exports/progress.html", event=event, **_shown(export))
    response = Response(fragment)
    if export.state not in OPEN_STATES:
        response.status_code = STOP_POLLING
    if request.args.get("seen", export.state) != export.state:
        response.headers["HX-Refresh"] = "true"
    return response


@blueprint.post("/exports/<uid>/cancel")
@requires(WORK)
def cancel(uid: str) -> ResponseReturnValue:
    """Stop an export."""
    now = services().clock.now()
    return _do(
        uid,
        lambda session: (
            _("Cancelled; nothing of it is kept.")
            if verbs.cancel(session, uid, actor(), now)
            else _("It had ended already.")
        ),
    )


@blueprint.post("/exports/<uid>/again")
@requires(WORK)
def again(uid: str) -> ResponseReturnValue:
    """Make the same export anew."""
    session, now = tenant_session(), services().clock.now()
    try:
        asked = verbs.ask_again(session, uid, identity().user_id, actor(), now)
        session.commit()
    except UnknownExport:
        abort(404)
    except ExportError as error:
        session.rollback()
        flash(said(error), "warning")
        return redirect(address("exports.show", uid=uid), 303)
    return redirect(address("exports.show", uid=asked.export.uid), 303)


@blueprint.post("/exports/<uid>/delete")
@requires(WORK)
def delete(uid: str) -> ResponseReturnValue:
    """Delete an export and its file."""
    session = tenant_session()
    try:
        key = verbs.delete(session, uid, actor())
        session.commit()
    except UnknownExport:
        abort(404)
    remove_file(services().store, key)  # else the sweep does it
    flash(_("Deleted."), "success")
    return redirect(address("exports.index"), 303)


@blueprint.get("/exports/<uid>/download/<token>")
@requires(WORK)
def download(uid: str, token: str) -> ResponseReturnValue:
    """Give the file, if whoever clicks may have it now; from S3 through an address of minutes."""
    session = tenant_session()
    found = listing.export_with_event(session, uid)
    if found is None or not _is_token_of(found[0], token):
        abort(404)
    export, now = found[0], services().clock.now()
    kind = exporters()[export.format].content_type if export.format in exporters() else ""
    try:
        verbs.fetched(session, export, actor(), now)
        link = services().store.link(
            export.storage_key, CLICK_SECONDS, filename=export.filename, content_type=kind
        )
        file = None if link else services().store.open(export.storage_key)
    except (ExportError, ObjectMissing, StoreFailed) as error:
        session.rollback()
        flash(said(error), "warning")
        return _private(redirect(address("exports.show", uid=uid), 303))
    session.commit()
    if file is None:
        return _private(redirect(str(link), 302))
    response = Response(_blocks(file), mimetype=kind)
    response.headers["Content-Disposition"] = attachment(export.filename)
    if export.size is not None:
        response.content_length = export.size
    return _private(response)


@blueprint.post("/exports/presets/<uid>/delete")
@requires(WORK)
def forget(uid: str) -> ResponseReturnValue:
    """Forget a saved selection."""
    session = tenant_session()
    try:
        verbs.delete_preset(session, identity().user_id, uid, actor())
        session.commit()
    except UnknownExport:
        abort(404)
    flash(_("Deleted."), "success")
    return redirect(address("exports.index"), 303)


def token_of(export: Export, app_key: str | None = None) -> str:
    """Return what the export's link carries: unguessable, and of this export alone."""
    key = (app_key or services().settings.app_key).encode()[:64]
    made = hashlib.blake2b(
        f"export download {export.uid} {export.storage_key}".encode(), key=key, digest_size=24
    )
    return made.hexdigest()


def _is_token_of(export: Export, token: str) -> bool:
    settings = services().settings
    keys = (settings.app_key, *settings.previous_app_keys)  # links outlive a change of the key
    return any(hmac.compare_digest(token_of(export, key).encode(), token.encode()) for key in keys)


def _shown(export: Export) -> dict[str, Any]:
    link = None
    if export.state == "ready":
        link = address("exports.download", uid=export.uid, token=token_of(export))
    names = listing.names_of(tenant_session(read_only=True), [export.requested_by])
    spec = forms.kept_spec(export)
    return {
        "export": export,
        "spec": spec,
        "columns": [COLUMNS[key].label for key in spec.columns],
        "who": names.get(export.requested_by, "–"),
        "why": said_again(export.error),
        "link": link,
        "full_link": f"{services().settings.web.base_url}{link}" if link else None,
        "direct": direct_link(services().exports, export) if link else None,
        "is_moving": export.state in OPEN_STATES,
    }


def _do(uid: str, act: Callable[[Session], str]) -> ResponseReturnValue:
    session = tenant_session()
    try:
        told = act(session)
        session.commit()
    except UnknownExport:
        abort(404)
    flash(told, "success")
    return redirect(address("exports.show", uid=uid), 303)


def _export_or_404(uid: str) -> tuple[Export, Event]:
    found = listing.export_with_event(tenant_session(read_only=True), uid)
    if found is None:
        abort(404)
    return found


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while block := file.read(BLOCK):
            yield block


def _private(response: AnyResponse) -> AnyResponse:
    """Let nobody keep the answer, nor learn from it where the click came from."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
