"""What somebody typed into a form that is not taken, as their log-in has ended meanwhile.

It is shown on the page that says so: going back finds nothing, as no page of ours is kept by the
browser. Shown to whoever sent it from a page of ours only, and never anything secret.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from flask import current_app, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from meet2be.language import N_, _

_SHORTEST: Final = 3
"""Letters from which on a value is worth keeping: shorter ones are switches and numbers."""
_MOST: Final = 60
_NOT_SHOWN: Final = frozenset({
    "password", "again", "present", "secret", "code", "headers", "csrf", "token", "key",
    "seen", "shown", "hash", "action", "next", "method",
})  # fmt: skip
"""Words in the names of fields: what is typed hidden or kept encrypted, and what nobody typed."""


def came_from() -> str:
    """Return the page of ours that a form was on, as its browser tells; empty when it does not.

    Empty as well for what opens as no page: an address that only takes forms, or ``//elsewhere``.
    """
    try:
        there = urlsplit(request.referrer or "")
    except ValueError:
        return ""
    if there.netloc != request.host or not _is_page(there.path):
        return ""
    return f"{there.path}?{there.query}" if there.query else there.path


def page_of_what_was_typed(*, needs_login: bool) -> ResponseReturnValue | None:
    """Return a page with all that a refused form had in it; None when that was nothing."""
    is_kept = request.method == "POST" and request.blueprint != "auth" and _is_from_us()
    typed = _typed() if is_kept else []
    if not typed:
        return None
    title = N_("Your log-in has ended") if needs_login else N_("This form is too old")
    page = render_template(
        "lost.html",
        title=_(title),
        typed=typed,
        needs_login=needs_login,
        login=url_for("auth.login", next=came_from() or None),
        back=came_from() or "/",
    )
    return page, 401 if needs_login else 400


def _is_from_us() -> bool:
    """Tell whether a browser says that a page of ours sent this; others are shown nothing."""
    site = request.headers.get("Sec-Fetch-Site", "")
    if site:
        return site == "same-origin"
    return request.headers.get("Origin", "").partition("://")[2] == request.host


def _is_page(path: str) -> bool:
    ways = current_app.create_url_adapter(request)
    try:
        return ways is not None and bool(ways.match(path, "GET"))
    except HTTPException:  # also for what would be led on to another address
        return False


def _typed() -> list[tuple[str, str]]:
    found = [
        (name, value)
        for name, value in request.form.items(multi=True)
        if len(value.strip()) >= _SHORTEST and _NOT_SHOWN.isdisjoint(name.lower().split("_"))
    ]
    return found[:_MOST]
