"""Imports: a list uploaded, looked at, mapped, checked, written, and taken back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, BinaryIO, cast

from flask import Blueprint, Response, abort, flash, redirect, render_template, request
from flask import url_for as address
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from meet2be.imports import listing, report
from meet2be.imports import services as verbs
from meet2be.imports.detection import DELIMITERS, ENCODINGS, Layout
from meet2be.imports.errors import BadMapping, ImportsError, UnreadableUpload, unpacked
from meet2be.imports.fields import FIELDS, unused_columns
from meet2be.imports.limits import LARGEST_UPLOAD, PREVIEW_WAIT
from meet2be.imports.models import KINDS, Import
from meet2be.imports.queries import find_import, remembered
from meet2be.imports.tables import Preview, preview_of
from meet2be.imports.workbook.reader import WorkbookReader
from meet2be.language import _, said
from meet2be.web.actors import actor
from meet2be.web.downloads import download
from meet2be.web.events import event_or_404
from meet2be.web.paging import listing as listed
from meet2be.web.paging import row_number, wanted_slice
from meet2be.web.security import (
    ADMINISTER,
    WORK,
    cookie_name,
    identity,
    may,
    requires,
    services,
    tenant_session,
)

blueprint = Blueprint("imports", __name__)
STOP_POLLING = 286  # htmx takes it for: this was the last one
FORM_AROUND = 64 * 1024
NEEDED = {"attendees": WORK, "users": ADMINISTER}


@blueprint.url_value_preprocessor
def _let_files_in(endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """Let this one form be larger than others, for browsers that bring a session at least.

    It runs before anything reads the form.
    """
    if endpoint == "imports.upload" and request.cookies.get(cookie_name()):
        request.max_content_length = LARGEST_UPLOAD + FORM_AROUND


@blueprint.get("/imports")
@requires(WORK)
def index() -> ResponseReturnValue:
    """List the organisation's imports, the newest first."""
    session = tenant_session(read_only=True)
    part = wanted_slice(lambda uid: listing.position_of_import(session, uid), size=25)
    page = listing.imports_page(session, _my_kinds(), part)
    return render_template("imports/index.html", page=listed(page, lambda row: row[0].uid))


@blueprint.get("/imports/new")
@requires(WORK)
def new() -> ResponseReturnValue:
    """Ask for a file."""
    return _ask_for_file()


@blueprint.post("/imports/new")
@requires(WORK)
def upload() -> ResponseReturnValue:
    """Take a file in and show how it would be read."""
    kind = request.form.get("kind", "attendees")
    if kind not in KINDS:
        return _ask_for_file(_("Choose what the list holds."), 422)
    if not may(NEEDED[kind]):
        abort(403)
    event = None
    if kind == "attendees":
        event = event_or_404(request.form.get("event", ""))
    file = request.files.get("file")
    if file is None or not file.filename:
        return _ask_for_file(_("Choose a file."), 422)
    session, me = tenant_session(), identity()
    stream = cast("BinaryIO", file.stream)
    given = verbs.Upload(kind, stream, file.filename, me.user_id, event, me.tenant_uid or "")
    try:
        found = verbs.upload(session, services().store, given, actor())
    except UnreadableUpload as error:
        session.rollback()
        return _ask_for_file(said(error), 422)
    finally:
        file.close()
    session.commit()
    return redirect(address("imports.layout", uid=found.uid), 303)


@blueprint.get("/imports/sample/<kind>.csv")
@requires(WORK)
def sample(kind: str) -> ResponseReturnValue:
    """Give a list to begin with."""
    if kind not in KINDS:
        abort(404)
    return download(f"{kind}-sample.csv", report.sample_lines(kind))


@blueprint.get("/imports/<uid>")
@requires(WORK)
def show(uid: str) -> ResponseReturnValue:
    """Show how an import stands; one that was only uploaded goes on where it was left."""
    found = _import_or_404(uid)
    if found.state == "uploaded":
        return redirect(address("imports.layout", uid=uid))
    if found.state == "mapped":
        return redirect(address("imports.mapping", uid=uid))
    return _page(found)


@blueprint.get("/imports/<uid>/progress")
@requires(WORK)
def progress(uid: str) -> ResponseReturnValue:
    """Give the moving part of the page; the whole page anew when its buttons have changed."""
    found = _import_or_404(uid)
    how_far = listing.progress_of(tenant_session(read_only=True), found)
    fragment = render_template("imports/progress.html", it=found, progress=how_far)
    response = Response(fragment)
    if not how_far.is_moving:
        response.status_code = STOP_POLLING
    if request.args.get("seen", found.state) != found.state:
        response.headers["HX-Refresh"] = "true"
    response.set_etag(hashlib.sha256(fragment.encode()).hexdigest()[:24])
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Cookie"
    return response if "HX-Refresh" in response.headers else response.make_conditional(request)


@blueprint.get("/imports/<uid>/layout")
@requires(WORK)
def layout(uid: str) -> ResponseReturnValue:
    """Show how the file is read, and its beginning."""
    found = _import_or_404(uid)
    return _layout_page(found, Layout.from_json(found.layout))


@blueprint.get("/imports/<uid>/preview")
@requires(WORK)
def preview(uid: str) -> ResponseReturnValue:
    """Give the beginning of the list as it would be read this way."""
    found = _import_or_404(uid)
    wanted = verbs.checked_layout(found, _layout_of(request.args))
    return render_template("imports/preview.html", preview=_preview(found, wanted))


@blueprint.post("/imports/<uid>/layout")
@requires(WORK)
def read_so(uid: str) -> ResponseReturnValue:
    """Read the file this way."""
    session, found = tenant_session(), _import_or_404(uid)
    wanted = verbs.checked_layout(found, _layout_of(request.form))
    try:
        verbs.set_layout(session, services().store, found, wanted)
    except ImportsError as error:
        session.rollback()
        return _layout_page(_import_or_404(uid), wanted, said(error), 422)
    session.commit()
    return redirect(address("imports.mapping", uid=uid), 303)


@blueprint.get("/imports/<uid>/mapping")
@requires(WORK)
def mapping(uid: str) -> ResponseReturnValue:
    """Ask which column is what."""
    found = _import_or_404(uid)
    return _mapping_page(found, remembered(found.mapping))


@blueprint.post("/imports/<uid>/mapping")
@requires(WORK)
def check(uid: str) -> ResponseReturnValue:
    """Keep the mapping and have the list checked."""
    session, found = _to_change(uid)
    wanted = _mapping_of(found.kind, request.form)
    options = {
        "duplicates": request.form.get("duplicates", "skip"),
        "shared": request.form.get("shared") == "yes",
        "welcome": request.form.get("welcome") == "yes",
    }
    try:
        verbs.set_mapping(session, found, wanted, options, actor(), identity().user_id)
    except BadMapping as error:
        session.rollback()
        return _mapping_page(_import_or_404(uid), wanted, error, 422)
    except ImportsError as error:
        session.rollback()
        return _page(_import_or_404(uid), said(error), 409)
    session.commit()
    return redirect(address("imports.show", uid=uid), 303)


@blueprint.post("/imports/<uid>/start")
@requires(WORK)
def start(uid: str) -> ResponseReturnValue:
    """Write the rows that are right."""
    begin = partial(verbs.start, user_id=identity().user_id)
    return _do(uid, begin, _("The import has begun."))


@blueprint.post("/imports/<uid>/cancel")
@requires(WORK)
def cancel(uid: str) -> ResponseReturnValue:
    """Begin nothing more."""
    return _do(uid, verbs.cancel, _("Nothing more is begun. What is written stays."))


@blueprint.post("/imports/<uid>/retry")
@requires(WORK)
def retry(uid: str) -> ResponseReturnValue:
    """Try what failed once more."""
    again = partial(verbs.retry, user_id=identity().user_id)
    return _do(uid, again, _("What failed is tried again."))


@blueprint.post("/imports/<uid>/undo")
@requires(WORK)
def undo(uid: str) -> ResponseReturnValue:
    """Take the import back; needs the box ticked that says so."""
    if request.form.get("sure") != "yes":
        message = _("Tick the box that says you are sure. Nothing was changed.")
        return _page(_import_or_404(uid), message, 422)
    return _do(uid, verbs.undo, _("The import is being taken back."))


@blueprint.get("/imports/<uid>/rejected.csv")
@requires(WORK)
def rejected(uid: str) -> ResponseReturnValue:
    """Give the rows that were not taken, with the reasons."""
    found = _import_or_404(uid)
    lines = report.rejected_lines(tenant_session(read_only=True), found)
    return download(f"rejected-{found.filename.rpartition('.')[0] or 'rows'}.csv", lines)


@blueprint.get("/imports/<uid>/warned.csv")
@requires(WORK)
def warned(uid: str) -> ResponseReturnValue:
    """Give the rows that hold something that could not be read, taken or not."""
    found = _import_or_404(uid)
    lines = report.rejected_lines(tenant_session(read_only=True), found, is_of_warnings=True)
    return download(f"warnings-{found.filename.rpartition('.')[0] or 'rows'}.csv", lines)


# ---- parts ----


def _my_kinds() -> list[str]:
    return [kind for kind in KINDS if may(NEEDED[kind])]


def _import_or_404(uid: str, session: Session | None = None) -> Import:
    """Return the organisation's import; anybody else's does not exist."""
    found = find_import(session or tenant_session(read_only=True), uid)
    if found is None:
        abort(404)
    if not may(NEEDED[found.kind]):
        abort(403)
    return found


def _to_change(uid: str) -> tuple[Session, Import]:
    session = tenant_session()
    return session, _import_or_404(uid, session)


def _do(uid: str, verb: Callable[..., None], message: str) -> ResponseReturnValue:
    session, found = _to_change(uid)
    try:
        verb(session, found, actor())
    except ImportsError as error:
        session.rollback()
        return _page(_import_or_404(uid), said(error), 409)
    session.commit()
    flash(message, "success")
    return redirect(address("imports.show", uid=uid), 303)


def _ask_for_file(problem: str = "", code: int = 200) -> ResponseReturnValue:
    from meet2be.db.keyset import Slice
    from meet2be.events.listing import events_page

    session = tenant_session(read_only=True)
    events = events_page(session, Slice(size=200)).rows
    page = render_template(
        "imports/new.html",
        kinds=_my_kinds(),
        kind=request.values.get("kind", "attendees"),
        events=[event for event in events if event.status in {"draft", "live"}],
        chosen=request.values.get("event", ""),
        problem=problem,
        most=LARGEST_UPLOAD // 1024 // 1024,
    )
    return page, code


def _page(found: Import, problem: str = "", code: int = 200) -> ResponseReturnValue:
    session = tenant_session(read_only=True)
    state = request.args.get("state", "")
    part = wanted_slice(row_number)
    page = listing.rows_page(session, found, state, part)
    return (
        render_template(
            "imports/show.html",
            it=found,
            event=listing.event_of(session, found),
            uploader=listing.name_of_uploader(session, found),
            progress=listing.progress_of(session, found),
            page=listed(page, lambda row: str(row.row_no)),
            wanted=state,
            can_undo=verbs.can_undo(session, found),
            earlier=verbs.same_file(session, found) if found.state == "validated" else None,
            error=unpacked(found.error) if found.error else None,
            failures=listing.failures_of(session, found),
            problem=problem,
            reasons=report.reasons,
            row_words=report.row_words,
        ),
        code,
    )


def _layout_page(
    found: Import, wanted: Layout, problem: str = "", code: int = 200
) -> ResponseReturnValue:
    session = tenant_session(read_only=True)
    page = render_template(
        "imports/layout.html",
        it=found,
        event=listing.event_of(session, found),
        layout=wanted,
        preview=_preview(found, wanted),
        encodings=ENCODINGS,
        delimiters=DELIMITERS,
        earlier=verbs.same_file(session, found),
        problem=problem,
    )
    return page, code


def _mapping_page(
    found: Import,
    wanted: Mapping[str, Mapping[str, Any]],
    problems: BadMapping | None = None,
    code: int = 200,
) -> ResponseReturnValue:
    session = tenant_session(read_only=True)
    header = [str(name) for name in found.header]
    page = render_template(
        "imports/mapping.html",
        it=found,
        event=listing.event_of(session, found),
        fields=FIELDS[found.kind],
        header=header,
        mapping=wanted,
        unused=unused_columns(header, wanted),
        preview=_preview(found, Layout.from_json(found.layout)),
        problems=problems.fields if problems else {},
        problem=said(problems) if problems else "",
    )
    return page, code


def _preview(found: Import, wanted: Layout) -> Preview:
    try:
        source = verbs.source_of(services().store, found)
    except UnreadableUpload as error:
        return Preview((), (), error.why)
    with WorkbookReader(PREVIEW_WAIT) as reader:
        return preview_of(source, wanted, reader)


def _layout_of(given: Mapping[str, str]) -> Layout:
    header_row = given.get("header_row", "1")
    return Layout(
        encoding=given.get("encoding", ""),
        delimiter={"tab": "\t"}.get(given.get("delimiter", ""), given.get("delimiter", "")),
        header_row=int(header_row) if header_row.isdecimal() and len(header_row) < 4 else 1,
        sheet=given.get("sheet", ""),
    )


def _mapping_of(kind: str, given: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return what the form says: ``map-KEY`` is a column's number, ``fix-KEY`` a value for all."""
    found: dict[str, dict[str, Any]] = {}
    for field in FIELDS[kind]:
        column = given.get(f"map-{field.key}", "")
        fixed = given.get(f"fix-{field.key}", "").strip()
        if column.isdecimal() and len(column) < 5:
            found[field.key] = {"column": int(column)}
        elif fixed:
            found[field.key] = {"fixed": fixed}
    return found
