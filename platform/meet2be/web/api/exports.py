"""Exports: asked for, watched, fetched, cancelled, made again, deleted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, BinaryIO, Literal

from pydantic import Field

from meet2be.events.listing import find_event
from meet2be.exports import listing
from meet2be.exports import services as verbs
from meet2be.exports.columns import COLUMNS
from meet2be.exports.exporters import exporters
from meet2be.exports.remains import remove_file
from meet2be.exports.spec import ExportSpec, read_spec, usual_spec
from meet2be.objects.base import Told
from meet2be.objects.exports import ExportTold, export_of
from meet2be.web.api.calls import Call
from meet2be.web.api.files import Download
from meet2be.web.api.operations import operation
from meet2be.web.api.problems import Problem
from meet2be.web.api.schemas import Asked, Given, ListQuery, Page, Text

LINK_SECONDS = 300
BLOCK = 256 * 1024
FILE_TYPES = (
    "text/csv", "application/pdf",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
)  # fmt: skip


class ExportWish(Given):
    """What the file shall have; what is left out is as on the page."""

    format: Literal["csv", "xlsx", "pdf"] = "xlsx"
    columns: list[Annotated[Text, Field(max_length=60)]] | None = Field(
        None, max_length=100, description="In their order; null: the usual ones."
    )
    q: Annotated[Text, Field(max_length=200)] = Field(
        "", description="Beginnings of a name, address, code or company."
    )
    state: Literal[
        "", "active", "cancelled", "checked_in", "transferred", "no_address", "refunded"
    ] = ""
    order: Literal["name", "registered"] = "name"
    language: Literal["en", "de"] | None = Field(None, description="Null: the organisation's.")
    timezone: Annotated[Text, Field(max_length=60)] | None = Field(
        None, description="Null: the event's.", examples=["Europe/Berlin"]
    )
    delimiter: Literal["semicolon", "comma", "tab", "bar"] | None = Field(
        None, description="csv; null: what spreadsheets take in that language."
    )
    bom: bool = Field(default=True, description="csv: begin with a mark of the encoding.")
    raw: bool = Field(default=False, description="csv for programs: cells as they are.")


class ExportQuery(ListQuery):
    """Which exports."""

    state: Literal["open", "ready", "failed", "cancelled", "expired"] | None = None
    event: Annotated[str, Field(max_length=26)] = ""


class ColumnTold(Told):
    """A column that a file can have."""

    key: str
    label: str


class Columns(Told):
    """All columns."""

    data: list[ColumnTold]


class LinkQuery(Asked):
    """How the file is given."""

    direct: Literal["true", "false"] = Field(
        "false", description="`true`: an address at the store, where there is one (303)."
    )


@operation("GET", "/export-columns", "exports:read")
def list_export_columns(call: Call) -> Columns:
    """List the columns that an export can have."""
    del call
    found = [ColumnTold(key=key, label=str(column.label)) for key, column in COLUMNS.items()]
    return Columns(data=found)


@operation("POST", "/events/<event_uid>/exports", "exports:write", status=202,
           problems=("conflict",))  # fmt: skip
def create_export(call: Call, event_uid: str, body: ExportWish) -> ExportTold:
    """Ask for a file of an event's attendees; the same wish again joins the one under way."""
    event = find_event(call.writing, event_uid)
    if event is None:
        raise Problem("not_found")
    spec = spec_of(call, body, event.timezone)
    person = call.caller.user_id
    asked = verbs.request_export(call.writing, event, spec, person, call.actor, call.now)
    call.writing.flush()
    return export_of(asked.export, event)


@operation("GET", "/exports", "exports:read")
def list_exports(call: Call, query: ExportQuery) -> Page[ExportTold]:
    """List exports, the newest first."""
    wanted = listing.ExportFilter(query.state or "", query.event)
    found = listing.exports_page(call.reading, wanted, call.part(query))
    return call.page(query, found, lambda row: (row[0].id,), lambda row: export_of(*row))


@operation("GET", "/exports/<export_uid>", "exports:read")
def get_export(call: Call, export_uid: str) -> ExportTold:
    """Tell how far an export is."""
    found = listing.export_with_event(call.reading, export_uid)
    if found is None:
        raise Problem("not_found")
    return export_of(*found)


@operation("GET", "/exports/<export_uid>/file", "exports:read", file_types=FILE_TYPES,
           problems=("conflict",))  # fmt: skip
def download_export(call: Call, export_uid: str, query: LinkQuery) -> Download:
    """Give the file of an export that is ready; it is kept for 7 days."""
    export, store = verbs.find(call.writing, export_uid), call.services.store
    verbs.fetched(call.writing, export, call.actor, call.now)
    kind, name = exporters()[export.format].content_type, export.filename
    if query.direct == "true":
        link = store.link(export.storage_key, LINK_SECONDS, filename=name, content_type=kind)
        if link is not None:
            return Download(kind, location=link)
    return Download(kind, _blocks(store.open(export.storage_key)), name, export.size)


@operation("POST", "/exports/<export_uid>/cancel", "exports:write")
def cancel_export(call: Call, export_uid: str) -> ExportTold:
    """Stop an export that waits or runs; nothing of it is kept."""
    verbs.cancel(call.writing, export_uid, call.actor, call.now)
    return export_after(call, export_uid)


@operation("POST", "/exports/<export_uid>/again", "exports:write", status=202,
           problems=("conflict",))  # fmt: skip
def repeat_export(call: Call, export_uid: str) -> ExportTold:
    """Make the same export anew."""
    asked = verbs.ask_again(call.writing, export_uid, call.caller.user_id, call.actor, call.now)
    return export_after(call, asked.export.uid)


@operation("DELETE", "/exports/<export_uid>", "exports:write")
def delete_export(call: Call, export_uid: str) -> None:
    """Delete an export and its file."""
    key = verbs.delete(call.writing, export_uid, call.actor)
    call.writing.commit()
    remove_file(call.services.store, key)  # else the sweep does it


def spec_of(call: Call, body: ExportWish, timezone: str) -> ExportSpec:
    """Return what a wish asks for; what it leaves out is as usual in its language and that zone."""
    usual = usual_spec(body.language or call.caller.tenant_locale, timezone)
    given: dict[str, Any] = {
        name: value
        for name, value in body.model_dump(include=set(ExportWish.model_fields)).items()
        if value is not None and name not in {"columns", "q"}
    }
    columns = list(usual.columns) if body.columns is None else body.columns
    return read_spec({**given, "words": body.q}, columns, tuple(exporters()), usual)


def export_after(call: Call, uid: str) -> ExportTold:
    """Return an export as it stands after a verb."""
    call.writing.flush()
    found = listing.export_with_event(call.writing, uid)
    if found is None:
        raise Problem("not_found")
    return export_of(*found)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while block := file.read(BLOCK):
            yield block
