"""Settings of what happens to printed tickets: the organisation's warehouse and its postage."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from meet2be.checkout import delivery as verbs
from meet2be.checkout.delivery import EVERYWHERE, DeliveryRefused, Rate, Warehouse
from meet2be.checkout.desk import MOST_TICKETS
from meet2be.checkout.shipping import ADDRESS_FIELDS
from meet2be.language import _, said
from meet2be.money import MoneyError, parse_minor
from meet2be.tenancy.models import Tenant
from meet2be.web.actors import actor
from meet2be.web.cancelling import Problems
from meet2be.web.presentation import amount_to_type
from meet2be.web.security import ADMINISTER, requires, services, tenant_session

blueprint = Blueprint("delivery", __name__, url_prefix="/settings")
EMPTY_ROWS = 2
FIELDS = ("countries", "most", "price")


@blueprint.get("/warehouse")
@requires(ADMINISTER)
def warehouse() -> ResponseReturnValue:
    """Show where orders are told of, and from where parcels come."""
    return _warehouse_page(Problems())


@blueprint.post("/warehouse")
@requires(ADMINISTER)
def change_warehouse() -> ResponseReturnValue:
    """Save it."""
    given, session, problems = request.form, tenant_session(), Problems()
    address = {name: given.get(name, "") for name in ADDRESS_FIELDS}
    wanted = Warehouse(given.get("url", ""), address)
    hooks = services().webhooks.http
    try:
        verbs.change_warehouse(session, wanted, actor(), lambda text: hooks.check(text).url)
        session.commit()
    except DeliveryRefused as error:
        session.rollback()
        problems.fields[error.field] = said(error)
        return _warehouse_page(problems), 422
    flash(_("What is said of the warehouse is saved."), "success")
    return redirect(url_for("delivery.warehouse"), 303)


@blueprint.get("/postage")
@requires(ADMINISTER)
def postage() -> ResponseReturnValue:
    """Show what parcels cost."""
    currency = _tenant().currency
    rows = [
        {
            "countries": " ".join(rate.countries),
            "most": str(rate.most_tickets),
            "price": amount_to_type(rate.price_minor, currency),
        }
        for rate in verbs.rates_of(_tenant())
    ]
    return _postage_page(rows, Problems())


@blueprint.post("/postage")
@requires(ADMINISTER)
def change_postage() -> ResponseReturnValue:
    """Save all rows; those that were emptied are gone."""
    session, problems = tenant_session(), Problems()
    rows = _rows()
    rates = _rates(rows, problems)
    if problems.fields:
        return _postage_page(rows, problems), 422
    try:
        verbs.change_postage(session, rates, actor())
        session.commit()
    except DeliveryRefused as error:
        session.rollback()
        problems.fields[error.field] = said(error)
        return _postage_page(rows, problems), 422
    flash(_("The postage is saved. It counts for orders to come."), "success")
    return redirect(url_for("delivery.postage"), 303)


def _rows() -> list[dict[str, str]]:
    """Return the rows of the form that say anything, in their order."""
    given, found = request.form, []
    for number in range(verbs.MOST_RATES + EMPTY_ROWS):
        row = {name: given.get(f"{name}-{number}", "").strip()[:400] for name in FIELDS}
        if any(row.values()):
            found.append(row)
    return found


def _rates(rows: list[dict[str, str]], problems: Problems) -> list[Rate]:
    """Return the rows as rates; ``problems`` has what is none."""
    currency, rates = _tenant().currency, []
    for number, row in enumerate(rows):
        codes = re.split(r"[\s,;]+", row["countries"].upper())
        most, price = row["most"] or str(MOST_TICKETS), 0
        if not (most.isascii() and most.isdigit() and len(most) < 4):
            text = _("“%(text)s” is no whole number.", text=most[:40])
            problems.fields[f"most-{number}"] = text
            most = "1"
        try:
            price = parse_minor(row["price"], currency)
        except MoneyError as error:
            problems.fields[f"price-{number}"] = said(error)
        rates.append(Rate(tuple(code for code in codes if code), int(most), price))
    return rates


def _postage_page(rows: list[dict[str, str]], problems: Problems) -> str:
    shown = [*rows, *({} for _ in range(EMPTY_ROWS if rows else EMPTY_ROWS + 1))]
    tenant = _tenant()
    return render_template(
        "settings/postage.html",
        rows=shown[: verbs.MOST_RATES],
        is_empty=not rows,
        tenant=tenant,
        problems=problems,
        most=MOST_TICKETS,
        everywhere=EVERYWHERE,
    )


def _warehouse_page(problems: Problems) -> str:
    known = verbs.warehouse_of(_tenant())
    present: dict[str, Any] = {"url": known.url, **known.address}
    given = request.form if request.method == "POST" else present
    return render_template(
        "settings/warehouse.html", given=given, problems=problems, is_set=bool(known.url)
    )


def _tenant() -> Tenant:
    return tenant_session(read_only=True).scalars(select(Tenant)).one()
