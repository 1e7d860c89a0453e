"""Cancelling an event: preview, confirm as on the page, watch, pause, resume, abort, retry."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.cancellations import listing
from meet2be.cancellations import services as verbs
from meet2be.cancellations.codes import exceeds_limit, send_code
from meet2be.cancellations.errors import CancellationAlreadyRunning, RunNotInState
from meet2be.cancellations.items_found import items_page
from meet2be.cancellations.models import CancelItem, CancelRun
from meet2be.cancellations.options import CancelOptions
from meet2be.cancellations.preview import Preview
from meet2be.cancellations.progress import progress_of
from meet2be.events.models import Event
from meet2be.objects.base import Moment, Told, Uid
from meet2be.tenancy.models import Tenant
from meet2be.web.api.calls import Call
from meet2be.web.api.operations import operation
from meet2be.web.api.problems import Problem
from meet2be.web.api.schemas import Done, Given, ListQuery, MinorSums, Page, Reason, Text

State = Literal[
    "preview", "confirmed", "running", "paused", "sweeping", "done", "done_with_errors", "aborted"
]
RefundState = Literal[
    "todo", "none_needed", "sent", "pending", "done", "manual", "failed", "uncertain"
]
MailState = Literal["todo", "queued", "sent", "suppressed", "no_address", "failed", "uncertain"]


class Options(Given):
    """How an event is to be cancelled."""

    fee_kind: Literal["none", "fixed", "percent"] = Field(
        "none", description="What is kept of each ticket."
    )
    fee_minor: int = Field(
        0, ge=0, le=100_000_000, description="With `fixed`: minor units kept of each ticket."
    )
    fee_basis_points: int = Field(0, ge=0, le=10_000, description="With `percent`: 100 are 1 %.")
    refund_mode: Literal["auto", "manual"] = Field(
        "auto", description="With `manual` nothing is sent to the payment provider."
    )
    message: Annotated[Text, Field(max_length=5_000)] = Field(
        "", description="Stands in the mail to each attendee."
    )
    reason: Annotated[Text, Field(max_length=2_000)] = Field("", description="For the log.")


class Confirmation(Given):
    """What begins a cancellation, as on the page: the name, what was seen, and the mailed code."""

    event_name: Annotated[Text, Field(max_length=200)] = Field(description="The event's title.")
    preview_hash: Annotated[Text, Field(max_length=64)] = Field(
        description="`preview.hash` of the preview that was looked at."
    )
    code: Annotated[Text, Field(max_length=40)] | None = Field(
        None, description="The mailed code; needed where `needs_code` is true."
    )


class PreviewTold(Told):
    """What would happen; `hash` names exactly this."""

    hash: str
    made_at: Moment
    attendees: int
    outcomes: dict[str, int]
    refund_minor: MinorSums
    manual_minor: MinorSums
    postage_minor: MinorSums
    kept_minor: MinorSums
    payments: int
    checked_in: int
    without_email: int
    funds: MinorSums | None
    short_of: MinorSums


class CancellationTold(Told):
    """A cancellation of an event, from its preview on."""

    uid: Uid
    event: Uid
    event_title: str
    state: State
    pause_code: str | None
    pause_reason: str | None
    resume_at: Moment | None
    confirmed_at: Moment | None
    started_at: Moment | None
    paused_at: Moment | None
    finished_at: Moment | None


class PreviewedCancellation(CancellationTold):
    """A cancellation that was previewed; confirm it with what stands here."""

    preview: PreviewTold
    needs_code: bool = Field(description="Whether confirming it needs a mailed code.")


class TrackTold(Told):
    """How many items have come to an end."""

    done: int
    total: int


class ProgressTold(Told):
    """How far a cancellation is, counted now."""

    state: State
    total: int
    refunds: TrackTold
    cancels: TrackTold
    mails: TrackTold
    refund_states: dict[str, int]
    mail_states: dict[str, int]
    causes: dict[str, int]
    planned_minor: MinorSums
    done_minor: MinorSums
    pending_minor: MinorSums
    rate_per_minute: float
    seconds_left: int | None
    waiting: str | None


class ItemTold(Told):
    """What a cancellation does for one attendee."""

    attendee: Uid
    name: str
    refund: Uid | None
    mail: Uid | None
    planned_minor: int
    kept_minor: int
    currency: str
    refund_state: RefundState
    cancel_state: Literal["todo", "done"]
    mail_state: MailState
    skip_reason: str | None
    error_code: str | None
    error_text: str | None


WORDS = "Beginnings of the attendee's names, company or address, or of a code."


class ItemQuery(ListQuery):
    """Which items: by what became of the refund or the mail."""

    refund_state: RefundState | None = None
    mail_state: MailState | None = None
    q: Annotated[str, Field(max_length=200)] = Field("", description=WORDS)


class Retried(Told):
    """How many refunds are tried again."""

    items: int


@operation("POST", "/events/<event_uid>/cancellations", "cancellations:preview", status=201,
           problems=("conflict",))  # fmt: skip
def preview_cancellation(call: Call, event_uid: str, body: Options) -> PreviewedCancellation:
    """Preview the cancellation of an event; nothing is changed by this."""
    options = CancelOptions(**body.model_dump())
    run = verbs.start(call.writing, call.services.desk, event_uid, options, call.caller.user_id)
    return _previewed(call.writing, run.uid)


@operation("GET", "/cancellations", "cancellations:read")
def list_cancellations(call: Call, query: ListQuery) -> Page[CancellationTold]:
    """List the cancellations that were confirmed, the newest first."""
    found = listing.runs_page(call.reading, call.part(query))
    return call.page(query, found, lambda row: (row[0].id,), lambda row: _told(*row))


@operation("GET", "/cancellations/<run_uid>", "cancellations:read")
def get_cancellation(call: Call, run_uid: str) -> CancellationTold:
    """Give one cancellation."""
    return _told(*_run(call, run_uid))


@operation("GET", "/cancellations/<run_uid>/preview", "cancellations:preview")
def get_cancellation_preview(call: Call, run_uid: str) -> PreviewedCancellation:
    """Give a cancellation with what its preview said."""
    return _previewed(call.reading, run_uid)


@operation("GET", "/cancellations/<run_uid>/progress", "cancellations:read")
def get_cancellation_progress(call: Call, run_uid: str) -> ProgressTold:
    """Tell how far a cancellation is.

    The answer has an ETag: ask with If-None-Match and nothing is sent while nothing moves.
    """
    found = progress_of(call.reading, _run(call, run_uid)[0], call.now)
    named = {name: getattr(found, name) for name in _SAME}
    return ProgressTold(
        **named,
        refunds=TrackTold.model_validate(found.refunds),
        cancels=TrackTold.model_validate(found.cancels),
        mails=TrackTold.model_validate(found.mails),
        rate_per_minute=round(found.rate, 1),
        seconds_left=None if found.left is None else int(found.left.total_seconds()),
    )


@operation("GET", "/cancellations/<run_uid>/items", "cancellations:read")
def list_cancellation_items(call: Call, run_uid: str, query: ItemQuery) -> Page[ItemTold]:
    """List what a cancellation does for each attendee."""
    run, _ = _run(call, run_uid)
    wanted = listing.known_item_filter(
        query.refund_state or "", query.mail_state or "", query.q, ""
    )
    found = items_page(call.reading, run.id, wanted, call.part(query))
    return call.page(query, found, lambda row: (row[0].id,), lambda row: _item(*row))


@operation("POST", "/cancellations/<run_uid>/code", "cancellations:write", status=202,
           problems=("conflict", "too_many_requests"))  # fmt: skip
def mail_cancellation_code(call: Call, run_uid: str) -> Done:
    """Mail a code for the confirmation to the token's person; it is good for 15 minutes."""
    send_code(call.writing, call.services.desk, run_uid, call.caller.user_id)
    return Done(status="accepted")


@operation("POST", "/cancellations/<run_uid>/confirm", "cancellations:write", status=202,
           problems=("conflict",))  # fmt: skip
def confirm_cancellation(call: Call, run_uid: str, body: Confirmation) -> CancellationTold:
    """Begin the cancellation that was previewed: sales stop, refunds and mails begin.

    Asked for again, the running cancellation is given.
    """
    try:
        verbs.confirm_tx(
            call.services.desk,
            call.caller.tenant_id,
            run_uid,
            typed_name=body.event_name,
            preview_hash=body.preview_hash,
            code="".join((body.code or "").split()) or None,
            confirmed_by=call.caller.user_id,
        )
    except CancellationAlreadyRunning as error:
        if error.run_uid != run_uid:
            raise
    except RunNotInState as error:
        if error.state == "aborted":
            raise
    return _told(*_run(call, run_uid))


@operation("POST", "/cancellations/<run_uid>/pause", "cancellations:write", problems=("conflict",))
def pause_cancellation(call: Call, run_uid: str, body: Reason) -> CancellationTold:
    """Stop before the next refunds; what was sent is followed to its end."""
    verbs.pause(call.writing, run_uid, call.caller.user_id, body.reason)
    return _changed(call, run_uid)


@operation("POST", "/cancellations/<run_uid>/resume", "cancellations:write", problems=("conflict",))
def resume_cancellation(call: Call, run_uid: str) -> CancellationTold:
    """Go on after a pause."""
    verbs.resume(call.writing, run_uid, call.caller.user_id)
    return _changed(call, run_uid)


@operation("POST", "/cancellations/<run_uid>/abort", "cancellations:write", problems=("conflict",))
def abort_cancellation(call: Call, run_uid: str, body: Reason) -> CancellationTold:
    """End the cancellation: no further refunds begin; who was refunded is still told by mail."""
    verbs.abort(call.writing, run_uid, call.caller.user_id, body.reason)
    return _changed(call, run_uid)


@operation("POST", "/cancellations/<run_uid>/retry", "cancellations:write", problems=("conflict",))
def retry_cancellation(call: Call, run_uid: str) -> Retried:
    """Do all failed refunds again, each under a new key."""
    return Retried(items=verbs.retry_failed(call.writing, run_uid, call.caller.user_id))


_SAME = (
    "state", "total", "refund_states", "mail_states", "causes", "planned_minor", "done_minor",
    "pending_minor", "waiting",
)  # fmt: skip


def _run(call: Call, uid: str) -> tuple[CancelRun, Event]:
    found = listing.run_with_event(call.reading, uid)
    if found is None:
        raise Problem("not_found")
    return found


def _changed(call: Call, uid: str) -> CancellationTold:
    """Return the run as this request leaves it."""
    call.writing.flush()
    found = listing.run_with_event(call.writing, uid)
    if found is None:
        raise Problem("not_found")
    return _told(*found)


def _told(run: CancelRun, event: Event) -> CancellationTold:
    return CancellationTold(**_fields(run, event))


def _fields(run: CancelRun, event: Event) -> dict[str, Any]:
    own = set(CancellationTold.model_fields) - {"event", "event_title"}
    named = {name: getattr(run, name) for name in own}
    return {**named, "event": event.uid, "event_title": event.title}


def _previewed(session: Session, uid: str) -> PreviewedCancellation:
    found = listing.run_with_event(session, uid)
    if found is None:
        raise Problem("not_found")
    preview = Preview.from_json(found[0].preview)
    tenant = session.scalars(select(Tenant)).one()
    return PreviewedCancellation(
        **_fields(*found),
        preview=PreviewTold.model_validate(preview),
        needs_code=exceeds_limit(preview, tenant.confirm_limit_minor, tenant.currency),
    )


def _item(item: CancelItem, attendee: str, refund: str | None, mail: str | None) -> ItemTold:
    own = set(ItemTold.model_fields) - {"attendee", "name", "refund", "mail"}
    named = {name: getattr(item, name) for name in own}
    return ItemTold(**named, attendee=attendee, name=item.name_snapshot, refund=refund, mail=mail)
