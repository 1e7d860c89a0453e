"""Exports that are kept: selections under a name, and what comes regularly."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from meet2be.events.models import Event
from meet2be.exports import listing, schedules
from meet2be.exports import services as verbs
from meet2be.exports.models import ExportPreset, ExportSchedule
from meet2be.exports.spec import ExportSpec
from meet2be.objects.base import Moment, Told, Uid
from meet2be.objects.exports import ExportTold
from meet2be.web.api.calls import Call
from meet2be.web.api.events import event_of
from meet2be.web.api.exports import ExportWish, export_after, spec_of
from meet2be.web.api.operations import operation
from meet2be.web.api.schemas import Json, Text


class PresetWish(ExportWish):
    """A selection and its name; one of that name is replaced."""

    name: Annotated[Text, Field(min_length=1, max_length=120)]


class PresetTold(Told):
    """A selection that was kept; `spec` is as the page keeps it."""

    uid: Uid
    name: str
    spec: Json
    updated_at: Moment


class Presets(Told):
    """All selections of the token's person, by name."""

    data: list[PresetTold]


class ScheduleWish(ExportWish):
    """What comes regularly, and when: at a time of day of `timezone`, whatever the clocks do."""

    name: Annotated[Text, Field(min_length=1, max_length=120)]
    repeat: Literal["daily", "weekly", "monthly"]
    time_of_day: Annotated[Text, Field(pattern="^[0-2][0-9]:[0-5][0-9]$", examples=["07:30"])]
    weekday: int = Field(0, ge=0, le=6, description="For weekly ones; 0 is Monday.")
    monthday: int = Field(
        1, ge=1, le=31, description="For monthly ones; a shorter month has its last day instead."
    )


class ScheduleTold(Told):
    """What comes regularly; `next_at` is null while it is paused."""

    uid: Uid
    event: Uid
    name: str
    format: str
    repeat: Literal["daily", "weekly", "monthly"]
    time_of_day: str
    timezone: str
    weekday: int
    monthday: int
    enabled: bool
    error_count: int
    next_at: Moment | None
    last_at: Moment | None


class Schedules(Told):
    """All that comes regularly, by name; at most 200."""

    data: list[ScheduleTold]


@operation("GET", "/export-presets", "exports:read")
def list_export_presets(call: Call) -> Presets:
    """List the selections that the token's person has kept."""
    rows = verbs.presets_of(call.reading, call.caller.user_id)
    return Presets(data=[PresetTold.model_validate(row) for row in rows])


@operation("POST", "/export-presets", "exports:write", status=201, problems=("conflict",))
def save_export_preset(call: Call, body: PresetWish) -> PresetTold:
    """Keep a selection under a name, to use it with any event."""
    spec = spec_of(call, body, call.caller.tenant_timezone)
    kept: ExportPreset = verbs.save_preset(
        call.writing, call.caller.user_id, body.name, spec, call.actor
    )
    call.writing.flush()
    return PresetTold.model_validate(kept)


@operation("DELETE", "/export-presets/<preset_uid>", "exports:write")
def delete_export_preset(call: Call, preset_uid: str) -> None:
    """Delete a selection."""
    verbs.delete_preset(call.writing, call.caller.user_id, preset_uid, call.actor)


@operation("GET", "/export-schedules", "exports:read")
def list_export_schedules(call: Call) -> Schedules:
    """List what comes regularly."""
    rows = listing.schedules_with_events(call.reading)
    return Schedules(data=[_told(*row) for row in rows])


@operation("GET", "/export-schedules/<schedule_uid>", "exports:read")
def get_export_schedule(call: Call, schedule_uid: str) -> ScheduleTold:
    """Give one schedule."""
    found = schedules.find(call.reading, schedule_uid)
    return _told(found, call.reading.get_one(Event, found.event_id))


@operation("POST", "/events/<event_uid>/export-schedules", "exports:write", status=201,
           problems=("conflict",))  # fmt: skip
def create_export_schedule(call: Call, event_uid: str, body: ScheduleWish) -> ScheduleTold:
    """Let a file of an event's attendees come regularly."""
    event = event_of(call, event_uid)
    spec = spec_of(call, body, event.timezone)
    made = schedules.create(
        call.writing, event, spec, _plan(body, spec), call.caller.user_id, call.actor, call.now
    )
    call.writing.flush()
    return _told(made, event)


@operation("PUT", "/export-schedules/<schedule_uid>", "exports:write")
def change_export_schedule(call: Call, schedule_uid: str, body: ScheduleWish) -> ScheduleTold:
    """Change what comes, and when; whom else it is told to stays."""
    found = schedules.find(call.writing, schedule_uid, lock=True)
    event = call.writing.get_one(Event, found.event_id)
    spec = spec_of(call, body, event.timezone)
    plan = _plan(body, spec, [int(each) for each in found.recipients])
    schedules.change(
        call.writing, schedule_uid, spec, plan, call.caller.user_id, call.actor, call.now
    )
    call.writing.flush()
    return _told(found, event)


@operation("POST", "/export-schedules/<schedule_uid>/pause", "exports:write")
def pause_export_schedule(call: Call, schedule_uid: str) -> ScheduleTold:
    """Let nothing come until it is resumed."""
    return _switched(call, schedule_uid, on=False)


@operation("POST", "/export-schedules/<schedule_uid>/resume", "exports:write",
           problems=("conflict",))  # fmt: skip
def resume_export_schedule(call: Call, schedule_uid: str) -> ScheduleTold:
    """Let it come again, from the next time on."""
    return _switched(call, schedule_uid, on=True)


@operation("POST", "/export-schedules/<schedule_uid>/run", "exports:write", status=202,
           problems=("conflict",))  # fmt: skip
def run_export_schedule(call: Call, schedule_uid: str) -> ExportTold:
    """Make its file now, out of turn."""
    asked = schedules.run_now(call.writing, schedule_uid, call.caller.user_id, call.actor, call.now)
    return export_after(call, asked.export.uid)


@operation("DELETE", "/export-schedules/<schedule_uid>", "exports:write")
def delete_export_schedule(call: Call, schedule_uid: str) -> None:
    """Delete a schedule; files that it made stay until they expire."""
    schedules.delete(call.writing, schedule_uid, call.actor)


def _plan(
    body: ScheduleWish, spec: ExportSpec, recipients: list[int] | None = None
) -> schedules.Plan:
    given: dict[str, Any] = body.model_dump(
        include={"name", "repeat", "time_of_day", "weekday", "monthday"}
    )
    return schedules.read_plan({**given, "timezone": spec.timezone}, recipients or [])


def _switched(call: Call, uid: str, *, on: bool) -> ScheduleTold:
    found = schedules.switch(call.writing, uid, call.caller.user_id, call.actor, call.now, on=on)
    call.writing.flush()
    return _told(found, call.writing.get_one(Event, found.event_id))


def _told(schedule: ExportSchedule, event: Event) -> ScheduleTold:
    own = set(ScheduleTold.model_fields) - {"event"}
    return ScheduleTold(**{name: getattr(schedule, name) for name in own}, event=event.uid)
