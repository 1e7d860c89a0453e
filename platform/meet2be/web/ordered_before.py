"""Orders that a browser has just placed: the same once more, from a form gone back to, is asked of.

Each form has a key of its own, by which a second press of its button is known. Whoever goes back
gets a new form, with what was typed in it put there by the browser, and a key that nobody knows.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

from flask import request, session

from meet2be.checkout.errors import BadWish
from meet2be.checkout.placing import Wish
from meet2be.language import Message

FIELD: Final = "again"
_KEPT: Final = "ordered"
_MOST: Final = 8


def check_new(event_uid: str, wish: Wish) -> None:
    """Raise ``BadWish`` for what this browser has ordered before, unless it is asked for again."""
    first = session.get(_KEPT, {}).get(_mark(event_uid, wish))
    if first not in {None, wish.client_key[:16]} and request.form.get(FIELD) != "yes":
        why = Message(
            "You have ordered these tickets for these people already. Ordering once more makes"
            " another order, which has to be paid as well."
        )
        raise BadWish(FIELD, why)


def remember(event_uid: str, wish: Wish) -> None:
    """Keep in this browser that a wish became an order."""
    known = dict(session.get(_KEPT, {}))
    known[_mark(event_uid, wish)] = wish.client_key[:16]
    session[_KEPT] = dict(list(known.items())[-_MOST:])


def _mark(event_uid: str, wish: Wish) -> str:
    """Return a mark of who gets which tickets; it tells nobody who that is."""
    people = {
        str(kind): [[each.name.strip().casefold(), each.email.strip().casefold()] for each in who]
        for kind, who in wish.tickets.items()
    }
    whole = json.dumps([event_uid, wish.email.strip().casefold(), people], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()[:16]
