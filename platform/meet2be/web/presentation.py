"""How values look on the pages: money, times in the organisation's zone, words for states."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_time, format_timedelta
from babel.numbers import format_decimal
from flask import Flask, g, url_for
from flask_wtf.csrf import generate_csrf
from markupsafe import Markup

from meet2be import language, money
from meet2be.accounts.services import tenants_of
from meet2be.language import N_, NC_, _, ngettext
from meet2be.notifications.services import unread_count
from meet2be.web.navigation import navigation, settings_pages
from meet2be.web.paging import page_url
from meet2be.web.security import identity, services, tenant_session

JUST_NOW = timedelta(seconds=5)
STATIC = Path(__file__).parent / "static"

# The word a person reads for a state, and the colour of its badge.
STATES = {
    "todo": (NC_("state", "waiting"), ""),
    "planned": (NC_("state", "waiting"), ""),
    "queued": (NC_("state", "queued"), "info"),
    "sending": (NC_("state", "asking the provider"), "info"),
    "sent": (NC_("state", "accepted"), "info"),
    "pending": (NC_("state", "accepted, pending"), "info"),
    "done": (NC_("state", "done"), "ok"),
    "succeeded": (NC_("state", "done"), "ok"),
    "active": (NC_("state", "active"), "ok"),
    "running": (NC_("state", "running"), "info"),
    "confirmed": (NC_("state", "starting"), "info"),
    "sweeping": (NC_("state", "last check"), "info"),
    "paused": (NC_("state", "paused"), "warn"),
    "aborted": (NC_("state", "aborted"), "bad"),
    "done_with_errors": (NC_("state", "done, needs attention"), "warn"),
    "none_needed": (NC_("state", "nothing to refund"), ""),
    "manual": (NC_("state", "by hand"), "warn"),
    "uncertain": (NC_("state", "uncertain"), "warn"),
    "failed": (NC_("state", "failed"), "bad"),
    "refused": (NC_("state", "refused"), "bad"),
    "no_address": (NC_("state", "no address"), "warn"),
    "suppressed": (NC_("state", "suppressed"), "warn"),
    "cancelled": (NC_("state", "cancelled"), ""),
    "cancelling": (NC_("state", "being cancelled"), "warn"),
    "live": (NC_("state", "on sale"), "ok"),
    "disputed": (NC_("state", "disputed"), "warn"),
    "draft": (NC_("state", "draft"), ""),
    "archived": (NC_("state", "archived"), ""),
    "checked_in": (NC_("state", "checked in"), "info"),
    "transferred": (NC_("state", "transferred"), ""),
    "open": (NC_("state", "open"), "warn"),
    "paid": (NC_("state", "paid"), "ok"),
    "expired": (NC_("state", "expired"), ""),
    "part_refunded": (NC_("state", "partly paid back"), "info"),
    "refunded": (NC_("state", "paid back"), "ok"),
}
# An event is called off where a ticket is not.
EVENT_WORDS = {
    "cancelled": NC_("event", "cancelled"),
    "cancelling": NC_("event", "being cancelled"),
    "live": NC_("event", "on sale"),
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
# Who acts, as what, and on which things, in the words of the audit log and the menu.
ACTORS = (N_("user"), N_("token"), N_("job"), N_("system"), N_("operator"))
ROLES = (N_("viewer"), N_("organiser"), N_("admin"), N_("owner"))
THINGS = (
    NC_("thing", "user"), NC_("thing", "tenant"), NC_("thing", "import"), NC_("thing", "order"),
    NC_("thing", "export schedule"), NC_("thing", "export"), NC_("thing", "mail suppression"),
    NC_("thing", "mail"), NC_("thing", "invitation"), NC_("thing", "alert channel"),
    NC_("thing", "webhook endpoint"), NC_("thing", "webhook delivery"),
    NC_("thing", "sender check"), NC_("thing", "refund"), NC_("thing", "mail template"),
    NC_("thing", "export preset"), NC_("thing", "cancel run"), NC_("thing", "event"),
    NC_("thing", "job"), NC_("thing", "api token"), NC_("thing", "membership"),
    NC_("thing", "failed job"), NC_("thing", "ticket type"), NC_("thing", "provider event"),
)  # fmt: skip
# What becomes of an attendee in a preview: in short, in a sentence, and the badge's colour.
OUTCOMES = {
    "refund": (
        N_("Paid back"),
        N_("Through the provider, to the card or account it came from."),
        "ok",
    ),
    "manual": (
        N_("Paid back by hand"),
        N_("They stand on your own list; the provider is not asked, or did not take the money."),
        "warn",
    ),
    "disputed": (
        N_("Disputed"),
        N_("The buyer has asked their bank for the money. Nothing is paid twice."),
        "warn",
    ),
    "not_paid": (
        N_("Not paid yet"),
        N_("Nothing came in. A payment that still arrives is paid back."),
        "",
    ),
    "already_refunded": (N_("Paid back before"), N_("Nothing is left of what they paid."), ""),
    "fee_kept": (N_("All of it kept"), N_("What you keep is as much as they paid."), "warn"),
    "free": (N_("Free ticket"), N_("Nothing was charged."), ""),
    "no_invoice": (N_("No invoice"), N_("No payment is known for this ticket."), "warn"),
    "test_mode": (N_("Test order"), N_("Bought in test mode: no real money came in."), ""),
}
# Why items of a run wait for somebody, or were passed over.
CAUSES = {
    "disputed": N_("The payment is disputed: the bank decides"),
    "charge_disputed": N_("The payment is disputed: the bank decides"),
    "not_paid": N_("Never paid"),
    "free": N_("Free ticket"),
    "already_refunded": N_("Paid back before"),
    "no_invoice": N_("No invoice"),
    "fee_kept": N_("All of it is kept"),
    "test_mode": N_("Test order"),
    "insufficient_funds": N_("The provider's balance did not suffice"),
    "charge_expired_for_refund": N_("Too old to be paid back through the provider"),
    "expired_or_canceled_card": N_("The card has expired or was blocked"),
    "lost_or_stolen_card": N_("The card was lost or stolen"),
    "account_trouble": N_("The provider refuses our account"),
    "manual": N_("To be paid by hand"),
    "by_hand": N_("To be paid by hand"),
    "paid_outside": N_("The money came in elsewhere: to be paid back by hand"),
    "unknown": N_("No reason was given"),
}


def install(app: Flask) -> None:
    """Register filters and globals."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]  # the extension's own
        language.sentence_of,
        language.sentences_of,
        newstyle=True,
        pgettext=language.sentence_in_sense,
    )
    app.add_template_global(language.spoken, "spoken_language")
    app.add_template_global(lambda: language.LANGUAGES, "languages")
    app.add_template_global(navigation)
    app.add_template_global(settings_pages)
    app.add_template_filter(language.said, "said")
    app.add_template_filter(language.sentence_of, "known_words")
    app.add_template_filter(format_money, "money")
    app.add_template_filter(format_moment, "moment")
    app.add_template_filter(spoken_duration)
    app.add_template_filter(cause)
    app.add_template_filter(ago)
    app.add_template_filter(initials)
    app.add_template_filter(badge)
    app.add_template_filter(event_badge)
    app.add_template_filter(thing)
    app.add_template_filter(count)
    app.add_template_global(asset)
    app.add_template_global(csrf_field)
    app.add_template_global(my_tenants)
    app.add_template_global(unread_notices)
    app.add_template_global(mail_badge)
    app.add_template_global(page_url)
    app.add_template_global(money.plain, "plain_amount")
    app.add_template_global(amount_to_type)
    app.jinja_env.globals.update(mail_words=MAIL_WORDS, outcome_words=OUTCOMES)


def format_money(minor: int, currency: str) -> str:
    """Return an amount as it is written in the reader's language and the organisation's region."""
    return money.format_minor(minor, currency, reader_locale())


def format_moment(moment: datetime | None, style: str = "medium") -> str:
    """Return a moment in the person's time zone, else the organisation's; a dash for none.

    ``style`` is Babel's; ``short`` is to the minute, with the month in letters where that is
    usual; ``long_date`` is the day alone.
    """
    if moment is None:
        return "–"
    zone, locale = ZoneInfo(identity().timezone), reader_locale()
    if style == "long_date":
        return format_date(moment.astimezone(zone), "long", locale=locale)
    if style == "short":
        return to_the_minute(moment.astimezone(zone), locale)
    return format_datetime(moment, style, tzinfo=zone, locale=locale)


def to_the_minute(moment: datetime, locale: str) -> str:
    """Return a moment with a day that nobody takes for another: 3 Jan 2026, not 03/01/2026."""
    joined = str(Locale.parse(locale).datetime_formats["medium"])
    day = format_date(moment, "medium", locale=locale)
    return joined.replace("{1}", day).replace("{0}", format_time(moment, "short", locale=locale))


def moments_between(starts: datetime, ends: datetime, zone: str, locale: str) -> str:
    """Return from when to when something lasts, to the minute, with the zone that this is told in.

    A day that is the first and the last one stands there once.
    """
    there = ZoneInfo(zone)
    days = [format_date(each.astimezone(there), "long", locale=locale) for each in (starts, ends)]
    times = [format_time(each, "short", tzinfo=there, locale=locale) for each in (starts, ends)]
    last = times[1] if days[0] == days[1] else f"{days[1]}, {times[1]}"
    return f"{days[0]}, {times[0]} – {last} ({zone})"


def ago(moment: datetime | None) -> str:
    """Return how long ago a moment is, in words."""
    if moment is None:
        return "–"
    passed = moment - services().clock.now()
    if abs(passed) < JUST_NOW:
        return _("just now")
    return format_timedelta(passed, add_direction=True, locale=language.spoken(), threshold=1.2)


def spoken_duration(duration: timedelta | None) -> str:
    """Return a stretch of time in rounded words; empty when it is not known."""
    if duration is None:
        return ""
    seconds = duration.total_seconds()
    if seconds < 10:
        return _("a few seconds")
    if seconds < 90:
        rounded = round(seconds / 10) * 10
        return ngettext("about %(number)s second", "about %(number)s seconds", rounded)
    words = format_timedelta(duration, locale=language.spoken(), threshold=1.5)
    return _("about %(duration)s", duration=words)


def cause(code: str) -> str:
    """Return in words why an item waits for somebody or was passed over."""
    return _(CAUSES[code]) if code in CAUSES else code.replace("_", " ")


def count(number: int) -> str:
    """Return a count with the separators of the reader's language between thousands."""
    return format_decimal(number, locale=language.spoken())


def initials(name: str) -> str:
    """Return the two letters that stand for a person."""
    words = [word for word in name.split() if word[:1].isalpha()] or [name or "?"]
    return (words[0][:1] + (words[-1][:1] if len(words) > 1 else "")).upper()


def badge(state: str, words: str = "") -> Markup:
    """Return the badge of a state; ``words`` replace the usual ones."""
    label, kind = STATES.get(state, (state.replace("_", " "), ""))
    shown = words or language.sentence_in_sense("state", label)
    return Markup('<span class="badge {}">{}</span>').format(kind, shown)


def event_badge(state: str) -> Markup:
    """Return the badge of an event's state."""
    label = EVENT_WORDS.get(state)
    return badge(state, language.sentence_in_sense("event", label) if label else "")


def thing(object_type: str) -> str:
    """Return what an entry of the audit log is about, in words."""
    return language.sentence_in_sense("thing", object_type.replace("_", " "))


def mail_badge(state: str) -> Markup:
    """Return the badge of a mail's state, in the words that mails use."""
    kinds = {"sent": "ok", "bounced": "bad", "complained": "warn", "limited": "info"}
    label, kind = STATES.get(state, (state.replace("_", " "), ""))
    known = MAIL_WORDS.get(state)
    words = _(known) if known else language.sentence_in_sense("state", label)
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


def amount_to_type(minor: int, currency: str) -> str:
    """Return an amount for a form's field, as its reader would type it."""
    return money.typed(minor, currency, reader_locale())


def percent_to_type(points: int) -> str:
    """Return basis points as a percentage for a form's field: 7,5 for 750 in German."""
    return format_decimal(points / 100, "0.##", locale=reader_locale())


def reader_locale() -> str:
    """Return the locale of whoever reads the page: their language in the organisation's region."""
    return locale_of(language.spoken(), identity().tenant_locale)


@lru_cache(maxsize=256)
def locale_of(spoken: str, tenant_locale: str) -> str:
    """Return the locale of a language in an organisation's region: ``en_DE`` for de-DE."""
    own, _mark, region = tenant_locale.replace("-", "_").partition("_")
    if own == spoken or not region:
        return tenant_locale.replace("-", "_") if own == spoken else spoken
    try:
        return str(Locale.parse(f"{spoken}_{region.rpartition('_')[2]}"))
    except (UnknownLocaleError, ValueError):
        return spoken


@lru_cache(maxsize=64)
def _content_hash(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
