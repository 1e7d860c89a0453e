"""Who hears of an import: whose it is, else the administrators, and endpoints that want to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.accounts.announcements import JOINED, ROLE_CHANGED, announce_many
from meet2be.accounts.models import User
from meet2be.imports.errors import unpacked
from meet2be.imports.models import Import
from meet2be.imports.outcomes import Outcome
from meet2be.language import Message
from meet2be.notifications.services import Notice, notify_who_began
from meet2be.tenancy.models import Membership
from meet2be.webhooks.publishing import Announcement, is_wanted, publish

DONE, FAILED, UNDONE = "import.done", "import.failed", "import.undone"


def announce_rows(session: Session, found: Import, outcomes: Sequence[Outcome]) -> None:
    """Announce whom a chunk gave a place or another role.

    Attendees are not announced one by one: lists have up to a million, and an endpoint would be
    busy with them for hours while what is newer waits behind. `import.done` tells of all of them.
    """
    if found.kind == "users":
        announce_members(
            session,
            {
                outcome.entity_id: outcome
                for outcome in outcomes
                if outcome.state in {"created", "updated"} and outcome.entity_id is not None
            },
        )


def announce_members(session: Session, written: Mapping[int, Outcome]) -> None:
    """Announce who has a place since, or another role; by the numbers of their places."""
    if not is_wanted(session, JOINED, ROLE_CHANGED):
        return
    people = session.execute(
        select(Membership.id, Membership.role, User.uid)
        .join(User, User.id == Membership.user_id)
        .where(Membership.id.in_(written))
    )
    announce_many(
        session,
        (
            (JOINED, uid, {"role": role})
            if written[number].state == "created"
            else (ROLE_CHANGED, uid, {"role": role, "before": _role_before(written[number])})
            for number, role, uid in people
        ),
    )


def _role_before(outcome: Outcome) -> str:
    return str((outcome.before or {}).get("role", ""))


def tell_end(session: Session, found: Import, rows: Counter[str], now: datetime) -> None:
    """Tell of an import that has ended, in its commit."""
    is_bad = found.state == "failed"
    name = UNDONE if found.state == "undone" else FAILED if is_bad else DONE
    _announce(session, found, name, rows, now, "stopped" if is_bad else "")
    _notify(session, found, _notice(found, rows), now)


def _announce(
    session: Session, found: Import, name: str, rows: Counter[str], now: datetime, code: str
) -> None:
    """Announce an import's end with its counts: the one word on all its attendees."""
    data: dict[str, object] = {
        "kind": found.kind,
        "rows": found.rows_total,
        "created": rows["created"],
        "updated": rows["updated"],
        "skipped": rows["skipped"] + rows["dup_in_file"] + rows["dup_existing"],
        "failed": rows["failed"] + rows["invalid"],
        "undone": rows["undone"],
        "kept": rows["kept"],
    }
    publish(
        session,
        Announcement(
            type=name,
            subject_type="import",
            subject_uid=found.uid,
            event_id=found.event_id,
            data=data | ({"code": code} if code else {}),
            dedupe_key=f"{name}:{found.uid}:{found.turn}",
            occurred_at=now,
        ),
    )


def tell_first_failure(session: Session, found: Import, now: datetime) -> None:
    """Tell the person that something went wrong while the rest goes on."""
    notice = Notice(
        kind=FAILED,
        severity="warning",
        title=Message("A part of your import failed"),
        body=Message(
            "Some rows of '%(file)s' could not be written. The others go on; what failed can be"
            " tried again.",
            {"file": found.filename},
        ),
        dedupe_key=f"import.part:{found.uid}:{found.turn}",
        link=f"/imports/{found.uid}",
        related_type="import",
        related_id=found.id,
    )
    _notify(session, found, notice, now)


def tell_half_undone(session: Session, found: Import, rows: Counter[str], now: datetime) -> None:
    """Tell that an undo ended before all was taken back, and why where one knows."""
    _announce(session, found, FAILED, rows, now, "undone_in_part")
    more = Message("Undo the import once more; what is taken back already stays so.")
    notice = Notice(
        kind=FAILED,
        severity="error",
        title=Message(
            "The import of '%(file)s' could not be undone as a whole", {"file": found.filename}
        ),
        body=more if found.error is None else unpacked(found.error),
        dedupe_key=f"import.undo:{found.uid}:{found.turn}",
        link=f"/imports/{found.uid}",
        related_type="import",
        related_id=found.id,
    )
    _notify(session, found, notice, now)


def _notify(session: Session, found: Import, notice: Notice, now: datetime) -> None:
    notify_who_began(session, found.tenant_id, found.uploaded_by, notice, now)


def _notice(found: Import, rows: Counter[str]) -> Notice:
    values = {
        "file": found.filename,
        "created": f"{rows['created']:,}",
        "updated": f"{rows['updated']:,}",
        "left": f"{found.rows_total - rows['created'] - rows['updated']:,}",
        "undone": f"{rows['undone']:,}",
        "kept": f"{rows['kept']:,}",
    }
    severity, title, body = _WORDS[_ending(found, rows)]

    return Notice(
        kind=FAILED if found.state == "failed" else DONE,
        severity=severity,
        title=Message(title, values),
        body=Message(body, values),
        dedupe_key=f"import.end:{found.uid}:{found.turn}",
        link=f"/imports/{found.uid}",
        related_type="import",
        related_id=found.id,
    )


def _ending(found: Import, rows: Counter[str]) -> str:
    """Return how an import has ended; an undo ends by what it took back."""
    if found.state != "undone" or not rows["kept"]:
        return found.state
    return "undone_in_part" if rows["undone"] else "undone_nothing"


def _words(severity: str, title: Message, body: Message) -> tuple[str, str, str]:
    return severity, title.sentence, body.sentence


_COUNTS = Message("Rows added: %(created)s. Changed: %(updated)s. Left out: %(left)s.")
_WORDS = {
    "done": _words("success", Message("'%(file)s' was imported"), _COUNTS),
    "done_with_errors": _words("warning", Message("'%(file)s' was imported, with errors"), _COUNTS),
    "cancelled": _words("info", Message("The import of '%(file)s' was cancelled"), _COUNTS),
    "failed": _words("error", Message("The import of '%(file)s' was stopped"), _COUNTS),
    "undone": _words(
        "info",
        Message("The import of '%(file)s' was undone"),
        Message("Rows taken back: %(undone)s."),
    ),
    "undone_in_part": _words(
        "warning",
        Message("The import of '%(file)s' was undone in part"),
        Message(
            "Rows taken back: %(undone)s. Rows that stay: %(kept)s; each says what was done since."
        ),
    ),
    "undone_nothing": _words(
        "warning",
        Message("Nothing of the import of '%(file)s' could be undone"),
        Message("Rows that stay: %(kept)s; each says what was done since."),
    ),
}
