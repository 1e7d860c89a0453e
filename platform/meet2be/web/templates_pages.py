"""The texts of mails: the platform's, the organisation's own, and those of one event."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from meet2be.events.listing import find_event
from meet2be.events.models import Event
from meet2be.language import LANGUAGES, N_, _, said
from meet2be.mailings import template_services as texts
from meet2be.mailings.errors import BadAddress, BadTemplate
from meet2be.mailings.kinds import MailKind, kind_of
from meet2be.mailings.own_texts import OwnText
from meet2be.mailings.rendering import Rendered, formats_of, printable
from meet2be.mailings.services import Sender, sender_of
from meet2be.mailings.template_services import Place, TemplateNotEditable, Tester
from meet2be.tenancy.models import Tenant
from meet2be.web import meanwhile
from meet2be.web.actors import actor
from meet2be.web.security import ADMINISTER, identity, requires, services, tenant_session

blueprint = Blueprint("mail_templates", __name__)
MOST_EVENTS = 200
LABELS = {"subject": N_("Subject"), "text": N_("Text"), "html": N_("HTML of your own")}
_STYLE = re.compile(r' style="[^"]*"')
"""The page's own policy lets no style through that stands in an element."""


@blueprint.get("/mail/templates")
@requires(ADMINISTER)
def index() -> ResponseReturnValue:
    """Show which texts there are, of the organisation or (``event``) of one event."""
    session, event = tenant_session(read_only=True), _event()
    newest = select(Event).order_by(Event.starts_at.desc()).limit(MOST_EVENTS)
    return render_template(
        "mail_templates/index.html",
        branches=texts.tree(session, None if event is None else event.id),
        above=texts.tree(session, None) if event is not None else [],
        languages=LANGUAGES,
        events=[(each.uid, each.title) for each in session.scalars(newest)],
        event=event,
    )


@blueprint.get("/mail/templates/<key>/<locale>")
@requires(ADMINISTER)
def edit(key: str, locale: str) -> ResponseReturnValue:
    """Show the text that is used, to be changed."""
    try:
        now = texts.current(tenant_session(read_only=True), _place(key, locale))
    except TemplateNotEditable:
        abort(404)
    return _form(key, locale, now.text)


@blueprint.post("/mail/templates/<key>/<locale>")
@requires(ADMINISTER)
def save(key: str, locale: str) -> ResponseReturnValue:
    """Look at a text, try it, or make it the one that is used: as the button says."""
    session, place, text = tenant_session(), _place(key, locale), _given()
    action = request.form.get("action")
    try:
        shown = texts.preview(place, text)
        if action == "save":
            now = _values(texts.current(session, place).text)
            meanwhile.check_unchanged(now, _values(text), LABELS)
            texts.save(session, place, text, actor(), identity().user_id)
        elif action == "test":
            _send_trial(place, text)
        session.commit()
    except TemplateNotEditable:
        abort(404)
    except meanwhile.SavedMeanwhile as error:
        session.rollback()
        merged = error.seen.filled(_values(text))
        kept = OwnText(merged["subject"], merged["text"], merged["html"] or None)
        return _form(key, locale, kept, newer=error.seen), 409
    except (BadTemplate, BadAddress) as error:
        session.rollback()
        return _form(key, locale, text, problem=error), 422
    if action == "save":
        flash(_("Saved. Mails that are written from now on use this text."), "success")
        return redirect(_address("mail_templates.edit", key=key, locale=locale), 303)
    if action == "test":
        flash(_("A trial mail to %(address)s is queued.", address=identity().user_email), "success")
    return _form(key, locale, text, preview=shown)


@blueprint.post("/mail/templates/<key>/<locale>/revert")
@requires(ADMINISTER)
def revert(key: str, locale: str) -> ResponseReturnValue:
    """Go back to the text above this one."""
    session = tenant_session()
    try:
        gone = texts.revert(session, _place(key, locale), actor())
        session.commit()
    except TemplateNotEditable:
        abort(404)
    words = _("Your text is no longer used.") if gone else _("There was no text of your own here.")
    flash(words, "success")
    return redirect(_address("mail_templates.index"), 303)


def _send_trial(place: Place, text: OwnText) -> None:
    session, person, platform = tenant_session(), identity(), services()
    tenant = session.scalars(select(Tenant)).one()
    sender = sender_of(tenant, Sender("Meet2Be", platform.settings.mail.sender))
    who = Tester(person.user_id, person.user_email)
    texts.send_test(session, place, text, who, sender, platform.clock.now())


def _form(
    key: str,
    locale: str,
    text: OwnText,
    *,
    problem: BadTemplate | BadAddress | None = None,
    preview: Rendered | None = None,
    newer: meanwhile.Seen | None = None,
) -> str:
    session, place, event = tenant_session(read_only=True), _place(key, locale), _event()
    now = texts.current(session, place)
    kind = kind_of(key)
    return render_template(
        "mail_templates/edit.html",
        kind=kind,
        samples=_samples(kind, locale),
        examples=_examples(kind),
        key=key,
        locale=locale,
        language=LANGUAGES[locale],
        languages=LANGUAGES,
        text=text,
        current=now,
        seen=newer or meanwhile.seen(_values(now.text)),
        history=texts.history(session, place),
        preview=preview,
        preview_html=_STYLE.sub("", preview.html) if preview is not None else "",
        problem=f"{said(problem)}." if problem is not None else "",
        bad_part=getattr(problem, "part", ""),
        event=event,
    )


def _values(text: OwnText) -> dict[str, str]:
    return {"subject": text.subject, "text": text.text, "html": text.html or ""}


def _samples(kind: MailKind, locale: str) -> dict[str, Any]:
    """Return each value of a kind of mail as its name alone writes it."""
    known, samples = formats_of(locale), printable(kind.samples)
    return {
        name: known.day(value) if isinstance(value, date) else value
        for name, value in samples.items()
    }


def _examples(kind: MailKind) -> dict[str, Any]:
    """Return what a text may do with the values that this kind of mail has."""
    names = kind.samples
    amounts = [
        f"{{{{ format.money({name}, currency) }}}}" for name in names if name.endswith("_minor")
    ]
    days = [
        f"{{{{ format.day({name}) }}}}" for name, value in names.items() if isinstance(value, date)
    ]
    asked = next((name for name in ("message", "ships", "link") if name in names), "name")
    return {"formats": amounts + days, "condition": f"{{% if {asked} %}}…{{% endif %}}"}


def _given() -> OwnText:
    form = request.form
    html = form.get("html", "").replace("\r\n", "\n")
    return OwnText(
        form.get("subject", "").strip(),
        form.get("text", "").replace("\r\n", "\n"),
        html if html.strip() else None,
    )


def _place(key: str, locale: str) -> Place:
    event = _event()
    return Place(key, locale, None if event is None else event.id)


def _event() -> Event | None:
    """Return the event of the address; 404 for one that is not this organisation's."""
    uid = request.values.get("event", "")
    if not uid:
        return None
    event = find_event(tenant_session(read_only=True), uid)
    if event is None:
        abort(404)
    return event


def _address(endpoint: str, **values: str) -> str:
    given: dict[str, Any] = {**values, "event": request.values.get("event") or None}
    return url_for(endpoint, **given)
