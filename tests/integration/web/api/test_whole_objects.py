"""What endpoints are sent whole is what the API gives."""

from typing import Any

from meet2be.db import Database
from meet2be.objects.all import KINDS, object_of
from meet2be.tenancy.models import Invitation
from meet2be.webhooks.catalogue import TYPES
from support.api import Program, program
from support.api_things import api_things
from support.factories import make_tenant
from support.stage import Stage

PLACES = {
    "attendee": "/attendees/{attendee_uid}",
    "event": "/events/{event_uid}",
    "export": "/exports/{export_uid}",
    "import": "/imports/{import_uid}",
    "mail": "/mails/{mail_uid}",
    "order": "/orders/{order_uid}",
    "refund": "/refunds/{refund_uid}",
    "ticket_type": "/events/{event_uid}/ticket-types",
    "member": "/members",
    "invitation": "/invitations",
}
OF_ONE_MAIL = {"body_text", "tries"}
"""What the list of mails does not say, and no webhook either."""


def given(admin: Program, kind: str, things: dict[str, str]) -> Any:
    """Return what the API says of a thing."""
    found = admin.get(PLACES[kind].format(**things))
    if "data" not in found:
        return {name: value for name, value in found.items() if name not in OF_ONE_MAIL}
    return next(each for each in found["data"] if each["uid"] == things[f"{kind}_uid"])


def test_each_kind_of_subject_is_sent_whole_as_the_api_gives_it(stage: Stage) -> None:
    """W21."""
    stage.conference.confirm()
    stage.conference.work(0, chunks=1)
    admin, things = program(stage.web, stage.conference.tenant, "owner"), api_things(stage)
    assert set(KINDS) == set(PLACES) == {each.subject for each in TYPES.values()}
    tenant = stage.conference.tenant.id
    with stage.web.services.database.tenant_session(tenant, read_only=True) as session:
        for kind in KINDS:
            uid = things[f"{kind}_uid"]
            assert object_of(session, kind, uid) == given(admin, kind, things), kind
            assert object_of(session, kind, "0" * 26) is None


def test_an_invitation_says_what_became_of_it(sqlite_database: Database) -> None:
    """W21."""
    tenant, now, found = make_tenant(sqlite_database), sqlite_database.clock.now(), []
    with sqlite_database.tenant_session(tenant.id) as session:
        invitation = Invitation(
            email="asked@example.org", email_norm="asked@example.org", role="viewer",
            locale="en-GB", token_hash="0" * 64, sent_at=now, expires_at=now,
        )  # fmt: skip
        session.add(invitation)
        for name in ("", "withdrawn_at", "accepted_at"):
            if name:
                setattr(invitation, name, now)
            session.flush()
            found.append((object_of(session, "invitation", invitation.uid) or {})["status"])
    assert found == ["open", "withdrawn", "accepted"]
