"""How values look on the pages: money, times in the organisation's zone, words for states."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime, format_timedelta
from flask import Flask, g, url_for
from flask_wtf.csrf import generate_csrf
from markupsafe import Markup

from meet2be import language, money
from meet2be.accounts.services import tenants_of
from meet2be.language import N_
from meet2be.notifications.services import unread_count
from meet2be.web.navigation import navigation, settings_pages
from meet2be.web.paging import page_url
from meet2be.web.security import identity, services, tenant_session

JUST_NOW = timedelta(seconds=5)
STATIC = Path(__file__).parent / "static"

# The word a person reads for a state, and the colour of its badge.
STATES = {
    "todo": ("waiting", ""),
    "planned": ("waiting", ""),
    "queued": ("queued", "info"),
    "sending": ("asking the provider", "info"),
    "sent": ("accepted", "info"),
    "pending": ("accepted, pending", "info"),
    "done": ("done", "ok"),
    "succeeded": ("done", "ok"),
    "active": ("active", "ok"),
    "running": ("running", "info"),
    "confirmed": ("starting", "info"),
    "sweeping": ("last check", "info"),
    "paused": ("paused", "warn"),
    "aborted": ("aborted", "bad"),
    "done_with_errors": ("done, needs attention", "warn"),
    "none_needed": ("nothing to refund", ""),
    "manual": ("by hand", "warn"),
    "uncertain": ("uncertain", "warn"),
    "failed": ("failed", "bad"),
    "refused": ("refused", "bad"),
    "no_address": ("no address", "warn"),
    "suppressed": ("suppressed", "warn"),
    "cancelled": ("cancelled", ""),
    "cancelling": ("being cancelled", "warn"),
    "live": ("on sale", "ok"),
    "disputed": ("disputed", "warn"),
    "draft": ("draft", ""),
    "archived": ("archived", ""),
    "checked_in": ("checked in", "info"),
    "transferred": ("transferred", ""),
    "open": ("open", "warn"),
    "paid": ("paid", "ok"),
    "expired": ("expired", ""),
    "part_refunded": ("partly paid back", "info"),
    "refunded": ("paid back", "ok"),
}
# Mails use some of the words in another sense.
MAIL_WORDS = {
    "held": N_("held back"),
    "limited": N_("waits for a free slot"),
    "queued": N_("queued"),
    "sending": N_("being handed over"),
    "sent": N_("sent"),
    "deferred": N_("put off"),
    "cancelled": N_("withdrawn"),
    "bounced": N_("came back"),
    "complained": N_("reported as spam"),
    "failed": N_("failed"),
    "uncertain": N_("uncertain"),
    "suppressed": N_("suppressed"),
    "no_address": N_("no address"),
    "todo": N_("not written yet"),
}
# What becomes of an attendee in a preview: in short, in a sentence, and the badge's colour.
OUTCOMES = {
    "refund": ("Paid back", "Through the provider, to the card or account it came from.", "ok"),
    "manual": (
        "Paid back by hand",
        "They stand on your own list; the provider is not asked.",
        "warn",
    ),
    "disputed": (
        "Disputed",
        "The buyer has asked their bank for the money. Nothing is paid twice.",
        "warn",
    ),
    "not_paid": ("Not paid yet", "Nothing came in. A payment that still arrives is paid back.", ""),
    "already_refunded": ("Paid back before", "Nothing is left of what they paid.", ""),
    "fee_kept": ("All of it kept", "What you keep is as much as they paid.", "warn"),
    "free": ("Free ticket", "Nothing was charged.", ""),
    "no_invoice": ("No invoice", "No payment is known for this ticket.", "warn"),
    "test_mode": ("Test order", "Bought in test mode: no real money came in.", ""),
}
# Why items of a run wait for somebody, or were passed over.
CAUSES = {
    "disputed": "The payment is disputed: the bank decides",
    "charge_disputed": "The payment is disputed: the bank decides",
    "not_paid": "Never paid",
    "free": "Free ticket",
    "already_refunded": "Paid back before",
    "no_invoice": "No invoice",
    "fee_kept": "All of it is kept",
    "test_mode": "Test order",
    "insufficient_funds": "The provider's balance did not suffice",
    "charge_expired_for_refund": "Too old to be paid back through the provider",
    "expired_or_canceled_card": "The card has expired or was blocked",
    "lost_or_stolen_card": "The card was lost or stolen",
    "account_trouble": "The provider refuses our account",
    "manual": "To be paid by hand",
    "unknown": "No reason was given",
}


def install(app: Flask) -> None:
    """Register filters and globals."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]  # the extension's own
        language.sentence_of, language.sentences_of, newstyle=True
    )
    app.add_template_global(language.spoken, "spoken_language")
    app.add_template_global(lambda: language.LANGUAGES, "languages")
    app.add_template_global(navigation)
    app.add_template_global(settings_pages)
    app.add_template_filter(language.said, "said")
    app.add_template_filter(format_money, "money")
    app.add_template_filter(format_moment, "moment")
    app.add_template_filter(spoken_duration)
    app.add_template_filter(cause)
    app.add_template_filter(ago)
    app.add_template_filter(initials)
    app.add_template_filter(badge)
    app.add_template_filter(count)
    app.add_template_global(asset)
    app.add_template_global(csrf_field)
    app.add_template_global(my_tenants)
    app.add_template_global(unread_notices)
    app.add_template_global(mail_badge)
    app.add_template_global(page_url)
    app.add_template_global(money.plain, "plain_amount")
    app.jinja_env.globals.update(mail_words=MAIL_WORDS, outcome_words=OUTCOMES)


def format_money(minor: int, currency: str) -> str:
    """Return an amount as the organisation writes it."""
    return money.format_minor(minor, currency, _locale())


def format_moment(moment: datetime | None, style: str = "medium") -> str:
    """Return a moment in the person's time zone, else the organisation's; a dash for none.

    ``style`` is Babel's, or ``long_date`` for the day alone.
    """
    if moment is None:
        return "–"
    zone = ZoneInfo(identity().timezone)
    if style == "long_date":
        return format_date(moment.astimezone(zone), "long", locale=_locale())
    return format_datetime(moment, style, tzinfo=zone, locale=_locale())


def ago(moment: datetime | None) -> str:
    """Return how long ago a moment is, in words."""
    if moment is None:
        return "–"
    passed = moment - services().clock.now()
    if abs(passed) < JUST_NOW:
        return "just now"
    return format_timedelta(passed, add_direction=True, locale="en", threshold=1.2)


def spoken_duration(duration: timedelta | None) -> str:
    """Return a stretch of time in rounded words; empty when it is not known."""
    if duration is None:
        return ""
    seconds = duration.total_seconds()
    if seconds < 10:
        return "a few seconds"
    if seconds < 90:
        return f"about {round(seconds / 10) * 10} seconds"
    return f"about {format_timedelta(duration, locale='en', threshold=1.5)}"


def cause(code: str) -> str:
    """Return in words why an item waits for somebody or was passed over."""
    return CAUSES.get(code, code.replace("_", " "))


def count(number: int) -> str:
    """Return a count with separators between thousands."""
    return f"{number:,}"


def initials(name: str) -> str:
    """Return the two letters that stand for a person."""
    words = [word for word in name.split() if word[:1].isalpha()] or [name or "?"]
    return (words[0][:1] + (words[-1][:1] if len(words) > 1 else "")).upper()


def badge(state: str, words: str = "") -> Markup:
    """Return the badge of a state; ``words`` replace the usual ones."""
    label, kind = STATES.get(state, (state.replace("_", " "), ""))
    return Markup('<span class="badge {}">{}</span>').format(kind, words or label)


def mail_badge(state: str) -> Markup:
    """Return the badge of a mail's state, in the words that mails use."""
    kinds = {"sent": "ok", "bounced": "bad", "complained": "warn", "limited": "info"}
    label, kind = STATES.get(state, (state.replace("_", " "), ""))
    words = language._(MAIL_WORDS.get(state, label))
    return Markup('<span class="badge {}">{}</span>').format(kinds.get(state, kind), words)


def asset(name: str) -> str:
    """Return the address of a static file, with its content's hash so that browsers may keep it."""
    return url_for("static", filename=name, v=_content_hash(name))


def csrf_field() -> Markup:
    """Return the hidden field every form that changes something carries."""
    return Markup('<input type="hidden" name="csrf_token" value="{}">').format(generate_csrf())


def my_tenants() -> list[tuple[str, str]]:
    """Return the organisations the person may turn to, read once a request."""
    if "my_tenants" not in g:
        with services().database.system_session(
            "list a person's organisations", read_only=True
        ) as session:
            g.my_tenants = tenants_of(session, identity())
    found: list[tuple[str, str]] = g.my_tenants
    return found


def unread_notices() -> int:
    """Return how many notices wait for the person, read once a request."""
    if "unread_notices" not in g:
        has_tenant = identity().tenant_id is not None
        person = identity().user_id
        g.unread_notices = unread_count(tenant_session(read_only=True), person) if has_tenant else 0
    waiting: int = g.unread_notices
    return waiting


def _locale() -> str:
    return identity().tenant_locale.replace("-", "_")


@lru_cache(maxsize=64)
def _content_hash(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
