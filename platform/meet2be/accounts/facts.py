"""What happens with people, in the past tense; jobs are hung onto these."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WelcomesWanted:
    """Welcome mails stand in the outbox, without their text: a ``SendWelcomeEmail`` job each.

    ``mails`` are pairs of a mail and what its reader's limit is counted by.
    """

    tenant_id: int
    mails: tuple[tuple[int, str], ...]
