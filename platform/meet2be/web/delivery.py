"""Settings of what happens to printed tickets: the organisation's warehouse and its postage."""

from __future__ import annotations

import re

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from meet2be.checkout import delivery as verbs
from meet2be.checkout.delivery import EVERYWHERE, DeliveryRefused, Rate, Warehouse
from meet2be.checkout.desk import MOST_TICKETS
from meet2be.checkout.shipping import ADDRESS_FIELDS
from meet2be.language import N_, _, said
from meet2be.money import MoneyError, parse_minor
from meet2be.tenancy.models import Tenant
from meet2be.web import meanwhile
from meet2be.web.actors import actor
from meet2be.web.cancelling import Problems
from meet2be.web.presentation import amount_to_type
from meet2be.web.security import ADMINISTER, requires, services, tenant_session
from meet2be.web.settings import held_tenant

blueprint = Blueprint("delivery", __name__, url_prefix="/settings")
EMPTY_ROWS = 2
FIELDS = ("countries", "most", "price")
LABELS = {
    "url": N_("Address of its system"), "name": N_("Name"), "street": N_("Street and number"),
    "postcode": N_("Postcode"), "city": N_("Town"), "country": N_("Country, two letters"),
    "rows": N_("Postage"),
}  # fmt: skip


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
        meanwhile.check_unchanged(_warehouse_values(held_tenant(session)), given, LABELS)
        verbs.change_warehouse(session, wanted, actor(), lambda text: hooks.check(text).url)
        session.commit()
    except meanwhile.SavedMeanwhile as error:
        session.rollback()
        return _warehouse_page(problems, error.seen), 409
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
    return _postage_page(_rows_of(_tenant()), Problems())


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
        present = _rows_of(held_tenant(session))
        meanwhile.check_unchanged(_postage_values(present), _postage_values(rows), LABELS)
        verbs.change_postage(session, rates, actor())
        session.commit()
    except meanwhile.SavedMeanwhile as error:
        session.rollback()
        is_typed = any(each.is_typed for each in error.seen.newer)
        shown = rows if is_typed else _rows_of(_tenant())
        return _postage_page(shown, problems, error.seen), 409
    except DeliveryRefused as error:
        session.rollback()
        problems.fields[error.field] = said(error)
        return _postage_page(rows, problems), 422
    flash(_("The postage is saved. It counts for orders to come."), "success")
    return redirect(url_for("delivery.postage"), 303)


def _rows_of(tenant: Tenant) -> list[dict[str, str]]:
    """Return what the form's rows hold before anybody types."""
    return [
        {
            "countries": " ".join(rate.countries),
            "most": str(rate.most_tickets),
            "price": amount_to_type(rate.price_minor, tenant.currency),
        }
        for rate in verbs.rates_of(tenant)
    ]


def _postage_values(rows: list[dict[str, str]]) -> dict[str, str]:
    """Return all rows as one value: what another has put between them belongs together."""
    return {"rows": "\n".join(" · ".join(row[name] for name in FIELDS) for row in rows)}


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


def _postage_page(
    rows: list[dict[str, str]], problems: Problems, newer: meanwhile.Seen | None = None
) -> str:
    shown = [*rows, *({} for _ in range(EMPTY_ROWS if rows else EMPTY_ROWS + 1))]
    tenant = _tenant()
    return render_template(
        "settings/postage.html",
        rows=shown[: verbs.MOST_RATES],
        seen=newer or meanwhile.seen(_postage_values(rows)),
        is_empty=not rows,
        tenant=tenant,
        problems=problems,
        most=MOST_TICKETS,
        everywhere=EVERYWHERE,
    )


def _warehouse_values(tenant: Tenant) -> dict[str, str]:
    known = verbs.warehouse_of(tenant)
    return {"url": known.url, **{name: known.address.get(name, "") for name in ADDRESS_FIELDS}}


def _warehouse_page(problems: Problems, newer: meanwhile.Seen | None = None) -> str:
    present = _warehouse_values(_tenant())
    seen = newer or meanwhile.seen(present)
    return render_template(
        "settings/warehouse.html",
        given=seen.filled(request.form) if request.method == "POST" else present,
        seen=seen,
        problems=problems,
        is_set=bool(present["url"]),
    )


def _tenant() -> Tenant:
    return tenant_session(read_only=True).scalars(select(Tenant)).one()
