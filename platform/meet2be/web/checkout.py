"""Buying tickets without a log-in: the event's page, the form, and the buyer's own page."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from decimal import Decimal
from ipaddress import ip_address, ip_network
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time
from babel.numbers import format_decimal
from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be import money
from meet2be.checkout.cancelling import pay_again
from meet2be.checkout.desk import MOST_TICKETS
from meet2be.checkout.errors import (
    BadWish,
    CheckoutError,
    NoPostage,
    OrderNotInState,
    UnknownOrder,
)
from meet2be.checkout.listing import Box, BuyersView, box_of, buyers_view, is_taken_off
from meet2be.checkout.pages import look_soon
from meet2be.checkout.placing import Holder, Wish, place_tx
from meet2be.checkout.shipping import ADDRESS_FIELDS, postage_of
from meet2be.events.models import Event, TicketType
from meet2be.events.selling import sale_begins, sale_state
from meet2be.language import N_, Message, spoken
from meet2be.orders.models import Order
from meet2be.payments.provider import PAGE_METHOD
from meet2be.tenancy.models import Tenant
from meet2be.web import ordered_before
from meet2be.web.events import event_or_404
from meet2be.web.presentation import moments_between
from meet2be.web.security import READ, public, requires, services, tenant_session

blueprint = Blueprint("checkout", __name__)
MOST_OF_A_KIND = 10
HELD_OUT = N_(
    "Nothing of “%(name)s” is left at the moment. Some tickets are kept for orders that are not"
    " paid yet, perhaps for yours."
)
LOCALES = {"de": "de-DE", "en": "en-GB"}
# Tokens of Stripe's test cards: https://docs.stripe.com/testing. No card number is ever typed here.
PAGE = ((PAGE_METHOD, N_("On the payment provider’s page, which opens next")),)
TEST_CARDS = (
    ("pm_card_visa", N_("Test card that pays")),
    ("pm_card_chargeDeclined", N_("Test card that is declined")),
    ("pm_card_threeDSecure2Required", N_("Test card that asks you to confirm")),
)


@blueprint.get("/events/<uid>/box-office")
@requires(READ)
def of_event(uid: str) -> ResponseReturnValue:
    """Lead an organiser to the page where the event's tickets are bought."""
    event = event_or_404(uid)
    tenant = tenant_session(read_only=True).get_one(Tenant, event.tenant_id)
    return redirect(url_for("checkout.show", tenant=tenant.slug, event=event.slug))


@blueprint.get("/t/<tenant>/<event>")
@public
def show(tenant: str, event: str) -> ResponseReturnValue:
    """Show what is on sale; with numbers of tickets in the address, the order's form."""
    found = _tenant_or_404(tenant)
    with services().database.tenant_session(found.id, read_only=True) as session:
        box = box_of(session, found, event, request.values.get("ticket", "")[:26])
        if box is None:
            return _closed(session, event)
        numbers = _numbers(box, request.args)
        lacking = _lacking(box, numbers)
        return _form(box, request.args) if numbers and not lacking else _offer(box, lacking)


@blueprint.post("/t/<tenant>/<event>")
@public
def order(tenant: str, event: str) -> ResponseReturnValue:
    """Place the order and go to its own page; a second press of the button leads there too."""
    found = _tenant_or_404(tenant)
    with services().database.tenant_session(found.id, read_only=True) as session:
        box = box_of(session, found, event, request.values.get("ticket", "")[:26])
        if box is None:
            return _closed(session, event)
        given = request.form
        wish = _wish(box, given)
        try:
            _check_way(box.event, given.get("method") or PAGE_METHOD)
            ordered_before.check_new(box.event.uid, wish)
            placed = place_tx(services().checkout, found.id, box.event.uid, wish)
        except CheckoutError as error:
            return _form(box, given, error), 422
        ordered_before.remember(box.event.uid, wish)
    return redirect(_page_of(tenant, event, placed.buyer_key or "", came="new"), 303)


@blueprint.get("/t/<tenant>/<event>/orders/<key>")
@public
def status(tenant: str, event: str, key: str) -> ResponseReturnValue:
    """Show a buyer how the order stands; it looks again by itself until that is settled.

    Whoever has just ordered is led on to the provider's page, by the page itself: a redirect would
    be the form's, which may lead to no other host. For whoever comes from there (``came``), the
    provider is asked what became of it.
    """
    known = _tenant_or_404(tenant)
    with services().database.tenant_session(known.id, read_only=True) as session:
        view = _view_or_404(session, event, key)
        page = _status("checkout/order.html", known, view)
    if view.stage == "page" and _came() == "paid":
        with services().database.tenant_session(known.id) as writing:
            if look_soon(writing, view.order, services().clock.now()):
                writing.commit()
    return page


@blueprint.get("/t/<tenant>/<event>/orders/<key>/state")
@public
def state(tenant: str, event: str, key: str) -> ResponseReturnValue:
    """Return the part of the buyer's page that changes; nothing while it is as the page has it."""
    known = _tenant_or_404(tenant)
    with services().database.tenant_session(known.id, read_only=True) as session:
        view = _view_or_404(session, event, key)
        if view.stage == request.args.get("stage"):
            return "", 204
        if view.stage == "page" and _came() == "new":
            return "", 200, {"HX-Redirect": _action_of(view)}
        return _status("checkout/state.html", known, view)


@blueprint.post("/t/<tenant>/<event>/orders/<key>/pay")
@public
def pay(tenant: str, event: str, key: str) -> ResponseReturnValue:
    """Pay in another way, while the tickets are held."""
    found = _tenant_or_404(tenant)
    with services().database.tenant_session(found.id) as session:
        try:
            method = request.form.get("method", "")
            _check_way(_event_of(session, key), method)
            pay_again(session, services().checkout, key, method)
            session.commit()
        except UnknownOrder:
            abort(404)
        except (BadWish, OrderNotInState) as error:
            session.rollback()
            view = _view_or_404(session, event, key)
            return _status("checkout/order.html", found, view, error), 409
    return redirect(_page_of(tenant, event, key, came="new"), 303)


def _closed(session: Session, slug: str) -> ResponseReturnValue:
    """Say that nothing is sold here, and whether that was different before."""
    taken_off = is_taken_off(session, slug)
    return render_template("checkout/closed.html", taken_off=taken_off), 404


def _tenant_or_404(slug: str) -> Tenant:
    with services().database.system_session("find whose box office it is", read_only=True) as all_:
        tenant = all_.scalar(select(Tenant).where(Tenant.slug == slug))
    if tenant is None:
        abort(404)
    return tenant


def _view_or_404(session: Session, event: str, key: str) -> BuyersView:
    view = buyers_view(session, event, key)
    if view is None:
        abort(404)
    return view


def _page_of(tenant: str, event: str, key: str, came: str) -> str:
    return url_for("checkout.status", tenant=tenant, event=event, key=key, came=came)


def _came() -> str:
    """Return from where a buyer comes to the own page: `new`, `paid`, `back`, or anywhere else."""
    came = request.args.get("came", "")
    return came if came in {"new", "paid", "back"} else ""


def _action_of(view: BuyersView) -> str:
    result = view.payment.result if view.payment is not None else {}
    return str(result.get("action_url") or "")


def _event_of(session: Session, key: str) -> Event | None:
    mine = select(Event).join(Order, Order.event_id == Event.id).where(Order.buyer_key == key)
    return session.scalar(mine)


def _check_way(event: Event | None, method: str) -> None:
    """Raise ``BadWish`` for a way to pay that the page does not offer."""
    if method not in {way for way, _ in _ways(event)}:
        raise BadWish("method", Message("Choose how to pay."))


def _ways(event: Event | None) -> tuple[tuple[str, str], ...]:
    """Return how an event's tickets can be paid; test cards only where nothing is real."""
    is_real = event is None or (not event.test_mode and services().settings.is_production)
    return PAGE if is_real else PAGE + TEST_CARDS


def _numbers(box: Box, given: Mapping[str, str]) -> dict[int, int]:
    """Return how many of each kind are wanted, by the kind's number."""
    found = {}
    for ticket in box.tickets:
        text = given.get(f"n{ticket.id}", "")
        if text.isascii() and text.isdigit() and len(text) < 4 and int(text) > 0:
            found[ticket.id] = min(int(text), MOST_TICKETS + 1)
    return found


def _lacking(box: Box, numbers: Mapping[int, int]) -> Message | None:
    """Return what is said of the first kind that cannot be had in that number, None without one.

    What is held for others may be the buyer's own, who turned back to press the same button again:
    as long as something is left they get the form, and are told when they order.
    """
    now = services().clock.now()
    for ticket in box.tickets:
        named, left = {"name": ticket.name}, _left(ticket)
        if ticket.id in numbers and sale_state(box.event, ticket, now) != "open":
            return Message("“%(name)s” is not on sale at the moment.", named)
        if ticket.id in numbers and not left:
            return Message(HELD_OUT if ticket.held else "“%(name)s” is sold out.", named)
        if numbers.get(ticket.id, 0) > ticket.quota - ticket.sold:
            return _too_few(named, left)
    return None


def _too_few(named: dict[str, str], left: int) -> Message:
    return Message(
        "Only %(number)s ticket “%(name)s” is left.",
        named,
        plural="Only %(number)s tickets “%(name)s” are left.",
        number=left,
    )


def _left(ticket: TicketType) -> int:
    return max(0, ticket.quota - ticket.held - ticket.sold)


def _wish(box: Box, given: Mapping[str, str]) -> Wish:
    shown = given.get("shown", "")
    tickets = {
        kind: [
            Holder(given.get(f"name{kind}-{place}", ""), given.get(f"email{kind}-{place}", ""))
            for place in range(1, number + 1)
        ]
        for kind, number in _numbers(box, given).items()
    }
    return Wish(
        client_key=given.get("client_key", ""),
        name=given.get("name", ""),
        email=given.get("email", ""),
        locale=LOCALES.get(spoken(), "en-GB"),
        tickets=tickets,
        method=given.get("method", ""),
        address={name: given.get(f"address_{name}", "") for name in ADDRESS_FIELDS},
        shown=shown or None,
        placed_from=_connection_mark(),
    )


def _connection_mark() -> str:
    """Return a mark of where a request comes from, which tells its address to nobody.

    Of an IPv6 address the network counts: a house has as many addresses as it likes.
    """
    try:
        address = ip_address(request.remote_addr or "")
    except ValueError:
        return ""
    network = ip_network((address, 64), strict=False) if address.version == 6 else address
    key = f"checkout:{services().settings.app_key}".encode()[:64]
    return hashlib.blake2b(str(network).encode(), key=key, digest_size=16).hexdigest()


def _offer(box: Box, lacking: Message | None = None) -> str:
    now = services().clock.now()
    numbers = _numbers(box, request.args)
    begins = {each.id: sale_begins(box.event, each) for each in box.tickets}
    rows = [
        {
            "ticket": ticket,
            "price": _price(ticket, box.event.currency),
            "left": _left(ticket),
            "wanted": numbers.get(ticket.id, 0),
            "state": sale_state(box.event, ticket, now),
            "begins": _moment(begins[ticket.id], box.event.timezone),
        }
        for ticket in box.tickets
    ]
    return render_template(
        "checkout/offer.html",
        **_frame(box.tenant, box.event),
        rows=rows,
        lacking=lacking,
        most=MOST_OF_A_KIND,
        hidden=request.args.get("ticket", "")[:26],
    )


def _form(box: Box, given: Mapping[str, str], problem: CheckoutError | None = None) -> str:
    numbers = _numbers(box, given)
    chosen = [(ticket, numbers[ticket.id]) for ticket in box.tickets if ticket.id in numbers]
    post = _postage(box, given, chosen)
    total = sum(ticket.price_minor * number for ticket, number in chosen) + post
    field = problem.field if isinstance(problem, BadWish) else ""
    return render_template(
        "checkout/form.html",
        **_frame(box.tenant, box.event),
        chosen=chosen,
        prices={ticket.id: _price(ticket, box.event.currency) for ticket, _ in chosen},
        total=_money(total, box.event.currency),
        shown=f"{total} {box.event.currency}",
        postage=_money(post, box.event.currency) if post else "",
        is_free=total == 0,
        ships=any(ticket.is_shipped for ticket, _ in chosen),
        given=given,
        client_key=given.get("client_key") or secrets.token_urlsafe(24),
        ways=_ways(box.event),
        problem=problem,
        hidden=request.values.get("ticket", "")[:26],
        field="address" if isinstance(problem, NoPostage) else field,
    )


def _postage(box: Box, given: Mapping[str, str], chosen: Sequence[tuple[Any, int]]) -> int:
    """Return what the post takes as far as the form says where it goes, in minor units."""
    shipped = sum(number for ticket, number in chosen if ticket.is_shipped)
    country = given.get("address_country", "").strip().upper()
    try:
        here = (box.tenant, box.event.currency)
        return postage_of(*here, shipped, country) if country else 0
    except NoPostage:
        return 0


def _status(
    template: str, tenant: Tenant, view: BuyersView, problem: CheckoutError | None = None
) -> str:
    return render_template(
        template,
        **_frame(tenant, view.event),
        it=view,
        key=view.order.buyer_key,
        total=_money(view.order.total_minor, view.order.currency),
        back=_money(view.paid_back_minor, view.order.currency),
        held_until=_moment(view.order.expires_at, view.event.timezone),
        action_url=_action_of(view),
        came=_came(),
        ways=_ways(view.event),
        problem=problem,
    )


def _frame(tenant: Tenant, event: Any) -> dict[str, Any]:
    when = moments_between(event.starts_at, event.ends_at, event.timezone, _locale())
    return {"tenant": tenant, "event": event, "when": when}


def _price(ticket: TicketType, currency: str) -> dict[str, str]:
    """Return what one ticket of a kind costs, and the rate of the tax in it where there is one."""
    if not ticket.price_minor:
        return {}
    rate = format_decimal(Decimal(ticket.tax_bp) / 100, locale=_locale()) if ticket.tax_bp else ""
    return {"sum": _money(ticket.price_minor, currency), "rate": rate}


def _money(minor: int, currency: str) -> str:
    return money.format_minor(minor, currency, _locale())


def _moment(moment: Any, zone: str) -> str:
    if moment is None:
        return ""
    there, locale = ZoneInfo(zone), _locale()
    day = format_date(moment.astimezone(there), "long", locale=locale)
    time = format_time(moment, "short", tzinfo=there, locale=locale)
    return f"{day}, {time} {format_time(moment, 'z', tzinfo=there, locale=locale)}"


def _locale() -> str:
    return LOCALES.get(spoken(), "en-GB").replace("-", "_")
