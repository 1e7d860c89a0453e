"""Imports in tests: an organisation, its store, and the steps done here without a queue."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from meet2be.accounts.models import User
from meet2be.attendees.models import Attendee
from meet2be.audit.services import SYSTEM
from meet2be.db import Database
from meet2be.events.models import Event
from meet2be.imports import services as verbs
from meet2be.imports.closing import chunks_to_do, end_step, stop_import
from meet2be.imports.desk import ImportDesk
from meet2be.imports.detection import Layout
from meet2be.imports.errors import ImportStopped, unpacked
from meet2be.imports.facts import Step
from meet2be.imports.lists import read_list
from meet2be.imports.models import Import, ImportRow
from meet2be.imports.queries import find_import, totals
from meet2be.imports.steps import work_chunk
from meet2be.integrations.storage_local import LocalStore
from meet2be.language import said
from meet2be.tenancy.models import Tenant
from onqueue.contracts import Clock
from support.factories import make_event, make_tenant, make_user

PEOPLE = "Name,E-mail,Company\r\n"


@dataclass
class Importing:
    """An organisation with an event, and somebody who imports into it."""

    database: Database
    desk: ImportDesk
    tenant: Tenant
    event: Event
    user: User
    made: list[str] = field(default_factory=list)

    # ---- what people do ----

    def upload(self, data: bytes | str, kind: str = "attendees", name: str = "list.csv") -> str:
        """Upload a file and return its import's name."""
        content = data.encode() if isinstance(data, str) else data
        with self.database.tenant_session(self.tenant.id) as session:
            given = verbs.Upload(
                kind,
                io.BytesIO(content),
                name,
                self.user.id,
                self.event if kind == "attendees" else None,
            )
            found = verbs.upload(session, self.desk.store, given, SYSTEM)
            session.commit()
            self.made.append(found.uid)
            return found.uid

    def layout(self, uid: str, encoding: str = "utf-8", delimiter: str = ",") -> None:
        """Read the file this way."""
        with self.database.tenant_session(self.tenant.id) as session:
            wanted = Layout(encoding=encoding, delimiter=delimiter)
            verbs.set_layout(session, self.desk.store, self.found(session, uid), wanted)
            session.commit()

    def map(self, uid: str, mapping: Mapping[str, Any] | None = None, **options: Any) -> None:
        """Map the columns, as suggested unless said otherwise."""
        with self.database.tenant_session(self.tenant.id) as session:
            found = self.found(session, uid)
            chosen = found.mapping if mapping is None else mapping
            verbs.set_mapping(session, found, chosen, options, SYSTEM, self.user.id)
            session.commit()

    def check(self, uid: str) -> str:
        """Read and check the list as the jobs do; return the state it is in then."""
        found = self.row(uid)
        try:
            read_list(self.desk, self.tenant.id, uid, found.turn, lambda: None)
        except ImportStopped as error:
            stop_import(self.desk, self.tenant.id, uid, found.turn, error.why)
            return self.row(uid).state
        return self.work(uid, "check")

    def checked(
        self,
        data: bytes | str,
        kind: str = "attendees",
        mapping: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> str:
        """Upload, map and check a list; return its import's name."""
        uid = self.upload(data, kind)
        self.map(uid, mapping, **options)
        self.check(uid)
        return uid

    def imported(self, data: bytes | str, kind: str = "attendees", **options: Any) -> str:
        """Do all of it; return the import's name."""
        uid = self.checked(data, kind, **options)
        self.start(uid)
        self.work(uid, "write")
        return uid

    def start(self, uid: str) -> None:
        """Begin to write."""
        self._do(uid, partial(verbs.start, user_id=self.user.id))

    def cancel(self, uid: str) -> None:
        """Cancel what runs."""
        self._do(uid, verbs.cancel)

    def retry(self, uid: str) -> None:
        """Try again what failed."""
        self._do(uid, partial(verbs.retry, user_id=self.user.id))

    def undo(self, uid: str) -> str:
        """Take the import back, all of it; return its state then."""
        self.begin_undo(uid)
        return self.work(uid, "undo")

    def begin_undo(self, uid: str) -> None:
        """Begin to take the import back."""
        self._do(uid, verbs.undo)

    def work(self, uid: str, step: Step, chunks: Sequence[int] | None = None) -> str:
        """Do a step of all chunks, or of some without ending it; return the import's state."""
        found = self.row(uid)
        with self.database.tenant_session(self.tenant.id) as session:
            todo = chunks_to_do(session, found, step) if chunks is None else chunks
        for number in todo:
            try:
                work_chunk(self.desk, self.tenant.id, uid, found.turn, step, number)
            except ImportStopped as error:
                stop_import(self.desk, self.tenant.id, uid, found.turn, error.why)
                break
        if chunks is None:
            end_step(self.desk, self.tenant.id, uid, found.turn, step)
        return self.row(uid).state

    # ---- what can be seen ----

    def row(self, uid: str) -> Import:
        with self.database.tenant_session(self.tenant.id) as session:
            return self.found(session, uid)

    def rows(self, uid: str) -> dict[int, ImportRow]:
        """Return the rows by their numbers."""
        with self.database.tenant_session(self.tenant.id) as session:
            found = self.found(session, uid)
            rows = session.scalars(select(ImportRow).where(ImportRow.import_id == found.id))
            return {row.row_no: row for row in rows}

    def states(self, uid: str) -> dict[int, str]:
        """Return each row's state."""
        return {number: row.state for number, row in sorted(self.rows(uid).items())}

    def why(self, uid: str, row: int) -> str:
        """Return all that is said about a row, in English."""
        errors = self.rows(uid)[row].errors or []
        return " / ".join(f"{each['column']}: {unpacked(each['why'])}" for each in errors)

    def counts(self, uid: str) -> dict[str, int]:
        """Return the import's counts as the page shows them."""
        with self.database.tenant_session(self.tenant.id) as session:
            return dict(totals(session, self.found(session, uid).id)[0])

    def error(self, uid: str) -> str:
        """Return why the import was stopped."""
        found = self.row(uid).error
        return "" if found is None else said(unpacked(found))

    def attendees(self) -> list[Attendee]:
        with self.database.tenant_session(self.tenant.id) as session:
            return list(session.scalars(select(Attendee).order_by(Attendee.id)))

    def count(self) -> int:
        with self.database.tenant_session(self.tenant.id) as session:
            return session.scalar(select(func.count(Attendee.id))) or 0

    def _do(self, uid: str, verb: Any) -> None:
        with self.database.tenant_session(self.tenant.id) as session:
            verb(session, self.found(session, uid), SYSTEM)
            session.commit()

    @staticmethod
    def found(session: Any, uid: str) -> Import:
        """Return the import in a session."""
        found = find_import(session, uid)
        assert found is not None
        return found


def importing(database: Database, clock: Clock, folder: Path, role: str = "admin") -> Importing:
    """Return an organisation that can import."""
    tenant = make_tenant(database, settings={"limits": {"members": 10_000}})
    store = LocalStore(folder / "files")
    return Importing(
        database,
        ImportDesk(database, store, clock),
        tenant,
        make_event(database, tenant),
        make_user(database, tenant, role),
    )
