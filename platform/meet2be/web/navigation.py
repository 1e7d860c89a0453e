"""The bar at the top of every page: which areas there are, and who sees them."""

from __future__ import annotations

from dataclasses import dataclass

from flask import request, url_for

from meet2be.language import N_, _
from meet2be.web.security import ADMINISTER, CANCEL, READ, WORK, may


@dataclass(frozen=True, slots=True)
class Area:
    """An area of the pages; ``blueprints`` are those whose pages belong to it."""

    endpoint: str
    label: str
    blueprints: tuple[str, ...]
    permission: str = READ


@dataclass(frozen=True, slots=True)
class Link:
    """An area as the page shows it."""

    endpoint: str
    label: str
    address: str
    is_here: bool


AREAS = (
    Area(
        "events.index",
        N_("Events"),
        ("events", "event_editing", "ticket_types", "attendees", "figures"),
    ),
    Area("orders.index", N_("Orders"), ("orders",)),
    Area("exports.index", N_("Exports"), ("exports", "export_schedules"), WORK),
    Area("imports.index", N_("Imports"), ("imports",), WORK),
    Area("cancellations.index", N_("Cancellations"), ("cancellations", "cancelling")),
    Area("refunds.index", N_("Refunds"), ("refunds",)),
    Area("mails.index", N_("Mail"), ("mails", "mail_templates", "suppressions")),
    Area("webhooks.index", N_("Webhooks"), ("webhooks",), ADMINISTER),
    Area("notifications.index", N_("Notifications"), ("notifications", "alerts")),
    Area(
        "settings.index",
        N_("Settings"),
        ("settings", "members", "api_tokens", "delivery"),
        ADMINISTER,
    ),
    Area("audit.index", N_("Audit log"), ("audit",), CANCEL),
)


SETTINGS = (
    Area("settings.index", N_("Organisation"), (), ADMINISTER),
    Area("members.index", N_("Members"), (), ADMINISTER),
    Area("api_tokens.index", N_("API tokens"), (), ADMINISTER),
    Area("settings.sender_page", N_("Sender"), (), ADMINISTER),
    Area("mail_templates.index", N_("Templates"), (), ADMINISTER),
    Area("suppressions.index", N_("Suppressions"), (), ADMINISTER),
    Area("webhooks.index", N_("Webhooks"), (), ADMINISTER),
    Area("delivery.warehouse", N_("Warehouse"), (), ADMINISTER),
    Area("delivery.postage", N_("Postage"), (), ADMINISTER),
    Area("settings.test_mode", N_("Test mode"), (), ADMINISTER),
    Area("settings.limits", N_("Limits and usage"), (), ADMINISTER),
)
"""The pages of the settings; one is here by its endpoint. Those of other areas are led to."""


def settings_pages() -> list[Link]:
    """Return the pages of the settings, in the language of the person of this request."""
    here = request.url_rule.rule if request.url_rule is not None else ""
    addresses = {area.endpoint: url_for(area.endpoint) for area in SETTINGS}
    longest = max((each for each in addresses.values() if here.startswith(each)), key=len)
    return [
        Link(
            area.endpoint,
            _(area.label),
            addresses[area.endpoint],
            addresses[area.endpoint] == longest,
        )
        for area in SETTINGS
        if may(area.permission)
    ]


def navigation() -> list[Link]:
    """Return the areas that the person of this request may enter, in their language."""
    return [
        Link(
            area.endpoint,
            _(area.label),
            url_for(area.endpoint),
            request.blueprint in area.blueprints,
        )
        for area in AREAS
        if may(area.permission)
    ]
