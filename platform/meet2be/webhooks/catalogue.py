"""What endpoints can be told: every type with its words and a sample of its data.

The page `docs/reference/webhook-events.md` is made from this table. Types stay once published;
their data may get more fields. None carries names, addresses or other data of persons: whoever
needs those asks the API for the subject, or has it sent whole.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from meet2be.language import N_

PING: Final = "webhook.ping"
TYPE_FORM: Final = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")
"""Standard Webhooks 1.0.0, "Event types": names joined by full stops."""


@dataclass(frozen=True, slots=True)
class EventType:
    """One type: its name, what happened in a few words, its subject, and a sample of `data`."""

    name: str
    words: str
    subject: str
    sample: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Group:
    """Types that are about the same kind of thing, for the page where they are chosen."""

    name: str
    words: str
    types: tuple[EventType, ...]


_EVENT = "e7k3m9q2x5w8r4t6y1p0s2d4fg"
_REFUND = {"amount_minor": 11900, "currency": "EUR", "order": "Q7WK2", "payment": "p4f8"}
_ORDER = {
    "code": "Q7WK2", "total_minor": 23800, "currency": "EUR", "test_mode": False, "attendees": 2,
}  # fmt: skip
_KIND = {"price_minor": 39900, "currency": "EUR", "quota": 200, "sold": 140, "closed": False}
_MAIL = {"kind": "event_cancelled", "related_type": "cancel_item"}
_EXPORT = {"format": "xlsx", "rows": 5000, "bytes": 412_345}
_IMPORT = {
    "kind": "attendees", "rows": 5000, "created": 4980, "updated": 7, "skipped": 10, "failed": 3,
    "undone": 0, "kept": 0,
}  # fmt: skip
_UNDONE = {**_IMPORT, "created": 0, "updated": 0, "undone": 4985, "kept": 2}

GROUPS: Final = (
    Group(
        "event",
        N_("Events"),
        (
            EventType("event.created", N_("An event was made"), "event", {"status": "draft"}),
            EventType(
                "event.updated",
                N_("An event was changed"),
                "event",
                {"status": "live", "changed": ["place", "title"]},
            ),
            EventType("event.published", N_("An event was published"), "event", {"status": "live"}),
            EventType(
                "event.unpublished",
                N_("An event was taken off its public page"),
                "event",
                {"status": "draft"},
            ),
            EventType(
                "event.archived",
                N_("An event was put into the archive"),
                "event",
                {"status": "archived", "before": "cancelled"},
            ),
            EventType(
                "event.restored",
                N_("An event was taken out of the archive"),
                "event",
                {"status": "cancelled"},
            ),
            EventType(
                "event.cancelling",
                N_("The cancellation of an event has begun"),
                "event",
                {"run": "c2r8", "attendees": 5000},
            ),
            EventType(
                "event.cancelled",
                N_("An event is cancelled"),
                "event",
                {"run": "c2r8", "state": "done"},
            ),
            EventType(
                "event.cancellation_aborted",
                N_("The cancellation of an event was aborted"),
                "event",
                {"run": "c2r8"},
            ),
            EventType(
                "event.statistics_updated",
                N_("An event's figures were computed anew"),
                "event",
                {"as_of": "2026-11-22T09:00:00Z", "sold": 412, "attendees": 410},
            ),
        ),
    ),
    Group(
        "order",
        N_("Orders"),
        (
            EventType("order.created", N_("An order was placed"), "order", _ORDER),
            EventType("order.paid", N_("An order is paid"), "order", _ORDER),
            EventType(
                "order.failed",
                N_("An order could not be completed"),
                "order",
                {**_ORDER, "step": "process_payment", "code": "card_declined"},
            ),
            EventType("order.completed", N_("An order is complete"), "order", _ORDER),
            EventType("order.shipped", N_("An order was handed to the carrier"), "order", _ORDER),
            EventType("order.cancelled", N_("An order was cancelled"), "order", _ORDER),
            EventType("order.expired", N_("An order was not paid in time"), "order", _ORDER),
        ),
    ),
    Group(
        "ticket_type",
        N_("Tickets"),
        (
            EventType("ticket_type.created", N_("A ticket type was created"), "ticket_type", _KIND),
            EventType(
                "ticket_type.updated",
                N_("A ticket type was changed"),
                "ticket_type",
                {**_KIND, "changed": ["price_minor"]},
            ),
            EventType(
                "ticket_type.closed",
                N_("A ticket type is no longer sold"),
                "ticket_type",
                {**_KIND, "closed": True},
            ),
            EventType(
                "ticket_type.reopened",
                N_("A ticket type is sold again"),
                "ticket_type",
                _KIND,
            ),
            EventType(
                "ticket_type.sold_out",
                N_("The last ticket of a kind is sold"),
                "ticket_type",
                {"quota": 50, "sold": 50},
            ),
        ),
    ),
    Group(
        "attendee",
        N_("Attendees"),
        (
            EventType(
                "attendee.created",
                N_("An attendee was added"),
                "attendee",
                {"status": "active", "order": "Q7WK2"},
            ),
            EventType(
                "attendee.updated",
                N_("An attendee was changed"),
                "attendee",
                {"status": "active", "changed": ["email"]},
            ),
            EventType(
                "attendee.cancelled",
                N_("An attendee's ticket was cancelled"),
                "attendee",
                {"status": "cancelled", "order": "Q7WK2", "refund_state": "done"},
            ),
        ),
    ),
    Group(
        "refund",
        N_("Refunds"),
        (
            EventType("refund.pending", N_("A refund is under way"), "refund", _REFUND),
            EventType("refund.succeeded", N_("A refund was made"), "refund", _REFUND),
            EventType(
                "refund.failed",
                N_("A refund was refused"),
                "refund",
                {**_REFUND, "code": "expired_or_canceled_card"},
            ),
            EventType(
                "refund.uncertain",
                N_("Nobody knows yet whether a refund was made"),
                "refund",
                {**_REFUND, "code": "timeout"},
            ),
        ),
    ),
    Group(
        "mail",
        N_("Mail"),
        (
            EventType("mail.bounced", N_("A mail came back"), "mail", _MAIL),
            EventType("mail.complained", N_("A recipient complained of a mail"), "mail", _MAIL),
            EventType(
                "mail.failed",
                N_("A mail could not be sent"),
                "mail",
                {**_MAIL, "code": "550"},
            ),
        ),
    ),
    Group(
        "export",
        N_("Exports"),
        (
            EventType("export.ready", N_("An export is ready"), "export", _EXPORT),
            EventType(
                "export.failed",
                N_("An export failed"),
                "export",
                {"format": "pdf", "code": "too_many_rows"},
            ),
            EventType("export.expired", N_("An export's file was removed"), "export", _EXPORT),
        ),
    ),
    Group(
        "import",
        N_("Imports"),
        (
            EventType("import.done", N_("An import is done"), "import", _IMPORT),
            EventType(
                "import.failed",
                N_("An import failed"),
                "import",
                {**_IMPORT, "code": "stopped"},
            ),
            EventType("import.undone", N_("An import was undone"), "import", _UNDONE),
        ),
    ),
    Group(
        "member",
        N_("Members"),
        (
            EventType(
                "member.invited", N_("A person was invited"), "invitation", {"role": "admin"}
            ),
            EventType("member.joined", N_("A person joined"), "member", {"role": "organiser"}),
            EventType("member.removed", N_("A person was removed"), "member", {"role": "viewer"}),
            EventType(
                "member.role_changed",
                N_("A person has another role"),
                "member",
                {"role": "admin", "before": "viewer"},
            ),
        ),
    ),
)

TYPES: Final[Mapping[str, EventType]] = {
    each.name: each for group in GROUPS for each in group.types
}
TEST: Final = EventType(
    PING,
    N_("A test that somebody sent by hand"),
    "endpoint",
    {"message": "It works. No event of yours has caused this."},
)
"""Never chosen: sent to one endpoint when a person asks for it."""


def unknown_types(names: Iterable[str]) -> list[str]:
    """Return those that no endpoint can be told, in their order."""
    return [name for name in names if name not in TYPES]


def words_of(name: str) -> str:
    """Return a type's words, its name for one that is not in the catalogue any more."""
    if name == PING:
        return TEST.words
    known = TYPES.get(name)
    return name if known is None else known.words


def sample_of(name: str) -> Mapping[str, Any]:
    """Return a sample of a type's data; raises ``KeyError``."""
    return TEST.sample if name == PING else TYPES[name].sample


SAMPLE_EVENT: Final = _EVENT
"""The conference of the samples."""


def reference() -> str:
    """Return the page `docs/reference/webhook-events.md`."""
    lines = [_HEAD]
    for group in GROUPS:
        lines += [f"## {group.words}", ""]
        for each in group.types:
            sample = json.dumps(dict(each.sample), indent=2, ensure_ascii=False)
            lines += [
                f"### `{each.name}`", "", f"{each.words}. Subject: `{each.subject}`.", "",
                "```json", sample, "```", "",
            ]  # fmt: skip
    return "\n".join(lines).rstrip() + "\n"


_HEAD: Final = f"""# What webhooks tell

Each body looks like this; below each kind stands what its `data` bears. Fields may be added, so
read what you know and pass over the rest. The page is made from `meet2be.webhooks.catalogue` by
`python -m meet2be.webhooks.catalogue`, and a test holds it against it. How to receive and verify
webhooks: [Receive webhooks](../how-to/receive-webhooks.md).

```json
{{
  "data": {{}},
  "event": "{_EVENT}",
  "id": "w3n8c5v1b7z2k9j4h6g0f5d3sa",
  "sequence": 4711,
  "subject": {{"type": "refund", "uid": "r5t7y2u9"}},
  "test": false,
  "timestamp": "2026-11-22T09:00:00.000000Z",
  "type": "refund.succeeded",
  "version": "2026-11-01"
}}
```

An endpoint that is to be sent the whole object gets a member `object` beside `data`: the subject
as the API gives it, or null ([more](../how-to/receive-webhooks.md#the-whole-object)).

`event` is the conference it belongs to, or null. `test` is true only for `{PING}`, which somebody
sends by hand.

**Imports are told as a whole.** A list may hold hundreds of thousands of attendees, so the rows of
an import make no `attendee.created` and `attendee.updated` of their own: `import.done` comes once,
with counts, when all is written, `import.undone` once when it was taken back. `import.failed` says
by its `code` what was cut short: `stopped` the writing, `undone_in_part` an undo; its counts say
how far it came. Read the attendees then by the API (`GET /api/v1/events/…/attendees`) or an export.
"""

if __name__ == "__main__":
    sys.stdout.write(reference())
