"""From what providers send to news: of SES, and a plain signed form for all others."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from meet2be.mailings.errors import ForgedNews
from meet2be.mailings.models import NEWS_TYPES
from meet2be.mailings.news import News

TOLERANCE: Final = timedelta(minutes=5)
MOST_AT_ONCE: Final = 1_000
_SOFT: Final = frozenset({"Transient", "Undetermined"})


def of_ses(text: str, key: str, now: datetime) -> list[News]:
    """Return the news in a notification or event of SES; of other kinds none.

    Raises ``ForgedNews`` for what is no such thing.
    """
    given = _object(text)
    kind = str(given.get("notificationType") or given.get("eventType") or "")
    mail = given.get("mail")
    if not isinstance(mail, dict):
        raise ForgedNews("it tells of no mail")
    return list(_of_ses(given, kind, mail, key, now))


def _of_ses(
    given: dict[str, Any], kind: str, mail: dict[str, Any], key: str, now: datetime
) -> Iterator[News]:
    detail: Any = given.get(kind[:1].lower() + kind[1:]) or {}
    people: list[Any]
    if kind == "Bounce":
        is_soft = detail.get("bounceType") in _SOFT
        word, people = "soft_bounce" if is_soft else "hard_bounce", detail["bouncedRecipients"]
    elif kind == "Complaint":
        word, people = "complaint", detail["complainedRecipients"]
    elif kind == "Delivery":
        word, people = "delivered", detail["recipients"]
    else:
        return
    headers = mail.get("commonHeaders") or {}
    for person in people[:MOST_AT_ONCE]:
        address = person if isinstance(person, str) else str(person["emailAddress"])
        why = "" if isinstance(person, str) else str(person.get("diagnosticCode") or "")
        yield News(
            "ses",
            key,
            word,
            address,
            _moment(detail.get("timestamp"), now),
            message_id=headers.get("messageId"),
            provider_id=mail.get("messageId"),
            detail=why or str(detail.get("complaintFeedbackType") or ""),
        )


def of_signed_form(body: bytes, signature: str, secret: str, now: datetime) -> list[News]:
    """Return the news of a signed message: ``{"events": [{…}]}``, documented in the how-to.

    The header is ``t=<seconds>,v1=<hex>``: HMAC-SHA256 of ``<seconds>.<body>`` with the shared
    secret. Raises ``ForgedNews``.
    """
    _check_signature(body, signature, secret, now)
    events = _object(body).get("events")
    if not isinstance(events, list) or len(events) > MOST_AT_ONCE:
        raise ForgedNews(f"'events' must be a list of at most {MOST_AT_ONCE}")
    return [_of_form(event, now) for event in events]


def _of_form(event: Any, now: datetime) -> News:
    if not isinstance(event, dict) or event.get("type") not in NEWS_TYPES:
        raise ForgedNews(f"each event has a 'type': {', '.join(NEWS_TYPES)}")
    if not event.get("id") or not event.get("address"):
        raise ForgedNews("each event has an 'id' and an 'address'")
    return News(
        "generic",
        str(event["id"]),
        str(event["type"]),
        str(event["address"]),
        _moment(event.get("at"), now),
        message_id=_text(event.get("message_id")),
        provider_id=_text(event.get("provider_id")),
        detail=str(event.get("detail") or ""),
    )


def _check_signature(body: bytes, signature: str, secret: str, now: datetime) -> None:
    parts = dict(part.split("=", 1) for part in signature.split(",") if "=" in part)
    stamp, given = parts.get("t", ""), parts.get("v1", "")
    if not stamp.isdecimal() or len(stamp) > 12:
        raise ForgedNews("the signature has no time")
    if abs(now - datetime.fromtimestamp(int(stamp), UTC)) > TOLERANCE:
        raise ForgedNews("the signature is too old, or of the future")
    ours = hmac.new(secret.encode(), f"{stamp}.".encode() + body, "sha256").hexdigest()
    if not hmac.compare_digest(ours.encode(), given.encode()):
        raise ForgedNews("the signature does not fit")


def _object(text: str | bytes) -> dict[str, Any]:
    try:
        given = json.loads(text)
    except ValueError as error:
        raise ForgedNews("it is no JSON") from error
    if not isinstance(given, dict):
        raise ForgedNews("it is no object")
    return given


def _moment(value: Any, now: datetime) -> datetime:
    """Return a moment of the message; what is none, or of the future, is now."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return now
    return min(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC), now)


def _text(value: Any) -> str | None:
    return str(value) if value else None
