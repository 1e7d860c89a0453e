"""Addresses that get no mail: the organisation's list and, for operators, the platform's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from meet2be.language import _, ngettext, said
from meet2be.mailings import suppressions
from meet2be.mailings.errors import BadAddress
from meet2be.mailings.suppressions import NotSuppressed, TooManyAddresses
from meet2be.web.actors import actor
from meet2be.web.paging import listing as listed
from meet2be.web.paging import row_number, wanted_slice
from meet2be.web.security import ADMINISTER, identity, requires, services, tenant_session

blueprint = Blueprint("suppressions", __name__)
LONGEST_QUERY = 320


@blueprint.get("/mail/suppressions")
@requires(ADMINISTER)
def index() -> ResponseReturnValue:
    """List the addresses, the newest first; ``of=platform`` is the platform's list."""
    return _page()


@blueprint.post("/mail/suppressions")
@requires(ADMINISTER)
def add() -> ResponseReturnValue:
    """Suppress one address."""
    form = request.form
    scope = form.get("scope", "all")
    if scope not in suppressions.scopes():
        abort(422)
    try:
        with _session() as session:
            is_new = suppressions.add(
                session,
                form.get("address", ""),
                scope,
                form.get("note", ""),
                actor(),
                is_global=_is_global(),
            )
            session.commit()
    except BadAddress as error:
        return _page(f"{said(error)}.", form.get("address", "")), 422
    flash(_("Added.") if is_new else _("This address was in the list already."), "success")
    return _back()


@blueprint.post("/mail/suppressions/bring")
@requires(ADMINISTER)
def bring() -> ResponseReturnValue:
    """Suppress every address of a list that was pasted or uploaded."""
    upload = request.files.get("file")
    raw = upload.read() if upload is not None and upload.filename else b""
    text = raw.decode("utf-8-sig", "replace") or request.form.get("addresses", "")
    try:
        with _session() as session:
            brought = suppressions.bring(session, text, actor(), is_global=_is_global())
            session.commit()
    except TooManyAddresses as error:
        return _page(f"{said(error)}."), 422
    words = ngettext(
        "%(number)s address added, %(known)s were in the list already.",
        "%(number)s addresses added, %(known)s were in the list already.",
        brought.added,
        known=brought.known,
    )
    if brought.bad_count:
        lines = ", ".join(str(number) for number in brought.bad_lines)
        words += " " + _("No address stands in these lines: %(lines)s.", lines=lines)
    flash(words, "warning" if brought.bad_count else "success")
    return _back()


@blueprint.post("/mail/suppressions/<number>/remove")
@requires(ADMINISTER)
def remove(number: str) -> ResponseReturnValue:
    """Let an address get mail again."""
    position = row_number(number)
    if position is None:
        abort(404)
    try:
        with _session() as session:
            email = suppressions.remove(session, position[0], actor(), is_global=_is_global())
            session.commit()
    except NotSuppressed:
        abort(404)
    flash(_("%(address)s gets mail again.", address=email), "success")
    return _back()


def _page(problem: str = "", address: str = "") -> str:
    query = request.args.get("q", "").strip()[:LONGEST_QUERY]
    with _session(read_only=True) as session:
        page = suppressions.page(session, query, wanted_slice(row_number), is_global=_is_global())
        shown = listed(page, lambda entry: str(entry.id))
    return render_template(
        "suppressions/index.html",
        page=shown,
        query=query,
        problem=problem,
        address=address,
        is_global=_is_global(),
    )


def _is_global() -> bool:
    """Tell whether the platform's list is meant; 403 for people who are no operators."""
    wanted = request.values.get("of") == "platform"
    if wanted and not identity().is_operator:
        abort(403)
    return wanted


@contextmanager
def _session(*, read_only: bool = False) -> Iterator[Session]:
    if not _is_global():
        yield tenant_session(read_only=read_only)
        return
    reason = "the platform's list of suppressed addresses"
    with services().database.system_session(reason, read_only=read_only) as session:
        yield session


def _back() -> ResponseReturnValue:
    return redirect(url_for("suppressions.index", of="platform" if _is_global() else None), 303)
