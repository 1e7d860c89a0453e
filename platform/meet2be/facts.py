"""Facts: what happened, noted on the session that makes it true.

A service notes a fact; the application's queueing turns the facts of a session into jobs within
the same commit. So services know no jobs, and a rolled-back fact causes none.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

_NOTED = "meet2be_facts"


def note(session: Session, fact: object) -> None:
    """Add a fact to those of the session's open transaction."""
    session.info.setdefault(_NOTED, []).append(fact)


def take(session: Session) -> list[Any]:
    """Return the noted facts in order and forget them; queueing calls this before the commit."""
    found: list[Any] = session.info.pop(_NOTED, [])
    return found
