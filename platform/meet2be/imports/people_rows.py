"""Rows of a list as people of the organisation: each gets a place with a role.

An address that has an account elsewhere on the platform gets its place here like any other, and
nothing tells the difference: not the outcome, not a name, not the time it took.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete as remove
from sqlalchemy import exists, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from meet2be.accounts.members import lock_owners, seats_left
from meet2be.accounts.models import User, WebSession
from meet2be.attendees.addresses import normal_address, read_address
from meet2be.attendees.row_parsing import locale_name, unknown_language
from meet2be.db import clock_of
from meet2be.db.columns import new_uid
from meet2be.imports.cell_words import AROUND, LANGUAGES
from meet2be.imports.fields import FIELDS, Mapped
from meet2be.imports.outcomes import Outcome, SourceRow, Written, claim_of
from meet2be.language import Message
from meet2be.mailings.models import Mail
from meet2be.plain_text import unfit
from meet2be.tenancy.limits import limit_of
from meet2be.tenancy.models import ROLES, Membership

RANKS: Final[Mapping[str, int]] = {role: rank for rank, role in enumerate(reversed(ROLES))}
"""Roles by how much they may: the higher, the more."""
LONGEST_NAME: Final = 200
LONGEST_LOCALE: Final = 16
WRITTEN_ROLES: Final[Mapping[str, str]] = {
    "eigentümer": "owner",
    "inhaber": "owner",
    "inhaberin": "owner",
    "inhaberin oder inhaber": "owner",
    "administration": "admin",
    "administrator": "admin",
    "administratorin": "admin",
    "veranstalter": "organiser",
    "veranstalterin": "organiser",
    "organizer": "organiser",
    "organisation": "organiser",
    "organisator": "organiser",
    "organisatorin": "organiser",
    "betrachter": "viewer",
    "leser": "viewer",
    "nur lesen": "viewer",
    "reader": "viewer",
    "read-only": "viewer",
}
"""What lists call roles, beside their own names; all labels of our pages are among them."""
_QUIET: Final = {"synchronize_session": False}


@dataclass(frozen=True, slots=True)
class Importer:
    """Who imports: nobody gets more from them than they have. No role: an operator."""

    user_id: int | None
    role: str | None

    @property
    def rank(self) -> int:
        """Return how much they may."""
        return RANKS["owner"] if self.role is None else RANKS[self.role]


@dataclass(frozen=True, slots=True)
class _Person:
    number: int
    email: str
    email_norm: str
    name: str
    role: str
    locale: str


class PeopleRows:
    """The rows of one import of people; see `outcomes.Rows`."""

    def __init__(
        self, tenant_id: int, locale: str, mapping: Mapped, duplicates: str, importer: Importer
    ) -> None:
        """Know whose people they become and by whom."""
        self._tenant_id, self._locale = tenant_id, locale
        self._mapping, self._duplicates, self._importer = mapping, duplicates, importer
        self._words = {field.key: field.column for field in FIELDS["users"]}

    def order_of(self, cells: Sequence[str]) -> str:  # noqa: ARG002 -- people stand by themselves
        """Return nothing: each person stands alone."""
        return ""

    def check(self, session: Session, rows: Sequence[SourceRow]) -> list[Outcome]:
        """Return what would become of the rows, writing nothing; for seats see `seats`."""
        outcomes, people = self._read(rows, "invalid")
        here = self._members(session, people)
        for person in people:
            if person.email_norm in here:
                self._meet(outcomes[person.number], person, here[person.email_norm])
        return list(outcomes.values())

    def write(self, session: Session, rows: Sequence[SourceRow]) -> list[Outcome]:
        """Write the rows and return what became of them."""
        outcomes, people = self._read(rows, "failed")
        here = self._members(session, people)
        now = clock_of(session).now()
        new = []
        for person in people:
            outcome = outcomes[person.number]
            if person.email_norm not in here:
                new.append(person)
                continue
            member = here[person.email_norm]
            self._meet(outcome, person, member)
            if outcome.state == "valid":
                outcome.before, outcome.state = {"role": member.role}, "updated"
                outcome.entity_at = now
                session.execute(
                    update(Membership)
                    .where(Membership.id == member.id)
                    .values(role=person.role, updated_at=now),
                    execution_options=_QUIET,
                )
        self._join(session, new, outcomes, now)
        return list(outcomes.values())

    def raised(self) -> Mapping[int, int]:
        """Return nothing: people need no tickets."""
        return {}

    def undo(self, session: Session, rows: Sequence[Written]) -> list[Outcome]:
        """Take back the places that nobody has used or changed since."""
        outcomes = {row.row_no: Outcome(row.row_no, "undone") for row in rows}
        owners = lock_owners(session)
        found = session.scalars(
            select(Membership)
            .where(Membership.id.in_([row.entity_id for row in rows]))
            .order_by(Membership.id)
            .with_for_update()
        )
        places = {place.id: place for place in found}
        seen = set(
            session.scalars(
                select(WebSession.user_id).where(
                    WebSession.tenant_id == self._tenant_id,
                    WebSession.user_id.in_([place.user_id for place in places.values()]),
                )
            )
        )
        created: list[tuple[Written, Membership]] = []
        for row in rows:
            place = places.get(row.entity_id)
            if place is None:
                continue
            outcome = outcomes[row.row_no]
            if owners == {place.id}:
                why = Message("is the last owner by now, so the place stays.")
                outcome.refuse("kept", "", "", why)
                continue
            if place.updated_at != row.entity_at:
                why = Message("has got another role since, so the place stays.")
                outcome.refuse("kept", "", "", why)
            elif row.state == "updated" and row.before is not None:
                place.role = str(row.before["role"])
                owners.discard(place.id)
            elif place.user_id in seen:
                why = Message("has logged in since, so the place stays.")
                outcome.refuse("kept", "", "", why)
            else:
                created.append((row, place))
                owners.discard(place.id)
        session.flush()
        self._remove(session, created)
        return list(outcomes.values())

    # ---- parts ----

    def _read(
        self, rows: Sequence[SourceRow], refused: str
    ) -> tuple[dict[int, Outcome], list[_Person]]:
        outcomes: dict[int, Outcome] = {}
        people: list[_Person] = []
        for row in rows:
            outcome = outcomes[row.number] = Outcome(row.number, "valid")
            if row.problem is not None:
                outcome.refuse(refused, "", "", row.problem)
                continue
            person = self._person(row, outcome, refused)
            if person is not None:
                people.append(person)
        return outcomes, people

    def _person(self, row: SourceRow, outcome: Outcome, refused: str) -> _Person | None:
        written = self._cell(row, "email")
        name = self._cell(row, "name")
        if not name:
            name = f"{self._cell(row, 'first_name')} {self._cell(row, 'last_name')}".strip()
        name = " ".join(name.split())
        address = read_address(written)
        outcome.label = name[:LONGEST_NAME] or written[:LONGEST_NAME]
        if unfit(name):
            why = Message("holds a line break or control character. Take it out.")
            outcome.refuse(refused, self._words["name"], name, why)
        if len(name) > LONGEST_NAME:
            why = Message("is longer than %(most)s characters. Shorten it.", {"most": LONGEST_NAME})
            outcome.refuse(refused, self._words["name"], name, why)
        if address.email is None:
            why = Message("is no address that can be used. Correct it.")
            outcome.refuse(refused, self._words["email"], written, why)
        role = self._role(row, outcome, refused)
        if outcome.state != "valid" or address.email is None or role is None:
            return None
        norm = normal_address(address.email)
        outcome.claim = claim_of(norm)
        shown = name or address.email.partition("@")[0]
        language = self._language(row, outcome)
        return _Person(row.number, address.email, norm, shown, role, language)

    def _role(self, row: SourceRow, outcome: Outcome, refused: str) -> str | None:
        written = self._cell(row, "role")
        role = WRITTEN_ROLES.get(written.casefold(), written.casefold())
        if role not in RANKS:
            words = {"roles": ", ".join(ROLES)}
            why = Message("is no role. Use one of: %(roles)s.", words)
            outcome.refuse(refused, self._words["role"], written, why)
            return None
        if RANKS[role] > self._importer.rank:
            why = Message("is above your own role, so you cannot give it.")
            outcome.refuse(refused, self._words["role"], written, why)
            return None
        return role

    def _language(self, row: SourceRow, outcome: Outcome) -> str:
        written = self._cell(row, "language")
        if not written:
            return self._locale
        name = locale_name(LANGUAGES.get(written.casefold(), written))
        if name is None or len(name) > LONGEST_LOCALE:
            why = unknown_language(self._locale)
            outcome.note(self._words["language"], written, why, "warning")
            return self._locale
        return name

    def _cell(self, row: SourceRow, key: str) -> str:
        given = self._mapping.get(key, {})
        place = given.get("column")
        if place is None:
            return str(given.get("fixed", ""))
        return row.cells[place].strip(AROUND) if place < len(row.cells) else ""

    def _members(self, session: Session, people: Sequence[_Person]) -> dict[str, Membership]:
        """Return who of them has a place here already, by address."""
        found = session.execute(
            select(User.email_norm, Membership)
            .join(Membership, Membership.user_id == User.id)
            .where(User.email_norm.in_([person.email_norm for person in people]))
        )
        return {email: place for email, place in found}  # noqa: C416 -- rows are no tuples

    def _meet(self, outcome: Outcome, person: _Person, member: Membership) -> None:
        """Decide about somebody who is here; the row stays valid when it changes their role."""
        outcome.entity_id = member.id
        column = self._words["email"]
        if self._duplicates == "report":
            why = Message("has a place in the organisation already.")
            outcome.refuse("dup_existing", column, person.email, why)
        elif self._duplicates == "skip" or member.role == person.role:
            why = Message("has a place in the organisation already.")
            outcome.refuse("skipped", column, person.email, why)
        elif member.user_id == self._importer.user_id or member.role == "owner":
            why = Message("is an owner or yourself: such a role is changed on the members' page.")
            outcome.refuse("skipped", column, person.email, why)
        elif RANKS[member.role] > self._importer.rank:
            why = Message("has a role above your own, so you cannot change it.")
            outcome.refuse("skipped", column, person.email, why)

    def _join(
        self,
        session: Session,
        people: Sequence[_Person],
        outcomes: Mapping[int, Outcome],
        now: datetime,
    ) -> None:
        """Give each of them a place, and an account where they have none."""
        unique: dict[str, _Person] = {}
        for person in people:
            first = unique.setdefault(person.email_norm, person)
            if first is not person:
                outcomes[person.number].repeats = first.number
                why = Message("repeats row %(row)s: the same address.", {"row": first.number})
                outcomes[person.number].refuse(
                    "dup_in_file", self._words["email"], person.email, why
                )
        self._seat(session, unique, outcomes)
        accounts = self._accounts(session, unique)
        made = self._new_accounts(
            session, [each for norm, each in unique.items() if norm not in accounts], now
        )
        accounts |= made
        if not unique:
            return
        rows = [
            {
                "tenant_id": self._tenant_id,
                "user_id": accounts[norm],
                "role": person.role,
                "created_at": now,
                "updated_at": now,
            }
            for norm, person in unique.items()
        ]
        made_places = session.execute(
            insert(Membership).returning(Membership.user_id, Membership.id), rows
        )
        places = {user_id: number for user_id, number in made_places}  # noqa: C416 -- rows are no tuples
        for norm, person in unique.items():
            outcome = outcomes[person.number]
            outcome.state, outcome.entity_id = "created", places[accounts[norm]]
            outcome.entity_at = now
            outcome.before = {"user": accounts[norm], "is_new": norm in made}

    def _seat(
        self, session: Session, unique: dict[str, _Person], outcomes: Mapping[int, Outcome]
    ) -> None:
        """Refuse those for whom no seat is left; the first of the list get what there is.

        They count as failed: once there are more seats, another try takes them.
        """
        if not unique:
            return
        left = max(0, seats_left(session))
        why = no_seat(limit_of(session, "members"))
        for person in list(unique.values())[left:]:
            outcomes[person.number].refuse("failed", self._words["email"], person.email, why)
            del unique[person.email_norm]

    def _accounts(self, session: Session, unique: Mapping[str, _Person]) -> dict[str, int]:
        found = session.execute(select(User.email_norm, User.id).where(User.email_norm.in_(unique)))
        return {email: number for email, number in found}  # noqa: C416 -- rows are no tuples

    def _new_accounts(
        self, session: Session, people: Sequence[_Person], now: datetime
    ) -> dict[str, int]:
        if not people:
            return {}
        rows: list[dict[str, Any]] = [
            {
                "uid": new_uid(),
                "email": person.email,
                "email_norm": person.email_norm,
                "name": person.name,
                "locale": person.locale,
                "status": "invited",
                "is_operator": False,
                "created_at": now,
                "updated_at": now,
            }
            for person in people
        ]
        found = session.execute(insert(User).returning(User.email_norm, User.id), rows)
        return {email: number for email, number in found}  # noqa: C416 -- rows are no tuples

    def _remove(self, session: Session, created: Sequence[tuple[Written, Membership]]) -> None:
        if not created:
            return
        session.execute(
            remove(Membership).where(Membership.id.in_([place.id for _, place in created])),
            execution_options=_QUIET,
        )
        ours = [place.user_id for row, place in created if row.before and row.before.get("is_new")]
        # An account that got a place elsewhere meanwhile stays: the other organisations' places
        # are not seen from here, so the database is what refuses.
        for user_id in ours:
            statement = remove(User).where(
                User.id == user_id,
                User.status == "invited",
                ~exists().where(Mail.user_id == User.id),
            )
            try:
                with session.begin_nested():
                    session.execute(statement, execution_options=_QUIET)
            except IntegrityError:
                continue


def no_seat(most: int) -> Message:
    """Return why somebody gets no place."""
    return Message(
        "finds no seat: your organisation may have %(most)s members, open invitations included."
        " Ask the platform's operators for more, then try again what failed.",
        {"most": f"{most:,}"},
    )
