"""An organisation with an owner and an admin, and its pages on a database."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from werkzeug.test import TestResponse

from meet2be.db import Database
from meet2be.tenancy.models import Tenant
from onqueue.testing.clock import FakeClock
from support.factories import make_tenant
from support.mailed import link_in
from support.web import Person, Web, web_on

NEW = "quite another password 8"


@dataclass
class House:
    """An organisation, its pages and its people."""

    web: Web
    database: Database
    clock: FakeClock
    tenant: Tenant
    owner: Person
    admin: Person

    def invite(self, email: str, role: str = "organiser", language: str = "en") -> TestResponse:
        return self.admin.post(
            "/settings/members/invite", email=email, role=role, language=language
        )

    def accept(self, person: Person, **fields: str) -> TestResponse:
        """Send the form behind the newest invitation."""
        path = link_in(self.database, "invitation")
        return person.client.post(path, data={"csrf_token": person.token(), **fields})

    def fresh_tenant(self) -> Tenant:
        with self.database.system_session("tests", read_only=True) as session:
            return session.get_one(Tenant, self.tenant.id)


@contextmanager
def housed(database: Database, clock: FakeClock, folder: Path) -> Iterator[House]:
    """Yield the organisation and its pages."""
    with web_on(database, clock, folder) as web:
        tenant = make_tenant(database, name="Aurora")
        owner = web.person(tenant, "owner", name="Olga Owner", email="olga@example.org")
        admin = web.person(tenant, "admin", name="Ada Admin", email="ada@example.org")
        yield House(web, database, clock, tenant, owner, admin)
