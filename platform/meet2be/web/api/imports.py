"""Imports: a list uploaded, mapped, checked, written, and taken back."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field

from meet2be.api_tokens.scopes import is_within
from meet2be.events.listing import find_event
from meet2be.imports import listing, report
from meet2be.imports import services as verbs
from meet2be.imports.detection import Layout
from meet2be.imports.models import Import, ImportRow
from meet2be.imports.queries import find_import
from meet2be.language import N_, Message
from meet2be.objects.base import Told
from meet2be.objects.imports import ImportTold, Kind, State, import_of
from meet2be.web.api.calls import Call
from meet2be.web.api.files import UploadedFile
from meet2be.web.api.operations import operation
from meet2be.web.api.problems import FieldProblem, Problem
from meet2be.web.api.schemas import Asked, Given, ListQuery, Page, Text

RowState = Literal[
    "valid", "invalid", "dup_in_file", "dup_existing", "created", "updated", "skipped", "failed",
    "undone", "kept",
]  # fmt: skip
FILE_TYPES = (
    "text/csv", "application/octet-stream",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
)  # fmt: skip


class UploadQuery(Asked):
    """What the body is."""

    kind: Kind = "attendees"
    event: Annotated[str, Field(max_length=26)] = Field(
        "", description="The event of a list of attendees."
    )
    filename: Annotated[str, Field(min_length=1, max_length=200)] = "list"


class FieldMapping(Given):
    """Where a field comes from: a column, or one value for all rows."""

    column: int | None = Field(None, ge=0, le=500, description="Counted from 0.")
    fixed: Annotated[Text, Field(max_length=200)] | None = None


class MappingWish(Given):
    """Which field comes from where, and what becomes of what is there already."""

    mapping: dict[Annotated[Text, Field(max_length=60)], FieldMapping] = Field(
        max_length=60, description="By field, such as `name`, `email`, `ticket`."
    )
    duplicates: Literal["skip", "update", "report"] = "skip"
    shared: bool = Field(default=False, description="Several attendees may share an address.")
    welcome: bool = Field(default=False, description="Lists of users: mail each a welcome.")


class LayoutWish(Given):
    """How the file is read; what is left out stays as it was found."""

    encoding: Annotated[Text, Field(max_length=40)] = ""
    delimiter: Annotated[Text, Field(max_length=3)] = ""
    header_row: int = Field(1, ge=0, le=50)
    sheet: Annotated[Text, Field(max_length=100)] = ""


class ImportProgress(Told):
    """How far an import is; rows by what became of them."""

    state: State
    rows_read: int
    rows_total: int
    rows: dict[str, int]
    percent: int
    is_moving: bool


class RowQuery(ListQuery):
    """Which rows; without a state all to look at: not taken, or with warnings."""

    state: RowState | None = None


class RowTold(Told):
    """What became of one row of the list; `row` counts as a spreadsheet does."""

    row: int
    state: RowState
    label: str
    problems: str


@operation("POST", "/imports", "imports:write", status=201, file_types=FILE_TYPES,
           problems=("forbidden", "not_found"))  # fmt: skip
def upload_import(call: Call, query: UploadQuery, file: UploadedFile) -> ImportTold:
    """Upload a list; the body is the file itself (csv or xlsx).

    It is looked at, and a mapping is proposed; nothing is written before it is started.
    """
    event = None
    _check_kind(call, query.kind)
    if query.kind == "attendees":
        event = find_event(call.reading, query.event)
        if event is None:
            raise Problem("not_found")
    if not file.size:
        raise Problem("invalid", errors=[FieldProblem(where="/", detail="the file is empty")])
    who = call.caller
    given = verbs.Upload(
        query.kind, file.stream, query.filename, who.user_id, event, who.tenant_uid
    )  # fmt: skip
    found = verbs.upload(call.writing, call.services.store, given, call.actor)
    call.writing.flush()
    return import_of(call.writing, found)


@operation("GET", "/imports", "imports:read")
def list_imports(call: Call, query: ListQuery) -> Page[ImportTold]:
    """List imports, the newest first."""
    kinds = ["attendees", "users"] if _is_admin(call) else ["attendees"]
    found = listing.imports_page(call.reading, kinds, call.part(query))
    return call.page(
        query, found, lambda row: (row[0].id,), lambda row: import_of(call.reading, row[0])
    )


@operation("GET", "/imports/<import_uid>", "imports:read")
def get_import(call: Call, import_uid: str) -> ImportTold:
    """Give one import."""
    return import_of(call.reading, _found(call, import_uid, writes=False))


@operation("PUT", "/imports/<import_uid>/layout", "imports:write", problems=("conflict",))
def set_import_layout(call: Call, import_uid: str, body: LayoutWish) -> ImportTold:
    """Say how the file is read: its encoding, delimiter, sheet and the header's row."""
    found = _found(call, import_uid, writes=False)
    now = Layout.from_json(found.layout)
    wanted = Layout(
        encoding=body.encoding or now.encoding,
        delimiter=body.delimiter or now.delimiter,
        header_row=body.header_row,
        sheet=body.sheet or now.sheet,
    )
    found = verbs.set_layout(call.writing, call.services.store, found, wanted)
    call.writing.flush()
    return import_of(call.writing, found)


@operation("PUT", "/imports/<import_uid>/mapping", "imports:write", problems=("conflict",))
def map_import(call: Call, import_uid: str, body: MappingWish) -> ImportTold:
    """Say which field comes from which column; the whole list is then checked."""
    found = _found(call, import_uid)
    mapping = {
        key: {"column": each.column} if each.column is not None else {"fixed": each.fixed}
        for key, each in body.mapping.items()
        if each.column is not None or each.fixed
    }
    options = {"duplicates": body.duplicates, "shared": body.shared, "welcome": body.welcome}
    verbs.set_mapping(call.writing, found, mapping, options, call.actor, call.caller.user_id)
    call.writing.flush()
    return import_of(call.writing, found)


@operation("POST", "/imports/<import_uid>/start", "imports:write", status=202,
           problems=("conflict",))  # fmt: skip
def start_import(call: Call, import_uid: str) -> ImportTold:
    """Write the rows that are right, once the list was checked."""
    return _do(call, import_uid, partial(verbs.start, user_id=call.caller.user_id))


@operation("POST", "/imports/<import_uid>/cancel", "imports:write", problems=("conflict",))
def cancel_import(call: Call, import_uid: str) -> ImportTold:
    """Begin nothing more; what is written stays."""
    return _do(call, import_uid, verbs.cancel)


@operation("POST", "/imports/<import_uid>/retry", "imports:write", status=202,
           problems=("conflict",))  # fmt: skip
def retry_import(call: Call, import_uid: str) -> ImportTold:
    """Try what failed once more, as the token's person."""
    return _do(call, import_uid, partial(verbs.retry, user_id=call.caller.user_id))


@operation("POST", "/imports/<import_uid>/undo", "imports:write", status=202,
           problems=("conflict",))  # fmt: skip
def undo_import(call: Call, import_uid: str) -> ImportTold:
    """Take back what was written and not changed since."""
    return _do(call, import_uid, verbs.undo)


@operation("GET", "/imports/<import_uid>/progress", "imports:read")
def get_import_progress(call: Call, import_uid: str) -> ImportProgress:
    """Tell how far an import is; the answer has an ETag."""
    found = listing.progress_of(call.reading, _found(call, import_uid, writes=False))
    return ImportProgress(
        state=found.state,  # type: ignore[arg-type]  # the database holds only such words
        rows_read=found.rows_read,
        rows_total=found.rows_total,
        rows=dict(found.rows),
        percent=found.percent,
        is_moving=found.is_moving,
    )


@operation("GET", "/imports/<import_uid>/rows", "imports:read")
def list_import_rows(call: Call, import_uid: str, query: RowQuery) -> Page[RowTold]:
    """List rows by number, with what is wrong in each.

    Without `state` those to look at: what was not taken, or is warned of. Ask for a state to see
    the others.
    """
    imported = _found(call, import_uid, writes=False)
    found = listing.rows_page(call.reading, imported, query.state or "", call.part(query))
    return call.page(query, found, lambda row: (row.row_no,), _row)


def _do(call: Call, uid: str, verb: Any) -> ImportTold:
    found = _found(call, uid)
    verb(call.writing, found, call.actor)
    call.writing.flush()
    return import_of(call.writing, found)


def _found(call: Call, uid: str, *, writes: bool = True) -> Import:
    found = find_import(call.writing if writes else call.reading, uid)
    if found is None:
        raise Problem("not_found")
    _check_kind(call, found.kind)
    return found


def _is_admin(call: Call) -> bool:
    """Tell whether lists of people are for the token's person, as on the page."""
    return is_within(call.caller.role, "admin")


def _check_kind(call: Call, kind: str) -> None:
    if kind == "users" and not _is_admin(call):
        raise Problem("forbidden", Message(N_("Lists of people are for administrators.")))


def _row(row: ImportRow) -> RowTold:
    return RowTold(
        row=row.row_no,
        state=row.state,  # type: ignore[arg-type]  # the database holds only such words
        label=row.label,
        problems=report.reasons(row),
    )
