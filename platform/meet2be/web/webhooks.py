"""Webhooks: the endpoints with their health, what was delivered to them, and sending again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time
from zoneinfo import ZoneInfo

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from meet2be.language import _, ngettext, said
from meet2be.web.actors import actor
from meet2be.web.paging import listing as listed
from meet2be.web.paging import wanted_slice
from meet2be.web.security import ADMINISTER, identity, requires, services, tenant_session
from meet2be.webhooks import endpoints as verbs
from meet2be.webhooks import listing, replaying
from meet2be.webhooks.catalogue import GROUPS, PING, TYPES, words_of
from meet2be.webhooks.endpoints import EndpointDraft, Workbench
from meet2be.webhooks.errors import (
    DeliveryNotFoundError,
    EndpointNotFoundError,
    NotNowError,
    RefusedEndpointError,
    UnknownTypeError,
    WebhookError,
)
from meet2be.webhooks.models import DELIVERY_STATUSES, WebhookEndpoint
from meet2be.webhooks.replaying import Filters
from meet2be.webhooks.signing import TOLERANCE, verifies
from meet2be.webhooks.verdicts import MOST_ATTEMPTS, REASONS

blueprint = Blueprint("webhooks", __name__)


def _rotate_key(session: Session, bench: Workbench, uid: str) -> None:
    verbs.rotate_key(session, bench, uid)


REFUSALS = (RefusedEndpointError, UnknownTypeError)
VERBS: dict[str, Callable[[Session, Workbench, str], None]] = {
    "pause": verbs.pause,
    "on": verbs.switch_on,
    "off": verbs.switch_off,
    "revoke": verbs.revoke_former_secret,
    "revoke-key": verbs.revoke_former_key,
    "rotate-key": _rotate_key,
}


@blueprint.get("/webhooks")
@requires(ADMINISTER)
def index() -> ResponseReturnValue:
    """List the endpoints with their health."""
    found = listing.endpoints(tenant_session(read_only=True))
    return render_template(
        "webhooks/index.html", endpoints=[(each, listing.success_rate(each)) for each in found]
    )


@blueprint.get("/webhooks/new")
@requires(ADMINISTER)
def new() -> ResponseReturnValue:
    """Show the form of a new endpoint."""
    return _form(EndpointDraft("https://", all_types=True))


@blueprint.post("/webhooks/new")
@requires(ADMINISTER)
def add() -> ResponseReturnValue:
    """Add an endpoint and show its secret, this once."""
    session, draft, bench = tenant_session(), _draft(), _bench()
    try:
        address = verbs.check_address(bench, draft.url)
        endpoint, secret = verbs.add_endpoint(session, bench, draft, address)
        session.commit()
    except REFUSALS as error:
        session.rollback()
        return _form(draft, problem=said(error)), 422
    return _page(endpoint, secret=secret)


@blueprint.get("/webhooks/deliveries")
@requires(ADMINISTER)
def deliveries() -> ResponseReturnValue:
    """List what was and will be delivered, the newest first."""
    session = tenant_session(read_only=True)
    known = {each.uid: each for each in listing.endpoints(session)}
    wanted = _filters(known)
    part = wanted_slice(lambda uid: listing.position_of(session, uid))
    return render_template(
        "webhooks/deliveries.html",
        page=listed(listing.deliveries_page(session, wanted, part), lambda row: row[0].uid),
        endpoints=known,
        given=request.args,
        types=[*TYPES, PING],
        statuses=DELIVERY_STATUSES,
        words_of=words_of,
        reasons=REASONS,
        is_narrowed=wanted != Filters(),
    )


@blueprint.get("/webhooks/deliveries/replay")
@requires(ADMINISTER)
def replay() -> ResponseReturnValue:
    """Ask whether all deliveries that the list shows are to be sent again."""
    session = tenant_session(read_only=True)
    wanted = _filters({each.uid: each for each in listing.endpoints(session)})
    return render_template(
        "webhooks/replay.html",
        count=replaying.count_replayable(session, wanted),
        given=request.args,
        words_of=words_of,
        pace=round(replaying.A_SLICE / replaying.PAUSE),
    )


@blueprint.post("/webhooks/deliveries/replay")
@requires(ADMINISTER)
def replay_all() -> ResponseReturnValue:
    """Send all of them again, slice by slice."""
    session = tenant_session()
    wanted = _filters({each.uid: each for each in listing.endpoints(session)})
    count = replaying.count_replayable(session, wanted)
    replaying.ask_for_replay(session, _bench(), wanted)
    session.commit()
    flash(
        ngettext(
            "%(number)s delivery is sent again.", "%(number)s deliveries are sent again.", count
        ),
        "success",
    )
    return redirect(url_for("webhooks.deliveries"), 303)


@blueprint.get("/webhooks/deliveries/<uid>")
@requires(ADMINISTER)
def delivery(uid: str) -> ResponseReturnValue:
    """Show one delivery with every attempt."""
    details = listing.delivery_details(tenant_session(read_only=True), uid)
    if details is None:
        abort(404)
    return render_template(
        "webhooks/delivery.html", it=details, reasons=REASONS, words_of=words_of, most=MOST_ATTEMPTS
    )


@blueprint.post("/webhooks/deliveries/<uid>/replay")
@requires(ADMINISTER)
def replay_one(uid: str) -> ResponseReturnValue:
    """Send one delivery again."""
    session = tenant_session()
    try:
        made = replaying.replay_one(session, _bench(), uid)
        session.commit()
    except DeliveryNotFoundError:
        abort(404)
    except NotNowError as error:
        session.rollback()
        flash(said(error), "warning")
        return redirect(url_for("webhooks.delivery", uid=uid), 303)
    flash(_("It is sent again. This is the new delivery."), "success")
    return redirect(url_for("webhooks.delivery", uid=made.uid), 303)


@blueprint.post("/webhooks/deliveries/<uid>/cancel")
@requires(ADMINISTER)
def cancel(uid: str) -> ResponseReturnValue:
    """Cancel a delivery that waits."""
    session = tenant_session()
    try:
        replaying.cancel_delivery(session, _bench(), uid)
        session.commit()
        flash(_("It is not sent any more."), "success")
    except DeliveryNotFoundError:
        abort(404)
    except NotNowError as error:
        session.rollback()
        flash(said(error), "warning")
    return redirect(url_for("webhooks.delivery", uid=uid), 303)


@blueprint.get("/webhooks/tester")
@requires(ADMINISTER)
def tester() -> ResponseReturnValue:
    """Show the form that checks a signature."""
    return render_template("webhooks/tester.html", given={}, found=None, tolerance=TOLERANCE)


@blueprint.post("/webhooks/tester")
@requires(ADMINISTER)
def check_signature() -> ResponseReturnValue:
    """Say whether a signature is right; nothing of the form is kept."""
    given = request.form
    try:
        key = given.get("secret", "").strip()
        headers = (
            given.get("id", "").strip(),
            int(given.get("timestamp", "").strip()),
            given.get("signature", "").strip(),
        )
        body = given.get("body", "").replace("\r\n", "\n").encode("utf-8", "replace")
        found = _("The signature is right.") if verifies(key, headers, body) else None
    except ValueError:
        found = None
    return render_template(
        "webhooks/tester.html",
        given=given,
        found=(found is not None, found or _("The signature is wrong.")),
        tolerance=TOLERANCE,
    )


@blueprint.get("/webhooks/<uid>")
@requires(ADMINISTER)
def show(uid: str) -> ResponseReturnValue:
    """Show one endpoint: health, secrets, what was delivered last."""
    return _page(_endpoint_or_404(tenant_session(read_only=True), uid))


@blueprint.get("/webhooks/<uid>/edit")
@requires(ADMINISTER)
def edit(uid: str) -> ResponseReturnValue:
    """Show the form of an endpoint."""
    session = tenant_session(read_only=True)
    endpoint = _endpoint_or_404(session, uid)
    chosen = None if endpoint.all_events else tuple(listing.chosen_events(session, endpoint))
    draft = EndpointDraft(
        endpoint.url,
        endpoint.description,
        endpoint.all_types,
        tuple(endpoint.event_types),
        chosen,
        None,
        endpoint.retry_refusals,
        endpoint.jitter,
        endpoint.signs_ed25519,
        endpoint.full_data,
    )
    return _form(draft, endpoint)


@blueprint.post("/webhooks/<uid>/edit")
@requires(ADMINISTER)
def change(uid: str) -> ResponseReturnValue:
    """Change an endpoint."""
    session, draft, bench = tenant_session(), _draft(), _bench()
    endpoint = _endpoint_or_404(tenant_session(read_only=True), uid)
    try:
        address = verbs.check_address(bench, draft.url)
        verbs.change_endpoint(session, bench, uid, draft, address)
        session.commit()
    except REFUSALS as error:
        session.rollback()
        return _form(draft, endpoint, said(error)), 422
    flash(_("Changed. What waits goes to the new address."), "success")
    return redirect(url_for("webhooks.show", uid=uid), 303)


@blueprint.post("/webhooks/<uid>/rotate")
@requires(ADMINISTER)
def rotate(uid: str) -> ResponseReturnValue:
    """Make a new secret and show it, this once."""
    session = tenant_session()
    try:
        secret = verbs.rotate_secret(session, _bench(), uid)
        session.commit()
    except EndpointNotFoundError:
        abort(404)
    except NotNowError as error:
        session.rollback()
        flash(said(error), "warning")
        return redirect(url_for("webhooks.show", uid=uid), 303)
    return _page(_endpoint_or_404(session, uid), secret=secret)


@blueprint.post("/webhooks/<uid>/test")
@requires(ADMINISTER)
def test(uid: str) -> ResponseReturnValue:
    """Send a test and show its delivery."""
    session = tenant_session()
    try:
        made = replaying.send_test(session, _bench(), uid)
        session.commit()
    except EndpointNotFoundError:
        abort(404)
    except NotNowError as error:
        session.rollback()
        flash(said(error), "warning")
        return redirect(url_for("webhooks.show", uid=uid), 303)
    flash(_("A test is on its way. Reload this page to see what came of it."), "success")
    return redirect(url_for("webhooks.delivery", uid=made), 303)


@blueprint.post("/webhooks/<uid>/delete")
@requires(ADMINISTER)
def delete(uid: str) -> ResponseReturnValue:
    """Delete an endpoint; what waits for it is cancelled."""
    session = tenant_session()
    _endpoint_or_404(session, uid)
    verbs.delete_endpoint(session, _bench(), uid)
    session.commit()
    flash(_("The endpoint is deleted. Its deliveries stay in the log for 90 days."), "success")
    return redirect(url_for("webhooks.index"), 303)


@blueprint.post("/webhooks/<uid>/pause", defaults={"verb": "pause"})
@blueprint.post("/webhooks/<uid>/on", defaults={"verb": "on"})
@blueprint.post("/webhooks/<uid>/off", defaults={"verb": "off"})
@blueprint.post("/webhooks/<uid>/revoke", defaults={"verb": "revoke"})
@blueprint.post("/webhooks/<uid>/rotate-key", defaults={"verb": "rotate-key"})
@blueprint.post("/webhooks/<uid>/revoke-key", defaults={"verb": "revoke-key"})
@requires(ADMINISTER)
def act(uid: str, verb: str) -> ResponseReturnValue:
    """Pause an endpoint, switch it on or off, change its key pair, revoke what was former."""
    session = tenant_session()
    try:
        VERBS[verb](session, _bench(), uid)
        session.commit()
    except EndpointNotFoundError:
        abort(404)
    except WebhookError as error:
        session.rollback()
        flash(said(error), "warning")
    else:
        flash(_("Done."), "success")
    return redirect(url_for("webhooks.show", uid=uid), 303)


def _bench() -> Workbench:
    webhooks = services().webhooks
    return Workbench(webhooks.http, webhooks.vault, actor(), identity().user_id)


def _endpoint_or_404(session: Session, uid: str) -> WebhookEndpoint:
    try:
        return verbs.endpoint_of(session, uid)
    except EndpointNotFoundError:
        abort(404)


def _draft() -> EndpointDraft:
    form = request.form
    headers = form.get("headers", "")
    return EndpointDraft(
        url=form.get("url", ""),
        description=form.get("description", ""),
        all_types=form.get("all_types") == "yes",
        event_types=tuple(form.getlist("types")),
        event_uids=tuple(form.getlist("events")) if form.get("all_events") == "no" else None,
        # Values are never shown, so an empty field leaves them unless they are to be removed.
        headers="" if form.get("no_headers") else headers.strip() or None,
        retry_refusals=form.get("retry_refusals") == "yes",
        jitter=form.get("jitter") == "yes",
        signs_ed25519=form.get("signs_ed25519") == "yes",
        full_data=form.get("full_data") == "yes",
    )


def _form(draft: EndpointDraft, endpoint: WebhookEndpoint | None = None, problem: str = "") -> str:
    names = verbs.header_names(services().webhooks.vault, endpoint) if endpoint else []
    return render_template(
        "webhooks/form.html",
        draft=draft,
        endpoint=endpoint,
        problem=problem,
        groups=GROUPS,
        events=listing.choosable_events(tenant_session(read_only=True)),
        header_names=names,
    )


def _page(endpoint: WebhookEndpoint, secret: str = "") -> str:
    session = tenant_session(read_only=True)
    latest = listing.deliveries_page(
        session, Filters(endpoint_id=endpoint.id), wanted_slice(lambda _uid: None, 10)
    )
    return render_template(
        "webhooks/show.html",
        endpoint=endpoint,
        secret=secret,
        rate=listing.success_rate(endpoint),
        secrets=verbs.live_secrets(session, endpoint),
        keys=verbs.live_keys(session, endpoint),
        header_names=verbs.header_names(services().webhooks.vault, endpoint),
        latest=latest.rows,
        words_of=words_of,
        reasons=REASONS,
        chosen=len(listing.chosen_events(session, endpoint)),
    )


def _filters(known: dict[str, WebhookEndpoint]) -> Filters:
    given = request.values
    endpoint = known.get(given.get("receiver", ""))
    type_name, status = given.get("type", ""), given.get("status", "")
    return Filters(
        endpoint_id=None if endpoint is None else endpoint.id,
        type=type_name if type_name in {*TYPES, PING} else None,
        statuses=(status,) if status in DELIVERY_STATUSES else (),
        since=_day(given.get("from", ""), time.min),
        until=_day(given.get("to", ""), time.max),
    )


def _day(text: str, clock_time: time) -> datetime | None:
    """Return a day's first or last moment in the organisation's time zone; None for no day."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 -- the zone comes below
    except ValueError:
        return None
    return datetime.combine(day, clock_time, ZoneInfo(identity().tenant_timezone))
