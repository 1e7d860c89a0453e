"""Settings of the organisation: what it is, its sender, its limits."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.accounts.own import locale_for, zones
from meet2be.errors import Meet2BeError
from meet2be.events.listing import test_events
from meet2be.integrations.dns_advice import advice_for
from meet2be.language import LANGUAGES, N_, _, language_of
from meet2be.mailings.limits import MOST_AN_HOUR, day_of
from meet2be.mailings.services import sender_of
from meet2be.money import MoneyError, parse_minor
from meet2be.organisations import details, sender
from meet2be.organisations.details import COMMON_CURRENCIES, Profile, ProfileRefused
from meet2be.organisations.usage import usage
from meet2be.programme import testing
from meet2be.programme.errors import ProgrammeError
from meet2be.tenancy.limits import limit_of
from meet2be.tenancy.models import Tenant
from meet2be.tenancy.services import in_test_mode
from meet2be.web import meanwhile
from meet2be.web.actors import actor
from meet2be.web.cancelling import Problems
from meet2be.web.presentation import amount_to_type
from meet2be.web.security import ADMINISTER, requires, services, tenant_session
from meet2be.web.wording import sentence

blueprint = Blueprint("settings", __name__, url_prefix="/settings")
MOST_SHOWN = 50
LABELS = {
    "name": N_("Name"), "language": N_("Language"), "timezone": N_("Time zone"),
    "currency": N_("Currency"), "confirm_limit": N_("Refunds that need a mailed code"),
    "reply_to": N_("Answers go to"),
}  # fmt: skip


@blueprint.get("")
@requires(ADMINISTER)
def index() -> ResponseReturnValue:
    """Show what the organisation says about itself."""
    return _page(Problems())


@blueprint.post("")
@requires(ADMINISTER)
def change() -> ResponseReturnValue:
    """Save it."""
    given, session, problems = request.form, tenant_session(), Problems()
    wanted = _read(_tenant(), problems)
    if wanted is None:
        return _page(problems), 422
    try:
        meanwhile.check_unchanged(_values(held_tenant(session)), given, LABELS)
        details.change(session, wanted, actor())
        session.commit()
    except meanwhile.SavedMeanwhile as error:
        session.rollback()
        return _page(problems, error.seen), 409
    except ProfileRefused as error:
        session.rollback()
        problems.fields[error.field] = sentence(error)
        return _page(problems), 422
    flash(_("The settings of %(name)s are saved.", name=given.get("name", "")), "success")
    return redirect(url_for("settings.index"), 303)


@blueprint.get("/sender")
@requires(ADMINISTER)
def sender_page() -> ResponseReturnValue:
    """Show from where mail comes; with ``dns`` also what the domain's records say."""
    return _sender_page()


@blueprint.post("/sender")
@requires(ADMINISTER)
def ask_sender() -> ResponseReturnValue:
    """Mail a code to the address that is to be the sender."""
    given, session, platform = request.form, tenant_session(), services()
    try:
        found = sender.ask(
            session,
            given.get("name", ""),
            given.get("email", "")[:320],
            actor(),
            platform.clock.now(),
            platform.desk.sender,
        )
        session.commit()
    except Meet2BeError as error:
        session.rollback()
        return _sender_page(sentence(error)), 422
    flash(_("A code is on its way to %(email)s.", email=found.email), "success")
    return redirect(url_for("settings.sender_page"), 303)


@blueprint.post("/sender/confirm")
@requires(ADMINISTER)
def confirm_sender() -> ResponseReturnValue:
    """Make the address the sender if the code is right."""
    session = tenant_session()
    try:
        code, now = request.form.get("code", "")[:40], services().clock.now()
        email = sender.confirm(session, code, actor(), now)
    except sender.SenderRefused as error:
        return _sender_page(sentence(error)), 422
    flash(_("Mail comes from %(email)s now.", email=email), "success")
    return redirect(url_for("settings.sender_page"), 303)


@blueprint.post("/sender/remove")
@requires(ADMINISTER)
def remove_sender() -> ResponseReturnValue:
    """Let mail come from the platform again."""
    session = tenant_session()
    sender.take_back(session, actor())
    session.commit()
    flash(_("Mail comes from the platform in your name now."), "success")
    return redirect(url_for("settings.sender_page"), 303)


@blueprint.get("/test-mode")
@requires(ADMINISTER)
def test_mode() -> ResponseReturnValue:
    """Show whether all that the organisation does is a test."""
    return _test_mode_page()


@blueprint.post("/test-mode")
@requires(ADMINISTER)
def switch_test_mode() -> ResponseReturnValue:
    """Begin or end it."""
    session, on = tenant_session(), request.form.get("on") == "yes"
    try:
        testing.switch_test_mode(session, actor(), on=on)
        session.commit()
    except ProgrammeError as error:
        session.rollback()
        return _test_mode_page(sentence(error)), 409
    said = _("Your organisation is in test mode.") if on else _("The test mode is over.")
    flash(said, "success")
    return redirect(url_for("settings.test_mode"), 303)


@blueprint.get("/limits")
@requires(ADMINISTER)
def limits() -> ResponseReturnValue:
    """Show how much of what the organisation uses."""
    session, now = tenant_session(read_only=True), services().clock.now()
    day = day_of(services().queues.connection(), _tenant().id, now)
    return render_template(
        "settings/limits.html",
        used=usage(session, now, day),
        an_hour=MOST_AN_HOUR,
        a_day=limit_of(session, "mails_a_day"),
        a_second=services().deliveries.limits.rate,
    )


def _test_mode_page(problem: str = "") -> str:
    session = tenant_session(read_only=True)
    tests = test_events(session, MOST_SHOWN)
    is_on = in_test_mode(session.scalars(select(Tenant)).one())
    return render_template("settings/test_mode.html", is_on=is_on, tests=tests, problem=problem)


def held_tenant(session: Session) -> Tenant:
    """Return the organisation as it stands; nobody else changes its row until the commit."""
    mine = select(Tenant).with_for_update().execution_options(populate_existing=True)
    return session.scalars(mine).one()


def _values(tenant: Tenant) -> dict[str, str]:
    """Return what the fields of the settings hold before anybody types."""
    return {
        "name": tenant.name,
        "language": language_of(tenant.locale),
        "timezone": tenant.timezone,
        "currency": tenant.currency,
        "confirm_limit": amount_to_type(tenant.confirm_limit_minor, tenant.currency),
        "reply_to": tenant.reply_to or "",
    }


def _tenant() -> Tenant:
    return tenant_session(read_only=True).scalars(select(Tenant)).one()


def _read(tenant: Tenant, problems: Problems) -> Profile | None:
    """Return the form's settings; None, and the problem, for an amount that is none."""
    given = request.form
    language = given.get("language", "")
    currency = given.get("currency", "").strip().upper()[:8]
    if language not in LANGUAGES:
        problems.fields["language"] = _("Choose a language of the list.")
        return None
    try:
        limit = parse_minor(given.get("confirm_limit", ""), currency)
    except MoneyError as error:
        problems.fields["confirm_limit"] = sentence(error)
        return None
    return Profile(
        name=given.get("name", ""),
        locale=locale_for(language, tenant.locale),
        timezone=given.get("timezone", ""),
        currency=currency,
        confirm_limit_minor=limit,
        reply_to=given.get("reply_to", "")[:320],
    )


def _page(problems: Problems, newer: meanwhile.Seen | None = None) -> str:
    tenant = _tenant()
    seen = newer or meanwhile.seen(_values(tenant))
    return render_template(
        "settings/index.html",
        tenant=tenant,
        problems=problems,
        seen=seen,
        given=seen.filled(request.form),
        zones=zones(),
        currencies=sorted({*COMMON_CURRENCIES, tenant.currency}),
        language=language_of(tenant.locale),
    )


def _sender_page(problem: str = "") -> str:
    session, tenant = tenant_session(read_only=True), _tenant()
    waiting = sender.waiting_check(session)
    platform = services().desk.sender
    address = tenant.sender_email or (waiting.email if waiting is not None else "")
    wants_dns = bool(request.args.get("dns")) and bool(address)
    return render_template(
        "settings/sender.html",
        tenant=tenant,
        waiting=waiting,
        present=sender_of(tenant, platform),
        address=address,
        advice=advice_for(address.rpartition("@")[2]) if wants_dns else None,
        now=services().clock.now(),
        problem=problem,
        given=request.form,
    )
