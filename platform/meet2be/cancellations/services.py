"""The verbs of a cancellation: start, confirm, pause, resume, abort, retry.

Functions take a session of the tenant and do not commit, unless their name ends in ``_tx``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.audit.services import By, actor_of, person_of
from meet2be.cancellations import preparing
from meet2be.cancellations import preview as previews
from meet2be.cancellations import statements as sql
from meet2be.cancellations.announcements import event_cancelling
from meet2be.cancellations.closing import insert_items
from meet2be.cancellations.codes import check_code_tx, needs_code
from meet2be.cancellations.context import Desk
from meet2be.cancellations.errors import (
    CancellationAlreadyRunning,
    CodeExpired,
    EventNotCancellable,
    PreviewStale,
    RunNotInState,
    TenantSuspended,
    UnknownEvent,
    UnknownRun,
    WrongEventName,
)
from meet2be.cancellations.facts import LanesReady
from meet2be.cancellations.models import ACTIVE_RUN_STATES, CancelItem, CancelLane, CancelRun
from meet2be.cancellations.options import CancelOptions
from meet2be.cancellations.preview import Preview
from meet2be.cancellations.totals import Totals, counted
from meet2be.db import UnscopedSessionError, clock_of, snapshot, tenant_of
from meet2be.events.models import Event
from meet2be.language import Message
from meet2be.payments import circuit
from meet2be.tenancy.models import Tenant

LANES = 4
_CANCELLABLE = ("draft", "live", "cancelling")


def get_run(session: Session, run_uid: str) -> CancelRun:
    """Return a run of the session's tenant; raises ``UnknownRun``."""
    run = session.scalar(select(CancelRun).where(CancelRun.uid == run_uid))
    if run is None:
        raise UnknownRun(run_uid)
    return run


def active_run(session: Session, event_id: int) -> CancelRun | None:
    """Return the event's run that is not over, None if there is none."""
    return session.scalar(
        select(CancelRun).where(
            CancelRun.event_id == event_id, CancelRun.state.in_(ACTIVE_RUN_STATES)
        )
    )


def start(
    session: Session, desk: Desk, event_uid: str, options: CancelOptions, started_by: int | None
) -> CancelRun:
    """Make a preview and keep it as a run in state `preview`; nothing else is changed.

    It is computed in a session of its own that only reads, so that nobody waits to write while it
    looks at every attendee of one moment. The caller commits. Raises ``UnknownEvent``,
    ``EventNotCancellable``, ``CancellationAlreadyRunning``.
    """
    with snapshot(desk.db, _tenant_id(session)) as look:
        preview = _computed(look, desk, _cancellable(look, event_uid), options)
    event = _cancellable(session, event_uid)
    run = CancelRun(
        tenant_id=event.tenant_id,
        event_id=event.id,
        state="preview",
        lanes=LANES,
        options=options.to_json(),
        preview=preview.to_json(),
        preview_hash=preview.hash,
        started_by=started_by,
    )
    session.add(run)
    session.flush()
    return run


def _computed(session: Session, desk: Desk, event: Event, options: CancelOptions) -> Preview:
    return previews.compute(session, event, options, clock_of(session).now(), desk.payments)


def _cancellable(session: Session, event_uid: str) -> Event:
    event = session.scalar(select(Event).where(Event.uid == event_uid))
    if event is None:
        raise UnknownEvent(event_uid)
    _check_cancellable(session, event)
    return event


def _tenant_id(session: Session) -> int:
    tenant_id = tenant_of(session)
    if tenant_id is None:
        raise UnscopedSessionError("cancel_runs")
    return tenant_id


def _check_cancellable(session: Session, event: Event) -> None:
    if event.status not in _CANCELLABLE:
        raise EventNotCancellable(event.title, event.status)
    running = active_run(session, event.id)
    if running is not None:
        raise CancellationAlreadyRunning(running.uid)


def confirm_tx(
    desk: Desk,
    tenant_id: int,
    run_uid: str,
    *,
    typed_name: str,
    preview_hash: str,
    code: str | None,
    confirmed_by: By,
    lanes: int = LANES,
) -> str:
    """Begin the cancellation that was previewed and return the run's uid.

    In one commit: sales stop, an item for each attendee, the lanes and their jobs. The items of
    a large run are written by its job, which then compares them with the preview. Raises
    ``WrongEventName``, ``PreviewStale``, ``CodeNeeded``, ``CodeExpired``, ``WrongCode``,
    ``CancellationAlreadyRunning``, ``TenantSuspended``, ``RunNotInState``; then nothing is changed
    but the number of tries left for the code.
    """
    _check_before(desk, tenant_id, run_uid, typed_name, preview_hash)
    if needs_code(desk, tenant_id, run_uid):
        try:
            check_code_tx(desk, tenant_id, run_uid, code, person_of(confirmed_by))
        except CodeExpired:
            # A second click ends up here too: the first has used the code and begun the run.
            _check_before(desk, tenant_id, run_uid, typed_name, preview_hash)
            raise
    with desk.db.tenant_session(tenant_id) as session:
        run = get_run(session, run_uid)
        try:
            _begin(session, run, confirmed_by, lanes)
            session.commit()
        except IntegrityError as error:
            session.rollback()
            running = active_run(session, run.event_id)
            if running is None:
                raise
            raise CancellationAlreadyRunning(running.uid) from error
    return run_uid


def _check_before(
    desk: Desk, tenant_id: int, run_uid: str, typed_name: str, preview_hash: str
) -> None:
    with desk.db.tenant_session(tenant_id, read_only=True) as session:
        run = get_run(session, run_uid)
        event = session.get_one(Event, run.event_id)
        if run.state in ACTIVE_RUN_STATES:
            raise CancellationAlreadyRunning(run.uid)
        if run.state != "preview":
            raise RunNotInState(run.uid, run.state, "confirmed")
        stale = preparing.stale_of(run)
        if stale is not None:
            raise stale
        _check_active_tenant(session)
        _check_cancellable(session, event)
        if _plain(typed_name) != _plain(event.title):
            raise WrongEventName(event.title)
        if preview_hash != run.preview_hash:
            seen, stored = preview_hash[:8], (run.preview_hash or "")[:8]
            raise PreviewStale(run.uid, [(Message("preview"), seen, stored)])


def _plain(name: str) -> str:
    """Return a name as it is compared: outer blanks and ways to write an umlaut do not count."""
    return unicodedata.normalize("NFC", name).strip()


def _check_active_tenant(session: Session) -> None:
    tenant = session.scalars(select(Tenant)).one()
    if tenant.status != "active":
        raise TenantSuspended(tenant.name)


def _begin(session: Session, run: CancelRun, confirmed_by: By, lanes: int) -> None:
    """Write the start; the plan is made anew and must be the one that was previewed."""
    now = clock_of(session).now()
    event = session.get_one(Event, run.event_id, with_for_update=True)
    _check_cancellable(session, event)
    event_was, event.status, event.version = event.status, "cancelling", event.version + 1
    run.state, run.lanes = "confirmed", lanes
    run.confirmed_by, run.confirmed_at = person_of(confirmed_by), now
    run.code_hash = run.code_expires_at = None
    session.flush()
    if preparing.is_prepared_by_its_job(run):
        preparing.begin(session, run, event_was)
    else:
        event_cancelling(session, (event.id, event.uid), run.uid, now)
        _write_items(session, run, event, now)
    session.add_all(
        CancelLane(tenant_id=run.tenant_id, run_id=run.id, lane=lane) for lane in range(lanes)
    )
    write_audit(
        session, run, "cancellation.confirmed", confirmed_by, now,
        {"options": run.options, "preview": run.preview},
    )  # fmt: skip
    _wake_lanes(session, run)


def _wake_lanes(session: Session, run: CancelRun) -> None:
    """Have the lanes worked on: the first one alone while it writes the items."""
    lanes = 1 if run.state == "confirmed" and run.preparation is not None else run.lanes
    facts.note(session, LanesReady(run.tenant_id, run.uid, tuple(range(lanes))))


def _write_items(session: Session, run: CancelRun, event: Event, now: datetime) -> None:
    totals = Totals()
    options = CancelOptions.from_json(run.options)
    items = counted(previews.planned_items(session, event, options), totals)
    insert_items(session, run.tenant_id, run.id, run.lanes, items)
    before = Preview.from_json(run.preview)
    fresh = previews.from_totals(totals, now, before.funds)
    # Whoever has paid nothing is in no hash, and yet is cancelled and mailed.
    if fresh.hash != run.preview_hash or fresh.attendees > before.attendees:
        raise PreviewStale(run.uid, previews.differences(before, fresh))


def pause(session: Session, run_uid: str, by: By, reason: str = "") -> None:
    """Stop the run before its next chunk; what was sent is followed to its end."""
    run = _locked(session, run_uid)
    if run.state not in {"confirmed", "running", "sweeping"} and not _is_providers_pause(run):
        raise RunNotInState(run_uid, run.state, "paused")
    now = clock_of(session).now()
    run.paused_from = run.paused_from or run.state
    run.state, run.paused_at, run.pause_code = "paused", now, "person"
    run.pause_reason, run.resume_at = reason or None, None
    write_audit(session, run, "cancellation.paused", by, now, {"reason": reason})


def _is_providers_pause(run: CancelRun) -> bool:
    return run.state == "paused" and run.pause_code == "provider"


def resume(session: Session, run_uid: str, by: By, *, operator: bool = False) -> None:
    """Let a paused run go on, whatever paused it; what remains is done, what is done is not.

    A suspended tenant's run is resumed by an operator only; it pauses again while suspended.
    """
    run = _locked(session, run_uid)
    if run.state != "paused":
        raise RunNotInState(run_uid, run.state, "resumed")
    if not operator:
        _check_active_tenant(session)
    now = clock_of(session).now()
    _set_going(session, run, now)
    write_audit(session, run, "cancellation.resumed", by, now, {})


def _set_going(session: Session, run: CancelRun, now: datetime) -> None:
    connection = session.connection()
    is_prepared = run.preparation is None
    run.state = "running" if is_prepared else "confirmed"
    run.paused_from = run.pause_code = run.pause_reason = run.resume_at = run.finished_at = None
    run.started_at = run.started_at or (now if is_prepared else None)
    session.flush()
    accounts = Preview.from_json(run.preview).accounts
    circuit.probe_now(connection, accounts, now)
    connection.execute(sql.REOPEN_LANES, {"tenant": run.tenant_id, "run": run.id})
    _wake_lanes(session, run)


def abort(session: Session, run_uid: str, by: By, reason: str = "") -> None:
    """End the run: no further refunds begin, nobody else is cancelled. What was done stays done.

    Whoever was refunded or cancelled is still told, of refunds under way when they have ended. The
    event stays `cancelling` and nobody's ticket comes back; another run can do the rest.
    """
    run = _locked(session, run_uid)
    if run.state not in ACTIVE_RUN_STATES:
        raise RunNotInState(run_uid, run.state, "aborted")
    now = clock_of(session).now()
    if run.preparation is not None:  # its job would have told that the cancellation has begun
        event = session.get_one(Event, run.event_id)
        event_cancelling(session, (event.id, event.uid), run.uid, now)
    run.state = "aborted"
    run.paused_from = run.pause_code = run.pause_reason = run.resume_at = None
    session.flush()
    session.connection().execute(sql.REOPEN_LANES, {"tenant": run.tenant_id, "run": run.id})
    write_audit(session, run, "cancellation.aborted", by, now, {"reason": reason})
    # Lanes come once more: to follow what was sent, and to close the run.
    _wake_lanes(session, run)


def retry_failed(session: Session, run_uid: str, by: By, items: Sequence[int] | None = None) -> int:
    """Do failed items again (all, or those given), each with a new key; returns how many.

    A refund that is `uncertain` is not retried by this: look it up first.
    """
    run = _locked(session, run_uid)
    if run.state in {"preview", "aborted"}:
        raise RunNotInState(run_uid, run.state, "retried")
    wanted = [CancelItem.run_id == run.id, CancelItem.refund_state == "failed"]
    if items is not None:
        wanted.append(CancelItem.id.in_(items))
    count = _reopen_failed(session, run, wanted)
    if not count:
        return 0
    now = clock_of(session).now()
    write_audit(session, run, "cancellation.retried", by, now, {"items": count})
    if run.state in {"done", "done_with_errors"}:
        running = active_run(session, run.event_id)
        if running is not None:
            raise CancellationAlreadyRunning(running.uid)
    if run.state != "paused":
        _set_going(session, run, now)
    return count


def _reopen_failed(session: Session, run: CancelRun, wanted: list[Any]) -> int:
    """Give failed items new units at the end of the run, those of one payment the same one."""
    connection = session.connection()
    key = {"tenant": run.tenant_id, "run": run.id}
    shift = int(connection.execute(sql.LAST_UNIT, key).scalar_one()) + 1
    changed = session.execute(
        update(CancelItem)
        .where(*wanted)
        .values(
            refund_state="todo", refund_id=None, attempts=0, error_code=None, error_text=None,
            skip_reason=None, unit=CancelItem.unit + shift,
        )
        .execution_options(synchronize_session=False)
    )  # fmt: skip
    return int(cast("CursorResult[Any]", changed).rowcount)


def _locked(session: Session, run_uid: str) -> CancelRun:
    """Return the run with its row locked: two buttons pressed at once come one after the other."""
    run = session.scalar(
        select(CancelRun)
        .where(CancelRun.uid == run_uid)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if run is None:
        raise UnknownRun(run_uid)
    return run


def write_audit(
    session: Session,
    run: CancelRun,
    action: str,
    by: By,
    now: datetime,
    after: dict[str, Any],
) -> None:
    """Write what a person did to a run into the audit log."""
    actor = actor_of(by)
    session.connection().execute(
        sql.INSERT_AUDIT,
        [
            {
                "tenant_id": run.tenant_id, "at": now, "actor_kind": actor.kind,
                "actor_id": actor.id, "ip": actor.ip,
                "user_agent": actor.user_agent and actor.user_agent[:400], "action": action,
                "object_type": "cancel_run", "object_id": run.uid, "before": None, "after": after,
                "reason": after.get("reason") or None,
            }
        ],
    )  # fmt: skip


def halt_tx(
    desk: Desk, tenant_id: int, run_uid: str, lane: int, why: str, *, is_second: bool
) -> None:
    """Pause a run whose worker gave up; a run that is paused or over stays as it is.

    A job comes in its place, which looks up what it had sent and, where the run was aborted, closes
    it; but none in the place of one that came so itself (``is_second``), unless a person has let
    the run go on since.
    """
    with desk.db.tenant_session(tenant_id) as session:
        run = _locked(session, run_uid)
        was_active = run.state in {"confirmed", "running", "sweeping"}
        if was_active:
            run.paused_from, run.state = run.state, "paused"
            run.paused_at, run.pause_code = clock_of(session).now(), "worker"
            run.pause_reason = why[:2000]
        if run.finished_at is None and (was_active or not is_second):
            facts.note(session, LanesReady(tenant_id, run_uid, (lane,), instead=True))
        session.commit()
