"""Who stands in the audit log for what a request did."""

from __future__ import annotations

from meet2be.audit.services import Actor
from meet2be.web.security import browser, identity


def actor() -> Actor:
    """Return the person of this request; operators as such, whatever their role is here.

    They may everything in every organisation, so the log must tell them from its own people.
    """
    person, origin = identity(), browser()
    kind = "operator" if person.is_operator else "user"
    return Actor(kind, str(person.user_id), ip=origin.ip, user_agent=origin.user_agent)
