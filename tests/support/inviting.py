"""People who invite, join and leave, without the pages."""

from dataclasses import dataclass

from sqlalchemy import select

from meet2be.accounts import invitations, members
from meet2be.accounts.members import Authority
from meet2be.accounts.models import User
from meet2be.audit.services import Actor
from meet2be.db import Database
from meet2be.mailings.services import Sender
from meet2be.organisations import leaving
from meet2be.tenancy.models import Invitation, Tenant
from onqueue.testing.clock import FakeClock
from support.factories import make_tenant, make_user
from support.mailed import link_in

SENDER = Sender("Aurora", "events@aurora.example")
NEW_PASSWORD = "quite another password 8"


@dataclass
class Inviting:
    """An organisation whose people invite others."""

    database: Database
    clock: FakeClock
    tenant: Tenant

    def member(self, role: str, **fields: object) -> User:
        return make_user(self.database, self.tenant, role, **fields)

    def elsewhere(self) -> "Inviting":
        """Return another organisation."""
        return inviting(self.database, self.clock)

    def invite(self, by: User, by_role: str, email: str, role: str) -> str:
        """Invite somebody and return the link's secret."""
        with self.database.tenant_session(self.tenant.id) as session:
            invitations.invite(session, email, role, "en-GB", host(by, by_role), self.clock.now())
            session.commit()
        return link_in(self.database, "invitation").rpartition("/")[2]

    def resend(self, by: User, by_role: str, email: str) -> None:
        with self.database.tenant_session(self.tenant.id) as session:
            uid = session.scalars(select(Invitation.uid).where(Invitation.email == email)).one()
            invitations.resend(session, uid, host(by, by_role), self.clock.now())
            session.commit()

    def join(self, secret: str, name: str = "Nora Neu") -> User:
        """Accept as somebody new; raises what the service does."""
        with self.database.system_session("tests: join") as session:
            user, _tenant = invitations.accept_as_new(
                session, secret, name, NEW_PASSWORD, "en-GB", self.clock.now()
            )
            session.commit()
            return user

    def remove(self, person: User, by: User, by_role: str = "owner") -> None:
        with self.database.tenant_session(self.tenant.id) as session:
            leaving.remove(session, person.uid, authority(by, by_role))
            session.commit()

    def change_role(self, person: User, role: str, by: User, by_role: str = "owner") -> None:
        with self.database.tenant_session(self.tenant.id) as session:
            members.change_role(session, person.uid, role, authority(by, by_role))
            session.commit()


def authority(person: User, role: str) -> Authority:
    """Return what a person of a role may give."""
    return Authority(Actor("user", str(person.id)), role)


def host(person: User, role: str) -> invitations.Host:
    """Return somebody who invites."""
    return invitations.Host(authority(person, role), person.name, SENDER, "http://localhost")


def inviting(database: Database, clock: FakeClock) -> Inviting:
    """Return an organisation without people."""
    return Inviting(database, clock, make_tenant(database, name="Aurora"))
