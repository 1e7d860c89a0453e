"""What happens with mails, in the past tense; jobs are hung onto these."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MailsQueued:
    """New mails stand in the outbox: `SendMails` jobs take some each."""

    mails: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MailPosted:
    """One mail to one person stands in the outbox: a job of its own takes it.

    Which job that is depends on its ``kind``: some get their text only when they leave. ``person``
    is what the limit counts by; ``is_urgent`` ones are counted but never wait.
    ``tenant_id`` is whose mail it is, where the session that notes it is the platform's.
    """

    mail: int
    person: str
    is_urgent: bool
    tenant_id: int | None
    kind: str
