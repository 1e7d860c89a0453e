"""A conference with attendees of every kind, its pages, and people who look at them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from meet2be.db import Database
from onqueue.testing.clock import FakeClock
from simulators.processes import ProviderProcess
from support.cancelling import Conference, conference
from support.factories import Sale, Ticket
from support.web import Person, Web, web_on


@dataclass
class Stage:
    """Everything a test of the pages needs."""

    web: Web
    conference: Conference
    people: dict[str, Person] = field(default_factory=dict)

    def as_a(self, role: str) -> Person:
        """Return somebody of the organisation with that role, logged in once a test."""
        if role not in self.people:
            person = (
                self.web.operator()
                if role == "operator"
                else self.web.person(self.conference.tenant, role)
            )
            self.people[role] = person
        return self.people[role]

    @property
    def admin(self) -> Person:
        return self.as_a("admin")

    @property
    def run_path(self) -> str:
        return f"/cancellations/{self.conference.run_uid}"

    @property
    def event_path(self) -> str:
        return f"/events/{self.conference.event.uid}"


def fill(of: Conference) -> None:
    """Sell tickets of every kind."""
    of.sell_all(
        Sale([Ticket(name="Ada Arden", email="ada@example.org"), Ticket(name="Abe Arden")]),
        Sale([Ticket(name="Bea Nomail", email=None)]),
        Sale([Ticket(name="Cy Disputed")], payment="disputed"),
        Sale([Ticket(name="Di Pending")], payment="pending"),
        Sale([Ticket(name="Ed Free", price=0)], payment=None),
        Sale([Ticket(name="Flo Part", price=40_000, refunded=10_000)]),
        Sale([Ticket(name="Gus Here", status="checked_in")]),
    )


@contextmanager
def staged(
    database: Database, clock: FakeClock, provider: ProviderProcess, folder: Path
) -> Iterator[Stage]:
    """Yield a stage on a database."""
    with (
        conference(database, clock, provider, title="Aurora Summit") as made,
        web_on(database, clock, folder, made.desk.payments) as web,
    ):
        fill(made)
        yield Stage(web, made)
