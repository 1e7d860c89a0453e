"""What becomes of mails, announced to an organisation's webhooks: without addresses or texts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from meet2be.webhooks.publishing import Announcement, publish


def announce(session: Session, mail: Any, what: str, now: datetime, **more: Any) -> None:
    """Announce that a mail (a ``Mail`` or a row of it) ``bounced``, ``complained`` or ``failed``.

    Once for each mail and word; the platform's own mails are nobody's business. The caller commits.
    """
    if mail.tenant_id is None:
        return
    announcement = Announcement(
        type=f"mail.{what}",
        subject_type="mail",
        subject_uid=mail.uid,
        dedupe_key=f"mail.{what}:{mail.uid}",
        occurred_at=now,
        data={"kind": mail.kind, "related_type": mail.related_type, **more},
    )
    publish(session, announcement, tenant_id=mail.tenant_id)
