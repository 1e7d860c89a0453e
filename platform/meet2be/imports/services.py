"""What people do with an import: upload, say how it is read, map, check, write, cancel, undo.

Verbs take a session, change it, and leave the commit to their caller, unless they say otherwise.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Final

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.audit.services import Actor, record
from meet2be.db import clock_of, tenant_of
from meet2be.db.columns import new_uid
from meet2be.events.models import Event
from meet2be.imports.copying import Copied, copied_into, tail_of
from meet2be.imports.detection import (
    DELIMITERS,
    ENCODINGS,
    SAMPLE,
    Layout,
    format_of,
    guess_layout,
)
from meet2be.imports.errors import UnreadableUpload, WrongState, packed
from meet2be.imports.facts import ImportToBeRead, StepWanted
from meet2be.imports.fields import Mapped, checked_mapping, header_hash, suggest
from meet2be.imports.limits import PREVIEW_WAIT
from meet2be.imports.models import Import, ImportChunk, ImportMapping, ImportRow
from meet2be.imports.preparing import UNDO_SUSPENDED
from meet2be.imports.queries import remembered
from meet2be.imports.tables import Source, preview_of
from meet2be.imports.workbook.reader import WorkbookReader
from meet2be.integrations.storage import Store, StoreError, clean_filename, tenant_key
from meet2be.language import Message
from meet2be.tenancy.models import Tenant

DUPLICATES: Final = ("skip", "update", "report")
_log = logging.getLogger("meet2be.imports")
_BEFORE_RUN: Final = ("uploaded", "mapped", "validated", "failed")
_TYPES: Final = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it comes in: what it is to become, by whom, and its name as they know it.

    With the tenant's public name the session is not asked for anything before the file is stored
    and looked at: SQLite lets one write at a time, and a large file takes its time.
    """

    kind: str
    file: BinaryIO
    filename: str
    user_id: int | None
    event: Event | None = None
    tenant_uid: str = ""


@dataclass(frozen=True, slots=True)
class _Stored:
    """A file that lies in the store."""

    uid: str
    key: str
    format: str
    copied: Copied


def upload(session: Session, store: Store, given: Upload, actor: Actor) -> Import:
    """Take a file into the store and return its import, not yet committed.

    Raises UnreadableUpload when it is no list; nothing is kept then, nor after any other error.
    """
    owner = given.tenant_uid or session.scalars(select(Tenant.uid)).one()
    uid = new_uid()
    key = tenant_key(owner, "imports", uid, "upload")
    head = given.file.read(SAMPLE)
    kind = format_of(head, tail_of(given.file))
    given.file.seek(0)
    try:
        with store.write(key, content_type=_TYPES[kind]) as target:
            copied = copied_into(given.file, target)
        return _entry(session, store, given, _Stored(uid, key, kind, copied), actor)
    except Exception:
        # Nothing knows this file, so nothing would ever remove it.
        discard(store, key)
        raise


def discard(store: Store, key: str) -> None:
    """Remove the file of an upload that came to nothing; what the store says to it is logged."""
    try:
        store.delete(key)
    except StoreError as error:
        _log.warning("the file '%s' of an upload could not be deleted: %s", key, error)


def _entry(session: Session, store: Store, given: Upload, stored: _Stored, actor: Actor) -> Import:
    """Return the import of a file that lies in the store."""
    uid, key, kind, copied = stored.uid, stored.key, stored.format, stored.copied
    layout = _first_layout(store, key, kind, copied)
    header = _header(Source(store, key, kind, given.filename), layout)
    made = Import(
        uid=uid,
        kind=given.kind,
        event_id=None if given.event is None else given.event.id,
        uploaded_by=given.user_id,
        filename=clean_filename(given.filename, "list")[:200],
        storage_key=key,
        bytes=copied.size,
        sha256=copied.sha256,
        format=kind,
        layout=layout.to_json(),
        header=list(header),
        options={"duplicates": "skip", "shared": False, "welcome": False},
        mapping=mapping_for(session, given.kind, header),
    )
    session.add(made)
    session.flush()
    after = {"file": made.filename, "bytes": made.bytes, "kind": made.kind}
    record(session, actor, "import.uploaded", "import", uid, after=after)
    return made


def same_file(session: Session, found: Import) -> Import | None:
    """Return an earlier import of the same bytes that went through, None when there is none."""
    return session.scalar(
        select(Import)
        .where(
            Import.sha256 == found.sha256,
            Import.id < found.id,
            Import.kind == found.kind,
            Import.event_id.is_not_distinct_from(found.event_id),
            Import.state.in_(("done", "done_with_errors", "running")),
        )
        .order_by(Import.id.desc())
        .limit(1)
    )


def mapping_for(session: Session, kind: str, header: tuple[str, ...]) -> dict[str, Any]:
    """Return the mapping of the last list with this header, else the likely one."""
    stored = session.scalar(
        select(ImportMapping.mapping).where(
            ImportMapping.kind == kind, ImportMapping.header_hash == header_hash(header)
        )
    )
    return remembered(stored) if stored is not None else suggest(kind, header)


def set_layout(session: Session, store: Store, found: Import, layout: Layout) -> Import:
    """Read the file this way from now on and return the import as it is then.

    ``found`` may be of a session that only reads; the other one is used when the file was read.
    Raises UnreadableUpload and WrongState.
    """
    _need(found, _BEFORE_RUN)
    checked = checked_layout(found, layout)
    header = _header(source_of(store, found), checked)
    # Reading took its time, in which another tab may have begun the run.
    found = _locked(session, found)
    _need(found, _BEFORE_RUN)
    found.layout, found.header = checked.to_json(), list(header)
    found.mapping = mapping_for(session, found.kind, header)
    _forget_check(found, "uploaded")
    return found


def checked_layout(found: Import, layout: Layout) -> Layout:
    """Return the layout with what is no choice of this file left as it is."""
    now = Layout.from_json(found.layout)
    sheets = [name for name, _ in now.sheets]
    return replace(
        now,
        encoding=layout.encoding if layout.encoding in ENCODINGS else now.encoding,
        delimiter=layout.delimiter if layout.delimiter in DELIMITERS else now.delimiter,
        header_row=min(max(layout.header_row, 0), 50),
        sheet=layout.sheet if layout.sheet in sheets else now.sheet,
    )


def set_mapping(
    session: Session,
    found: Import,
    mapping: Mapped,
    options: Mapping[str, Any],
    actor: Actor,
    user_id: int | None,
) -> None:
    """Keep which field comes from where, and have the whole list checked.

    From now on it is this person's import: nobody gives more than they have by another's file.
    Raises BadMapping for what is missing, and WrongState.
    """
    found = _locked(session, found)
    _need(found, _BEFORE_RUN)
    found.uploaded_by = user_id
    kept = checked_mapping(found.kind, len(found.header), mapping)
    duplicates = str(options.get("duplicates", "skip"))
    found.mapping = kept
    found.options = {
        "duplicates": duplicates if duplicates in DUPLICATES else "skip",
        "shared": bool(options.get("shared")),
        "welcome": bool(options.get("welcome")) and found.kind == "users",
    }
    _remember(session, found)
    _forget_check(found, "validating")
    found.turn += 1
    record(session, actor, "import.checked", "import", found.uid, after={"options": found.options})
    facts.note(session, ImportToBeRead(found.uid, found.turn))


def start(session: Session, found: Import, actor: Actor, user_id: int | None) -> None:
    """Write the rows that are right, as this person; raises WrongState unless it was checked."""
    found = _locked(session, found)
    _need(found, ("validated",))
    found.uploaded_by = user_id
    found.state, found.error = "running", None
    found.turn += 1
    found.batch_id, found.started_at = None, clock_of(session).now()
    record(session, actor, "import.started", "import", found.uid)
    facts.note(session, StepWanted(found.uid, found.turn, "write"))


def cancel(session: Session, found: Import, actor: Actor) -> None:
    """Begin nothing more; what is written stays. A check that is cancelled can begin anew."""
    found = _locked(session, found)
    _need(found, ("running", "validating"))
    if found.state == "running":
        found.state = "cancelling"
    else:
        _forget_check(found, "mapped")
        found.turn += 1
    record(session, actor, "import.cancelled", "import", found.uid)


def retry(session: Session, found: Import, actor: Actor, user_id: int | None) -> None:
    """Try what failed, or was left when the import was stopped, once more, as this person.

    From now on it is theirs: whoever began it may have left or have lost the right to it.
    An import whose undo ended half way goes on with the undo: what it took back is not written
    again, and what is left is not done. Raises WrongState, also where the undo's time is over.
    """
    found = _locked(session, found)
    _need(found, ("done_with_errors", "cancelled", "failed"))
    if found.started_at is None:
        raise WrongState(found.state)
    found.uploaded_by = user_id
    if _was_undone_in_part(session, found):
        undo(session, found, actor)
    else:
        write_rest(session, found, actor)


def write_rest(session: Session, found: Import, actor: Actor) -> None:
    """Write what failed or was left; the import is locked and has been started before."""
    session.execute(
        update(ImportRow)
        .where(ImportRow.import_id == found.id, ImportRow.state == "failed")
        .values(state="valid", errors=None)
        .execution_options(synchronize_session=False)
    )
    again = select(ImportRow.chunk_no).where(
        ImportRow.import_id == found.id, ImportRow.state == "valid"
    )
    session.execute(
        update(ImportChunk)
        .where(ImportChunk.import_id == found.id, ImportChunk.n.in_(again))
        .values(state="checked", error=None)
        .execution_options(synchronize_session=False)
    )
    _begin(found, "running")
    found.finished_at = None
    record(session, actor, "import.retried", "import", found.uid)
    facts.note(session, StepWanted(found.uid, found.turn, "write"))


def undo(session: Session, found: Import, actor: Actor) -> None:
    """Take back what was written and not changed since; raises WrongState after its time."""
    found = _locked(session, found)
    _need(found, ("done", "done_with_errors", "cancelled", "failed"))
    if not can_undo(session, found):
        raise WrongState(found.state)
    undo_rest(session, found, actor)


def undo_rest(session: Session, found: Import, actor: Actor) -> None:
    """Take back what is left; the import is locked."""
    _begin(found, "undoing")
    record(session, actor, "import.undone", "import", found.uid)
    facts.note(session, StepWanted(found.uid, found.turn, "undo"))


def can_undo(session: Session, found: Import) -> bool:
    """Tell whether the import can be undone now."""
    ended = found.state in {"done", "done_with_errors", "cancelled", "failed"}
    return ended and found.undo_until is not None and clock_of(session).now() < found.undo_until


def source_of(store: Store, found: Import) -> Source:
    """Return where the import's file lies; raises UnreadableUpload when it is gone."""
    if found.storage_key is None:
        raise UnreadableUpload(Message("The uploaded file is not there any more. Upload it again."))
    return Source(store, found.storage_key, found.format, found.filename)


# ---- parts ----


def _need(found: Import, states: tuple[str, ...]) -> None:
    if found.state not in states or (
        found.state == "failed" and states is _BEFORE_RUN and found.started_at is not None
    ):
        raise WrongState(found.state)


def _begin(found: Import, state: str) -> None:
    found.state, found.error, found.batch_id = state, None, None
    found.turn += 1


def _was_undone_in_part(session: Session, found: Import) -> bool:
    if found.error == packed(UNDO_SUSPENDED):
        return True
    undone = select(ImportChunk.n).where(
        ImportChunk.import_id == found.id, ImportChunk.state == "undone"
    )
    return session.scalars(undone.limit(1)).first() is not None


def _locked(session: Session, found: Import) -> Import:
    return session.get_one(Import, found.id, with_for_update=True, populate_existing=True)


def _forget_check(found: Import, state: str) -> None:
    found.state, found.error, found.batch_id = state, None, None
    found.rows_total = found.rows_read = 0


def _remember(session: Session, found: Import) -> None:
    name = header_hash([str(column) for column in found.header])
    known = _known(session, found, name)
    if known is None:
        tenant = tenant_of(session) or found.tenant_id
        new = ImportMapping(
            tenant_id=tenant, kind=found.kind, header_hash=name, mapping=found.mapping
        )
        try:
            with session.begin_nested():
                session.add(new)
                session.flush()
        except IntegrityError:  # another list with this header came first
            known = _known(session, found, name)
    if known is not None:
        known.mapping = found.mapping


def _known(session: Session, found: Import, name: str) -> ImportMapping | None:
    return session.scalar(
        select(ImportMapping).where(
            ImportMapping.kind == found.kind, ImportMapping.header_hash == name
        )
    )


def _first_layout(store: Store, key: str, kind: str, copied: Copied) -> Layout:
    if kind == "csv":
        return guess_layout(copied.head, is_utf8=copied.is_utf8)
    with (
        tempfile.NamedTemporaryFile(prefix="m2b-import-", suffix=".xlsx") as local,
        store.open(key) as file,
        WorkbookReader(PREVIEW_WAIT) as reader,
    ):
        shutil.copyfileobj(file, local, 1 << 20)
        local.flush()
        sheets = reader.sheets(local.name)
    seen = next((each for each in sheets if each.is_visible), sheets[0])
    return Layout(sheet=seen.name, sheets=tuple((each.name, each.is_visible) for each in sheets))


def _header(source: Source, layout: Layout) -> tuple[str, ...]:
    with WorkbookReader(PREVIEW_WAIT) as reader:
        preview = preview_of(source, layout, reader)
    if preview.problem is not None and not preview.header:
        raise UnreadableUpload(preview.problem)
    return preview.header
