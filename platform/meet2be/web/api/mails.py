"""Mails: what was sent, what was not, and why; withdrawn, sent once more, decided about."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from meet2be.mailings import actions, listing
from meet2be.mailings.decisions import decide_uncertain
from meet2be.mailings.models import Mail
from meet2be.objects.base import Moment, Told
from meet2be.objects.mails import MailTold, Status, mail_fields
from meet2be.web.api.calls import Call
from meet2be.web.api.operations import operation
from meet2be.web.api.problems import Problem
from meet2be.web.api.schemas import Given, ListQuery, Page, Since, Text


class MailQuery(ListQuery):
    """Which mails; `since` and `until` are about when they were written."""

    status: Status | None = None
    address: Annotated[str, Field(max_length=320)] = ""
    kind: Annotated[str, Field(max_length=64)] = ""
    since: Since | None = None
    until: Since | None = None


class TryTold(Told):
    """What came of one try to send a mail."""

    n: int
    at: Moment
    outcome: str
    code: str | None
    detail: str | None


class MailWithText(MailTold):
    """A mail with its text and every try."""

    body_text: str | None
    tries: list[TryTold]


class MailDecision(Given):
    """What somebody knows of a mail whose fate nobody knew."""

    decision: Literal["sent", "again"] = Field(
        description="`sent`: it was sent. `again`: it is sent once more, and may come twice."
    )
    reason: Annotated[Text, Field(min_length=1, max_length=2000)]


@operation("GET", "/mails", "mails:read")
def list_mails(call: Call, query: MailQuery) -> Page[MailTold]:
    """List mails, the newest first."""
    wanted = listing.MailFilter(
        query.status or "", query.address, query.kind, query.since, query.until
    )
    found = listing.mails_page(call.reading, wanted, call.part(query))
    return call.page(query, found, lambda row: (row.id,), lambda row: MailTold(**mail_fields(row)))


@operation("GET", "/mails/<mail_uid>", "mails:read")
def get_mail(call: Call, mail_uid: str) -> MailWithText:
    """Give one mail with its text and every try to send it."""
    mail = listing.find_mail(call.reading, mail_uid)
    if mail is None:
        raise Problem("not_found")
    return MailWithText(
        **mail_fields(mail),
        body_text=None if mail.sensitive else mail.body_text,
        tries=[TryTold.model_validate(each) for each in listing.log_of(call.reading, mail)],
    )


@operation("POST", "/mails/<mail_uid>/decision", "mails:decide", problems=("conflict",))
def decide_mail(call: Call, mail_uid: str, body: MailDecision) -> MailTold:
    """Say what became of an uncertain mail; the reason goes into the audit log."""
    recorder = call.services.deliveries.recorder
    mail = decide_uncertain(
        call.writing, recorder, mail_uid, body.decision, body.reason, call.actor, call.now
    )
    call.writing.flush()
    return MailTold(**mail_fields(mail))


@operation("POST", "/mails/<mail_uid>/cancel", "mails:write", problems=("conflict",))
def cancel_mail(call: Call, mail_uid: str) -> MailTold:
    """Withdraw a mail that has not left."""
    recorder = call.services.deliveries.recorder
    mail = actions.cancel(call.writing, recorder, mail_uid, call.actor, call.now)
    call.writing.flush()
    return MailTold(**mail_fields(mail))


@operation("POST", "/mails/<mail_uid>/resend", "mails:write", status=202,
           problems=("conflict",))  # fmt: skip
def resend_mail(call: Call, mail_uid: str) -> MailTold:
    """Send a copy of a mail, as a mail of its own that counts in the reader's limit."""
    written = actions.resend(call.writing, mail_uid, call.actor, call.now)
    call.writing.flush()
    return MailTold(**mail_fields(call.writing.get_one(Mail, written.mail_id)))
