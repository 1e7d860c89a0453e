"""The notices of the token's person."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from meet2be.notifications import listing
from meet2be.notifications.services import mark_read
from meet2be.objects.base import Moment, Told, Uid
from meet2be.web.api.calls import Call
from meet2be.web.api.operations import operation
from meet2be.web.api.schemas import Given, ListQuery, Page


class NoticeQuery(ListQuery):
    """Which notices."""

    unread: Literal["true", "false"] = "false"


class NoticeTold(Told):
    """Something the platform has to tell the person."""

    uid: Uid
    kind: str
    severity: Literal["info", "success", "warning", "error"]
    title: str
    body: str
    link: str | None
    created_at: Moment
    read_at: Moment | None


class WhichNotice(Given):
    """One notice, or (null) all."""

    notification: Uid | None = Field(None)


class Marked(Told):
    """How many notices this marked as read."""

    marked: int


@operation("GET", "/notifications", "notifications:read")
def list_notifications(call: Call, query: NoticeQuery) -> Page[NoticeTold]:
    """List the notices of the token's person, the newest first."""
    is_unread, person = query.unread == "true", call.caller.user_id
    found = listing.notices_page(call.reading, person, call.part(query), unread=is_unread)
    return call.page(query, found, lambda row: (row.id,), NoticeTold.model_validate)


@operation("POST", "/notifications/read", "notifications:write")
def mark_notifications_read(call: Call, body: WhichNotice) -> Marked:
    """Mark one notice of the token's person, or all, as read."""
    person = call.caller.user_id
    return Marked(marked=mark_read(call.writing, person, body.notification, call.now))
