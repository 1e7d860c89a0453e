"""Who stands in the audit log for what a request did."""

from __future__ import annotations

from meet2be.audit.services import Actor
from meet2be.web.security import browser, identity


def actor() -> Actor:
    """Return the person of this request; operators outside their own organisations as such."""
    person, origin = identity(), browser()
    kind = "operator" if person.role is None else "user"
    return Actor(kind, str(person.user_id), ip=origin.ip, user_agent=origin.user_agent)
