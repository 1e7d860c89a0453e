"""An event with attendees, and exports of it that are made on the spot."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select, update

from meet2be.attendees.models import Attendee
from meet2be.audit.services import SYSTEM
from meet2be.db import Database
from meet2be.events.models import Event
from meet2be.exports.models import Export
from meet2be.exports.running import Counter, run_export
from meet2be.exports.services import Asked, request_export
from meet2be.exports.spec import ExportSpec
from meet2be.integrations.storage import Store
from meet2be.integrations.storage_local import LocalStore
from meet2be.notifications.models import Notification
from meet2be.tenancy.models import Membership, Tenant
from onqueue.contracts import Clock
from support.factories import Ticket, make_event, make_order, make_tenant, make_user


@dataclass
class Control:
    """A job that goes on; `at` is called at each look."""

    looks: list[int] = field(default_factory=list)
    at: Any = None

    def ensure_lease(self) -> None:
        self.looks.append(1)
        if self.at is not None:
            self.at()


@dataclass
class Exporting:
    """Everything a test of exports needs."""

    counter: Counter
    tenant: Tenant
    event: Event
    person: int

    @property
    def database(self) -> Database:
        return self.counter.database

    def sell(self, *names: str, **fields: Any) -> None:
        """Sell a ticket to each."""
        for name in names:
            make_order(self.database, self.event, [Ticket(name=name, email=None, price=1250)])
            if fields:
                self.change(name, **fields)

    def change(self, who: str, /, **fields: Any) -> None:
        with self.database.tenant_session(self.tenant.id) as session:
            session.execute(update(Attendee).where(Attendee.name == who).values(**fields))
            session.commit()

    def ask(self, **spec: Any) -> Asked:
        with self.database.tenant_session(self.tenant.id) as session:
            asked = request_export(
                session, self.event, self.spec(**spec), self.person, SYSTEM,
                self.counter.clock.now(),
            )  # fmt: skip
            session.commit()
        return asked

    def spec(self, **changes: Any) -> ExportSpec:
        usual = ExportSpec(
            format="csv", columns=("name",), language="en", timezone="Europe/Berlin",
            delimiter="comma",
        )  # fmt: skip
        return replace(usual, **changes)

    def run(self, uid: str, control: Control | None = None) -> Export:
        run_export(self.counter, self.tenant.id, uid, control or Control())
        return self.export(uid)

    def make(self, **spec: Any) -> tuple[Export, bytes]:
        """Ask for an export, make it, and return it with its file (empty when there is none)."""
        export = self.run(self.ask(**spec).export.uid)
        if export.state != "ready":
            return export, b""
        with self.counter.store.open(export.storage_key) as file:
            return export, file.read()

    def export(self, uid: str) -> Export:
        with self.database.tenant_session(self.tenant.id, read_only=True) as session:
            return session.scalars(select(Export).where(Export.uid == uid)).one()

    def notices(self) -> list[Notification]:
        with self.database.tenant_session(self.tenant.id, read_only=True) as session:
            return list(session.scalars(select(Notification).order_by(Notification.id)))

    def forget_notices(self) -> None:
        with self.database.tenant_session(self.tenant.id) as session:
            session.execute(delete(Notification))
            session.commit()

    def demote(self) -> None:
        """Take the person's right to export away."""
        with self.database.tenant_session(self.tenant.id) as session:
            session.execute(
                update(Membership).where(Membership.user_id == self.person).values(role="viewer")
            )
            session.commit()

    def remove(self) -> None:
        """Remove the person from the organisation."""
        with self.database.tenant_session(self.tenant.id) as session:
            session.execute(delete(Membership).where(Membership.user_id == self.person))
            session.commit()

    def suspend(self) -> None:
        with self.database.system_session("tests: suspend") as session:
            session.execute(
                update(Tenant).where(Tenant.id == self.tenant.id).values(status="suspended")
            )
            session.commit()


@contextmanager
def exporting(
    database: Database, clock: Clock, folder: Path, store: Store | None = None, **event: object
) -> Iterator[Exporting]:
    """Yield an event without attendees and somebody who may export them."""
    tenant = make_tenant(database)
    person = make_user(database, tenant, "organiser")
    counter = Counter(database, store or LocalStore(folder / "files"), clock, folder / "work")
    yield Exporting(counter, tenant, make_event(database, tenant, **event), person.id)
