"""Making the file of an export: checked again, read in one moment, written, stored, told.

Every step that others see is a guarded write: it happens only while the export is this worker's
(its ``fence``), nobody cancelled it, and whoever asked for it still may. The file has one key from
the beginning, so that a worker that begins anew overwrites what a killed one sent; `ready` and the
notice are one commit.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol, cast

from babel.dates import format_datetime
from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session

from meet2be.db import Database, snapshot
from meet2be.events.models import Event
from meet2be.exports import telling
from meet2be.exports.columns import COLUMNS
from meet2be.exports.errors import ExportNotPossible, ExportStopped, format_gone, too_many_rows
from meet2be.exports.exporters import exporters
from meet2be.exports.formats import Exporter, Table
from meet2be.exports.models import OPEN_STATES, Export
from meet2be.exports.permission import HELD, check_may_export, check_person, is_held
from meet2be.exports.reading import Chunk, count_rows, read_chunks
from meet2be.exports.remains import leave, remove_file
from meet2be.exports.services import KEPT_FOR
from meet2be.exports.spec import DELIMITERS, ExportSpec
from meet2be.exports.workshop import workplace
from meet2be.integrations.storage import Store, StoreFailed
from meet2be.language import N_, Message, _, ngettext, speaking
from meet2be.money import decimals_of
from onqueue.contracts import Clock

LARGEST_FILE: Final = 2 * 1024**3
TELL_EVERY: Final = 0.5
"""Seconds between two looks at the export's row: progress is written, a cancellation noticed."""
BLOCK: Final = 1024 * 1024
WAITS: Final = Message(N_("Your organisation is suspended. The export goes on when that ends."))
_log = logging.getLogger("meet2be.exports")


class Control(Protocol):
    """What the work asks of the job that does it."""

    def ensure_lease(self) -> None:
        """Raise when another worker has the job by now."""


@dataclass(frozen=True, slots=True)
class Counter:
    """The outside things exports work with; made once a process."""

    database: Database
    store: Store
    clock: Clock
    folder: Path
    direct_links: bool = False


@dataclass(slots=True)
class _Work:
    """An export while it is made."""

    counter: Counter
    control: Control
    tenant_id: int
    export: Export
    event: Event
    spec: ExportSpec
    done: int = 0
    told_at: float = field(default=float("-inf"))

    @property
    def exporter(self) -> Exporter:
        return exporters()[self.spec.format]

    def move(self, session: Session, states: Sequence[str], **values: Any) -> None:
        """Write to the export's row; raises ``ExportStopped`` when it is not ours any more.

        ``ExportNotPossible`` when whoever asked for it may not export any more.
        """
        check_person(session, self.export.requested_by)
        mine = (
            Export.id == self.export.id,
            Export.fence == self.export.fence,
            Export.state.in_(states),
        )
        statement = update(Export).where(*mine).values(**values)
        changed = session.execute(statement.execution_options(synchronize_session=False))
        if cast("CursorResult[Any]", changed).rowcount != 1:
            raise ExportStopped

    def write(self, states: Sequence[str], **values: Any) -> None:
        """Do one such write in a commit of its own."""
        with self.counter.database.tenant_session(self.tenant_id) as session:
            self.move(session, states, **values)
            session.commit()

    def advance(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        """Hand chunks on, and let the row say now and then how far they are."""
        for chunk in chunks:
            self.done += len(chunk[0])
            self.look(("running",), done=self.done)
            yield chunk

    def look(self, states: Sequence[str], **values: Any) -> None:
        now = self.counter.clock.monotonic()
        if now - self.told_at >= TELL_EVERY:
            self.control.ensure_lease()
            self.write(states, **values)
            self.told_at = now


def run_export(counter: Counter, tenant_id: int, uid: str, control: Control) -> bool:
    """Make the file of an export; tells whether it is ready.

    What cannot be helped by a repeat ends the export here, told in words; other errors pass, so
    that the job tries again. Somebody's cancellation ends it without a word.
    """
    try:
        work = _begin(counter, tenant_id, uid, control)
        if work is None:
            return False
        with workplace(counter.folder) as folder:
            path, total = _write(work, folder)
            _store(work, path, total)
    except ExportStopped:
        _log.info("export '%s' was stopped", uid)
        return False
    except ExportNotPossible as error:
        give_up(counter, tenant_id, uid, error.code, error.message)
        return False
    except StoreFailed as error:
        if error.is_temporary:
            raise
        give_up(counter, tenant_id, uid, "store_failed", error.reason)
        return False
    return True


def give_up(counter: Counter, tenant_id: int, uid: str, code: str, why: Message) -> None:
    """End an export that cannot be made, and tell whoever wanted it; once, and not a cancelled."""
    now = counter.clock.now()
    with counter.database.tenant_session(tenant_id) as session:
        mine = select(Export).where(Export.uid == uid, Export.state.in_(OPEN_STATES))
        export = session.scalar(mine.with_for_update())
        if export is None:
            return
        export.state, export.finished_at = "failed", now
        export.error_code, export.error = code, telling.kept(why)
        leave(session, export, now)
        session.flush()
        telling.tell_failed(session, export, code, why, now)
        session.commit()


def _begin(counter: Counter, tenant_id: int, uid: str, control: Control) -> _Work | None:
    """Take the export; None when there is nothing to do any more."""
    now = counter.clock.now()
    with counter.database.tenant_session(tenant_id) as session:
        must_wait = is_held(session)
        export = session.scalar(select(Export).where(Export.uid == uid).with_for_update())
        if export is None or export.state not in OPEN_STATES:
            return None
        if must_wait:
            export.state, export.done, export.error_code = "queued", 0, HELD
            export.error = telling.kept(WAITS)
            session.commit()
            return None
        check_may_export(session, export.requested_by)
        event = session.scalar(select(Event).where(Event.id == export.event_id))
        if event is None:
            raise ExportNotPossible("event_gone", Message(N_("The event was deleted.")))
        if export.format not in exporters():
            raise format_gone(export.format)
        export.fence += 1
        export.state, export.done = "running", 0
        export.started_at = export.started_at or now
        export.error_code = export.error = None
        session.commit()
        session.expunge_all()
    return _Work(counter, control, tenant_id, export, event, ExportSpec.from_json(export.spec))


def _write(work: _Work, folder: Path) -> tuple[Path, int]:
    """Write the rows into a file and return it with how many there are."""
    spec, exporter = work.spec, work.exporter
    with snapshot(work.counter.database, work.tenant_id) as session:
        total = count_rows(session, work.event.id, spec)
        if (trouble := exporter.trouble()) is not None:
            raise ExportNotPossible("format_unavailable", trouble)
        if total > exporter.most_rows:
            raise too_many_rows(exporter.label, total, exporter.most_rows)
        now = work.counter.clock.now()
        work.write(("running",), total=total, snapshot_at=now)
        chunks = read_chunks(session, work.event.id, spec, exporter.chunk_rows)
        table = table_of(spec, work.event, total, now)
        path = exporter.write(table, work.advance(_checked(chunks, folder)), folder)
    if path.stat().st_size > LARGEST_FILE:
        raise _too_large()
    return path, work.done


def _store(work: _Work, path: Path, total: int) -> None:
    """Bring the file into the store, and make the export ready."""
    counter, export, exporter = work.counter, work.export, work.exporter
    work.control.ensure_lease()
    work.write(("running",), state="uploading", done=total)
    digest, size = hashlib.sha256(), 0
    with (
        path.open("rb") as source,
        counter.store.write(
            export.storage_key, content_type=exporter.content_type, filename=export.filename
        ) as target,
    ):
        while block := source.read(BLOCK):
            target.write(block)
            digest.update(block)
            size += len(block)
            work.look(("uploading",), state="uploading")
    try:
        _make_ready(work, total, size, digest.hexdigest())
    except (ExportStopped, ExportNotPossible):
        remove_file(counter.store, export.storage_key)  # else the sweep does it
        raise


def _make_ready(work: _Work, rows: int, size: int, sha256: str) -> None:
    counter, now = work.counter, work.counter.clock.now()
    with counter.database.tenant_session(work.tenant_id) as session:
        work.move(
            session,
            ("uploading",),
            state="ready",
            total=rows,
            done=rows,
            size=size,
            sha256=sha256,
            ready_at=now,
            finished_at=now,
            expires_at=now + KEPT_FOR,
        )
        export = session.scalars(select(Export).where(Export.id == work.export.id)).one()
        telling.tell_ready(session, export, work.event, direct_link(counter, export), now)
        session.commit()


def direct_link(counter: Counter, export: Export) -> str | None:
    """Return the store's own address of a file for as long as it is kept, where that is wished."""
    if not counter.direct_links or export.expires_at is None:
        return None
    seconds = int((export.expires_at - counter.clock.now()).total_seconds())
    if seconds <= 0:
        return None
    return counter.store.link(
        export.storage_key,
        seconds,
        filename=export.filename,
        content_type=exporters()[export.format].content_type,
    )


def table_of(spec: ExportSpec, event: Event, total: int, now: datetime) -> Table:
    """Return what formats are told of the rows, in the wished language."""
    columns = [COLUMNS[key] for key in spec.columns]
    with speaking(spec.language):
        headings = tuple(
            column.key
            if spec.raw and spec.format == "csv"
            else f"{_(column.label)} ({spec.timezone})"
            if column.kind == "moment"
            else _(column.label)
            for column in columns
        )
        made = format_datetime(now, "medium", tzinfo=spec.zone, locale=spec.language)
        about: Mapping[str, str] = {
            _("Event"): event.title,
            _("As of"): f"{made} ({spec.timezone})",
            _("Rows"): ngettext("%(number)s attendee", "%(number)s attendees", total),
            _("Search"): spec.words,
            _("Filter"): spec.state,
        }
        return Table(
            title=f"{_('TEST') + ' · ' if event.test_mode else ''}{event.title}",
            headings=headings,
            kinds=tuple(column.kind for column in columns),
            widths=tuple(column.width for column in columns),
            total=total,
            nothing=_("No attendees fit this selection."),
            about=tuple((label, value) for label, value in about.items() if value),
            language=spec.language,
            delimiter=DELIMITERS[spec.delimiter],
            bom=spec.bom,
            raw=spec.raw and spec.format == "csv",
            decimals=decimals_of(event.currency),
        )


def _checked(chunks: Iterator[Chunk], folder: Path) -> Iterator[Chunk]:
    """Hand chunks on while the file stays within its limit and the disk has room."""
    for number, chunk in enumerate(chunks):
        if number % 20 == 19:
            if sum(path.stat().st_size for path in folder.iterdir()) > LARGEST_FILE:
                raise _too_large()
            if shutil.disk_usage(folder).free < 64 * BLOCK:
                raise OSError(errno.ENOSPC, "less than 64 MB are left")
        yield chunk


def _too_large() -> ExportNotPossible:
    return ExportNotPossible(
        "too_large",
        Message(N_("The file would be larger than 2 GB. Choose fewer columns or attendees.")),
    )
