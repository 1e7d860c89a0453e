"""Exports that come by themselves: made, changed, paused, and asked for when they are due."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo, available_timezones

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from meet2be.audit.services import SYSTEM, Actor, record
from meet2be.db import Database
from meet2be.events.models import Event
from meet2be.exports.errors import (
    BadExport,
    ExportError,
    ExportNotPossible,
    TooManyExports,
    UnknownExport,
    words_for,
)
from meet2be.exports.models import REPEATS, Export, ExportSchedule
from meet2be.exports.permission import who_may_export
from meet2be.exports.recurrence import Rule
from meet2be.exports.services import Asked, Planned, request_export
from meet2be.exports.spec import ExportSpec
from meet2be.exports.telling import count_error, said_again
from meet2be.language import N_, Message
from meet2be.plain_text import one_line
from meet2be.tenancy.models import Tenant
from onqueue.contracts import Clock

MOST_RECIPIENTS: Final = 20
PUT_OFF: Final = timedelta(hours=1)
"""After an error that nobody foresaw."""
_log = logging.getLogger("meet2be.exports")
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\Z")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a schedule's form says, checked."""

    name: str
    repeat: str
    weekday: int
    monthday: int
    time_of_day: str
    timezone: str
    recipients: tuple[int, ...] = ()

    @property
    def rule(self) -> Rule:
        """When it comes."""
        return _rule(self.repeat, self.time_of_day, self.weekday, self.monthday)


def read_plan(given: Mapping[str, Any], recipients: Sequence[int]) -> Plan:
    """Return the plan that plain values make; raises ``BadExport``."""
    problems: dict[str, Message] = {}
    name = one_line(str(given.get("name", "")))[:120]
    if not name:
        problems["name"] = Message(N_("Give it a name, so that others know what it is."))
    repeat = str(given.get("repeat", ""))
    if repeat not in REPEATS:
        problems["repeat"] = Message(N_("Choose how often it comes."))
    time_of_day = str(given.get("time_of_day", ""))
    if not _TIME.match(time_of_day):
        problems["time_of_day"] = Message(N_("Give a time of day, as in 07:30."))
    timezone = str(given.get("timezone", ""))
    if timezone not in available_timezones():
        problems["timezone"] = Message(
            N_("There is no time zone '%(zone)s'; they are called as in Europe/Berlin."),
            {"zone": timezone[:60]},
        )
    weekday = _within(given.get("weekday", 0), 0, 6)
    monthday = _within(given.get("monthday", 1), 1, 31)
    if weekday is None or monthday is None:
        problems["repeat"] = Message(N_("Choose a day that there is."))
    if len(recipients) > MOST_RECIPIENTS:
        problems["recipients"] = Message(
            N_("Choose up to %(most)s people."), {"most": MOST_RECIPIENTS}
        )
    if problems:
        raise BadExport(problems)
    return Plan(
        name, repeat, weekday or 0, monthday or 1, time_of_day, timezone,
        tuple(dict.fromkeys(recipients)),
    )  # fmt: skip


def create(
    session: Session,
    event: Event,
    spec: ExportSpec,
    plan: Plan,
    owner_id: int,
    actor: Actor,
    now: datetime,
) -> ExportSchedule:
    """Add a schedule; recipients that may not export are left out. The caller commits.

    Raises ``ExportNotPossible`` for an event in the archive.
    """
    _check_event(session, event.id)
    schedule = ExportSchedule(event_id=event.id, owner_id=owner_id)
    _fill(session, schedule, spec, plan, now)
    session.add(schedule)
    session.flush()
    record(
        session, actor, "export_schedule.created", "export_schedule", schedule.uid,
        after={"name": plan.name, "repeat": plan.repeat, "format": spec.format},
    )  # fmt: skip
    return schedule


def change(
    session: Session,
    uid: str,
    spec: ExportSpec,
    plan: Plan,
    user_id: int,
    actor: Actor,
    now: datetime,
) -> ExportSchedule:
    """Change what a schedule makes and when; raises ``UnknownExport``. The caller commits.

    It becomes the person's when its owner may not export any more.
    """
    schedule = find(session, uid, lock=True)
    _take_over(session, schedule, user_id)
    _fill(session, schedule, spec, plan, now)
    record(
        session, actor, "export_schedule.changed", "export_schedule", uid,
        after={"name": plan.name, "repeat": plan.repeat, "format": spec.format},
    )  # fmt: skip
    return schedule


def find(session: Session, uid: str, *, lock: bool = False) -> ExportSchedule:
    """Return a schedule of the organisation, with ``lock`` as nobody else changes it meanwhile.

    Raises ``UnknownExport``.
    """
    wanted = select(ExportSchedule).where(ExportSchedule.uid == uid)
    if lock:
        wanted = wanted.with_for_update().execution_options(populate_existing=True)
    schedule = session.scalar(wanted)
    if schedule is None:
        raise UnknownExport(uid)
    return schedule


def switch(
    session: Session, uid: str, user_id: int, actor: Actor, now: datetime, *, on: bool
) -> ExportSchedule:
    """Pause a schedule, or let it go on with its next tick; errors before are forgotten then.

    One that goes on becomes the person's when its owner may not export any more.
    Raises ``UnknownExport``, and ``ExportNotPossible`` while its event is in the archive.
    """
    if on:
        _check_event(session, find(session, uid).event_id)
    schedule = find(session, uid, lock=True)
    schedule.enabled = on
    # Whoever pauses one by hand does not want it back with its event.
    schedule.rests_with_event = False
    schedule.next_at = next_tick(schedule, now) if on else None
    if on:
        schedule.error_count = 0
        _take_over(session, schedule, user_id)
    action = "export_schedule.resumed" if on else "export_schedule.paused"
    record(session, actor, action, "export_schedule", uid)
    return schedule


def rest_with_event(session: Session, event: Event, actor: Actor) -> None:
    """Pause the schedules of an event that goes into the archive. The caller commits."""
    for schedule in _of_event(session, event, ExportSchedule.enabled.is_(True)):
        schedule.enabled, schedule.next_at, schedule.rests_with_event = False, None, True
        _record_with_event(session, schedule, event, actor)


def go_on_with_event(session: Session, event: Event, actor: Actor, now: datetime) -> None:
    """Let those go on that its archive had paused, with their next tick. The caller commits."""
    for schedule in _of_event(session, event, ExportSchedule.rests_with_event.is_(True)):
        schedule.enabled, schedule.rests_with_event = True, False
        schedule.next_at = next_tick(schedule, now)
        _record_with_event(session, schedule, event, actor)


def delete(session: Session, uid: str, actor: Actor) -> None:
    """Remove a schedule; its exports stay, as if somebody had asked for them."""
    schedule = find(session, uid)
    session.execute(
        update(Export)
        .where(Export.schedule_id == schedule.id)
        .values(schedule_id=None, planned_at=None)
        .execution_options(synchronize_session=False)
    )
    session.delete(schedule)
    record(session, actor, "export_schedule.deleted", "export_schedule", uid)


def run_now(session: Session, uid: str, user_id: int, actor: Actor, now: datetime) -> Asked:
    """Ask for a schedule's export out of turn; its ticks stay as they are.

    It becomes the person's when its owner may not export any more.
    """
    schedule = find(session, uid, lock=True)
    _take_over(session, schedule, user_id)
    return _ask(session, schedule, actor, now, planned_at=now)


def run_due(database: Database, clock: Clock) -> int:
    """Ask for the exports of all schedules that are due, and return how many those are.

    A tick that was missed, or several, is made up once: the next one lies after now. Those of an
    organisation that is suspended, or has too many exports under way, stay due.
    """
    now = clock.now()
    with database.system_session("exports: schedules that are due", read_only=True) as session:
        due = session.execute(
            select(ExportSchedule.tenant_id, ExportSchedule.uid)
            .join(Tenant, Tenant.id == ExportSchedule.tenant_id)
            .where(
                ExportSchedule.enabled.is_(True),
                ExportSchedule.next_at <= now,
                Tenant.status == "active",
            )
            .order_by(ExportSchedule.next_at)
            .limit(500)
        ).all()
    asked = 0
    for tenant_id, uid in due:
        try:
            with database.tenant_session(tenant_id) as session:
                asked += _tick(session, uid, now)
                session.commit()
        except Exception as error:  # noqa: BLE001 -- the other schedules are not to wait for this
            _log.exception("the schedule '%s' of exports could not be run", uid)
            with database.tenant_session(tenant_id) as session:
                _put_off(session, uid, now, error)
                session.commit()
    return asked


def next_tick(schedule: ExportSchedule, now: datetime) -> datetime:
    """Return when a schedule is due next."""
    rule = _rule(schedule.repeat, schedule.time_of_day, schedule.weekday, schedule.monthday)
    return rule.next_after(now, ZoneInfo(schedule.timezone))


def last_error(schedule: ExportSchedule) -> Message | None:
    """Return why a schedule's last export did not come to be."""
    return said_again(schedule.last_error)


def _put_off(session: Session, uid: str, now: datetime, error: Exception) -> None:
    """Count an error that nobody foresaw, and try again later."""
    schedule = session.scalar(
        select(ExportSchedule).where(ExportSchedule.uid == uid).with_for_update()
    )
    if schedule is not None and schedule.enabled:
        schedule.next_at = now + PUT_OFF
        count_error(session, schedule, words_for(error)[1], now)


def _tick(session: Session, uid: str, now: datetime) -> bool:
    # The event comes first, as for whoever puts it into the archive.
    of_schedule = select(ExportSchedule.event_id).where(ExportSchedule.uid == uid)
    mine = select(Event.id).where(Event.id == of_schedule.scalar_subquery())
    session.scalar(mine.with_for_update(read=True))
    schedule = session.scalar(
        select(ExportSchedule).where(ExportSchedule.uid == uid).with_for_update()
    )
    if schedule is None or not schedule.enabled or (schedule.next_at or now) > now:
        return False  # another scheduler's doing, or a person's
    planned_at = schedule.next_at or now
    following = next_tick(schedule, now)
    try:
        _ask(session, schedule, SYSTEM, now, planned_at=planned_at)
    except TooManyExports:
        return False  # it stays due
    except ExportError as error:
        why = error.args[0] if isinstance(error.args[0], Message) else Message(str(error))
        count_error(session, schedule, why, now)
    schedule.last_at = now
    if schedule.enabled:
        schedule.next_at = following
    return True


def _ask(
    session: Session, schedule: ExportSchedule, actor: Actor, now: datetime, planned_at: datetime
) -> Asked:
    event = session.scalars(select(Event).where(Event.id == schedule.event_id)).one()
    return request_export(
        session,
        event,
        ExportSpec.from_json(schedule.spec),
        schedule.owner_id,
        actor,
        now,
        Planned(schedule.id, planned_at),
    )


def _take_over(session: Session, schedule: ExportSchedule, user_id: int) -> None:
    """Give a schedule to the person when nothing would come of it as its owner's."""
    if not who_may_export(session, [schedule.owner_id]):
        schedule.owner_id = user_id


def _fill(
    session: Session, schedule: ExportSchedule, spec: ExportSpec, plan: Plan, now: datetime
) -> None:
    allowed = who_may_export(session, plan.recipients)
    schedule.name, schedule.format, schedule.spec = plan.name, spec.format, spec.as_json()
    schedule.repeat, schedule.weekday, schedule.monthday = plan.repeat, plan.weekday, plan.monthday
    schedule.time_of_day, schedule.timezone = plan.time_of_day, plan.timezone
    schedule.recipients = [person for person in plan.recipients if person in allowed]
    if schedule.enabled is not False:
        schedule.next_at = plan.rule.next_after(now, ZoneInfo(plan.timezone))


def _of_event(
    session: Session, event: Event, which: ColumnElement[bool]
) -> Sequence[ExportSchedule]:
    mine = select(ExportSchedule).where(ExportSchedule.event_id == event.id, which)
    return session.scalars(mine.order_by(ExportSchedule.id).with_for_update()).all()


def _record_with_event(
    session: Session, schedule: ExportSchedule, event: Event, actor: Actor
) -> None:
    action = "export_schedule.resumed" if schedule.enabled else "export_schedule.paused"
    record(
        session, actor, action, "export_schedule", schedule.uid,
        after={"with_event": event.uid},
    )  # fmt: skip


def _check_event(session: Session, event_id: int) -> None:
    """Hold the event where it is until the commit; it is held before its schedules."""
    held = select(Event).where(Event.id == event_id).with_for_update(read=True)
    event = session.scalars(held.execution_options(populate_existing=True)).one()
    if event.status == "archived":
        raise ExportNotPossible(
            "event_archived",
            Message(
                N_("“%(title)s” is in the archive. Take it out first: until then nothing of it"
                   " comes regularly."),
                {"title": event.title},
            ),
        )  # fmt: skip


def _rule(repeat: str, time_of_day: str, weekday: int, monthday: int) -> Rule:
    return Rule(repeat, time.fromisoformat(time_of_day), weekday, monthday)


def _within(value: Any, least: int, most: int) -> int | None:
    text = str(value)
    number = int(text) if text.isdecimal() and len(text) < 4 else -1
    return number if least <= number <= most else None
