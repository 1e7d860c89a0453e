"""What a token may be allowed, and which role its person must have for that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from meet2be.language import N_

_RANKS: Final = {"viewer": 0, "organiser": 1, "admin": 2, "owner": 3}


@dataclass(frozen=True, slots=True)
class Scope:
    """One thing a token may be allowed; ``role`` is the lowest role that may it on the pages."""

    key: str
    words: str
    role: str


SCOPES: Final = {
    scope.key: scope
    for scope in (
        Scope("events:read", N_("See events and their tickets"), "viewer"),
        Scope("events:write", N_("Make, change and publish events and their tickets"), "organiser"),
        Scope("attendees:read", N_("See attendees"), "viewer"),
        Scope("cancellations:read", N_("See cancellations and how far they are"), "viewer"),
        Scope("cancellations:preview", N_("Preview cancellations"), "organiser"),
        Scope("cancellations:write", N_("Confirm, pause, resume and abort cancellations"), "admin"),
        Scope("refunds:read", N_("See refunds"), "viewer"),
        Scope("refunds:write", N_("Look refunds up at the provider and try them again"), "admin"),
        Scope("mails:read", N_("See mails that were sent"), "viewer"),
        Scope("mails:write", N_("Withdraw mails and send copies"), "organiser"),
        Scope("mails:decide", N_("Decide about mails nobody knows the fate of"), "admin"),
        Scope("notifications:read", N_("See notifications"), "viewer"),
        Scope("notifications:write", N_("Mark notifications as read"), "viewer"),
        Scope("exports:read", N_("See and download exports"), "organiser"),
        Scope("exports:write", N_("Ask for exports and cancel them"), "organiser"),
        Scope("imports:read", N_("See imports and their rows"), "organiser"),
        Scope("imports:write", N_("Upload, start, cancel and undo imports"), "organiser"),
        Scope("webhooks:read", N_("See webhook endpoints and deliveries"), "admin"),
        Scope("webhooks:write", N_("Change webhook endpoints and send again"), "admin"),
        Scope("orders:read", N_("See orders"), "organiser"),
        Scope(
            "orders:write",
            N_("Place orders, send their mails again, refund and cancel them"),
            "organiser",
        ),
        Scope("figures:read", N_("See an event's figures"), "viewer"),
        Scope("figures:write", N_("Have figures made anew"), "organiser"),
        Scope("members:read", N_("See members and open invitations"), "admin"),
        Scope("members:write", N_("Invite people, change roles, remove members"), "admin"),
        Scope("settings:read", N_("See the organisation's settings"), "admin"),
        Scope("settings:write", N_("Change the organisation's settings"), "admin"),
    )
}


def is_within(role: str | None, needed: str) -> bool:
    """Tell whether somebody of a role may what needs another; without a role nobody may."""
    return role is not None and _RANKS.get(role, -1) >= _RANKS[needed]


def allowed_scopes(role: str | None, wanted: Iterable[str] = SCOPES) -> tuple[str, ...]:
    """Return those of the wanted scopes that somebody of this role may have, in order."""
    chosen = set(wanted)
    return tuple(
        key for key, scope in SCOPES.items() if key in chosen and is_within(role, scope.role)
    )
