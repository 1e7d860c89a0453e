"""Leaving an organisation: the place, and all that was made under it, in one commit."""

from __future__ import annotations

from sqlalchemy.orm import Session

from meet2be.accounts import members
from meet2be.accounts.members import Authority
from meet2be.accounts.models import User
from meet2be.api_tokens.services import end_tokens_of
from meet2be.db import clock_of


def remove(session: Session, user_uid: str, by: Authority) -> User:
    """Take a member's place away with their log-ins, invitations and API tokens.

    Returns who it was; the caller commits. Raises ``UnknownMember``, ``RoleTooHigh``,
    ``LastOwner``.
    """
    person = members.remove(session, user_uid, by)
    end_tokens_of(session, person.id, by.actor, clock_of(session).now())
    return person
