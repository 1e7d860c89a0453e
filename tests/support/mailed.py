"""What was mailed, as its reader would use it."""

import re

from sqlalchemy import select

from meet2be.db import Database
from meet2be.mailings.models import Mail

_LINK = re.compile(r"https?://[^/\s]+(/\S+)")


def mails_of(database: Database, kind: str) -> list[Mail]:
    """Return the mails of a kind, the oldest first."""
    with database.system_session("tests: read the outbox", read_only=True) as session:
        return list(session.scalars(select(Mail).where(Mail.kind == kind).order_by(Mail.id)))


def link_in(database: Database, kind: str) -> str:
    """Return the path of the link in the newest mail of a kind."""
    found = _LINK.search(mails_of(database, kind)[-1].body_text or "")
    assert found is not None, f"the mail '{kind}' holds no link"
    return found[1]
