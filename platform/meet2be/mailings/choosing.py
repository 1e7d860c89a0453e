"""Which text a mail is written in: an organisation's own, of the event or of all, or ours.

In the reader's language as closely as there is one: ``de-AT``, then ``de``; then the organisation's
own words in its own language; then the platform's, in the reader's language or English. In each
language an event's own words come before the organisation's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Connection, Table, bindparam, select

from meet2be.mailings.models import MailTemplate
from meet2be.mailings.own_texts import OwnText
from meet2be.tenancy.models import Tenant

_TEMPLATES = cast("Table", MailTemplate.__table__)
_TENANTS = cast("Table", Tenant.__table__)
_ACTIVE = (
    select(
        _TEMPLATES.c.event_id, _TEMPLATES.c.key, _TEMPLATES.c.locale, _TEMPLATES.c.version,
        _TEMPLATES.c.subject, _TEMPLATES.c.text, _TEMPLATES.c.html, _TENANTS.c.locale.label("home"),
    )
    .join(_TENANTS, _TENANTS.c.id == _TEMPLATES.c.tenant_id)
    .where(
        _TEMPLATES.c.tenant_id == bindparam("tenant"),
        _TEMPLATES.c.key.in_(bindparam("keys", expanding=True)),
        _TEMPLATES.c.active,
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chosen:
    """An own text, with its language and version."""

    text: OwnText
    locale: str
    version: int


class OwnTexts:
    """The active own texts of one organisation for some templates; false when there are none."""

    def __init__(self, home: str, found: dict[tuple[str, int | None, str], Chosen]) -> None:
        self._home, self._found = home, found

    def __bool__(self) -> bool:
        return bool(self._found)

    def best(self, key: str, event_id: int | None, locale: str) -> Chosen | None:
        """Return the text for a reader of ``locale``; None: the platform's own is to be used."""
        for language in (*languages(locale), *languages(self._home)):
            for level in (event_id, None) if event_id is not None else (None,):
                chosen = self._found.get((key, level, language))
                if chosen is not None:
                    return chosen
        return None


NONE = OwnTexts("en", {})


def own_texts_for(connection: Connection, tenant: int | None, keys: Collection[str]) -> OwnTexts:
    """Return a tenant's own texts of these templates, by one small look-up."""
    if tenant is None:
        return NONE
    rows = connection.execute(_ACTIVE, {"tenant": tenant, "keys": sorted(keys)}).all()
    if not rows:
        return NONE
    newest: dict[tuple[str, int | None, str], Chosen] = {}
    for row in rows:
        place = (row.key, row.event_id, row.locale)
        if place not in newest or newest[place].version < row.version:
            text = OwnText(row.subject, row.text, row.html)
            newest[place] = Chosen(text, row.locale, row.version)
    return OwnTexts(rows[0].home, newest)


def languages(locale: str) -> Sequence[str]:
    """Return a locale and its language: ``de-AT``, ``de``."""
    whole = locale.replace("_", "-")
    language = whole.partition("-")[0].lower()
    return (whole,) if whole == language else (whole, language)
