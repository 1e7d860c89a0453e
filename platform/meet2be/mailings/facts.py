"""What happens with mails, in the past tense; jobs are hung onto these."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MailsQueued:
    """New mails stand in the outbox: `SendMails` jobs take some each."""

    mails: tuple[int, ...]
