"""One thing of each kind that addresses of the API name."""

import io
from datetime import timedelta

from sqlalchemy import select

from meet2be.audit.services import Actor
from meet2be.bootstrap import Services
from meet2be.db.columns import new_uid
from meet2be.events.models import TicketType
from meet2be.exports import schedules
from meet2be.exports.services import request_export, save_preset
from meet2be.exports.spec import ExportSpec
from meet2be.imports import services as imports
from meet2be.payments.models import Refund
from meet2be.tenancy.models import Invitation
from meet2be.webhooks.endpoints import EndpointDraft, Workbench, add_endpoint, check_address
from meet2be.webhooks.models import WebhookDelivery
from meet2be.webhooks.replaying import send_test
from support.cancelling import Conference
from support.factories import make_user
from support.stage import Stage

LIST = b"Name;E-mail;Ticket\r\nEve Added;eve@example.org;Regular\r\n"


def api_things(stage: Stage) -> dict[str, str]:
    """Return the names of things of the stage's conference, by parameter."""
    return things_of(stage.web.services, stage.conference)


def things_of(services: Services, made: Conference) -> dict[str, str]:
    """Return the names of a conference's things, by the parameter of the address."""
    now, person = services.clock.now(), make_user(services.database, made.tenant)
    actor = Actor("user", str(person.id))
    with services.database.tenant_session(made.tenant.id) as session:
        export = request_export(session, made.event, ExportSpec(), person.id, actor, now).export
        given = imports.Upload("attendees", io.BytesIO(LIST), "list.csv", person.id, made.event)
        imported = imports.upload(session, services.store, given, actor)
        webhooks = services.webhooks
        bench = Workbench(webhooks.http, webhooks.vault, actor, person.id)
        draft = EndpointDraft("https://8.8.8.8/hook", all_types=True)
        endpoint, _ = add_endpoint(session, bench, draft, check_address(bench, draft.url))
        delivery = send_test(session, bench, endpoint.uid)
        session.flush()
        refund = session.scalars(select(Refund.uid)).first()
        kind = session.scalars(select(TicketType.uid).where(TicketType.event_id == made.event.id))
        preset = save_preset(session, person.id, "kept", ExportSpec(), actor)
        plan = schedules.Plan("daily", "daily", 0, 1, "07:30", "UTC")
        schedule = schedules.create(session, made.event, ExportSpec(), plan, person.id, actor, now)
        invitation = Invitation(
            email="asked@example.org", email_norm="asked@example.org", role="viewer",
            locale="en-GB", token_hash=new_uid(), sent_at=now, expires_at=now + timedelta(days=1),
        )  # fmt: skip
        session.add(invitation)
        session.flush()
        ticket_type = kind.first() or ""
        assert session.scalar(select(WebhookDelivery.id)) is not None
        session.commit()
    return {
        "event_uid": made.event.uid,
        "attendee_uid": made.orders[0].attendee.uid,
        "run_uid": made.run_uid,
        "refund_uid": refund or "0" * 26,
        "mail_uid": made.mails()[0].uid,
        "export_uid": export.uid,
        "import_uid": imported.uid,
        "endpoint_uid": endpoint.uid,
        "delivery_uid": delivery,
        "order_uid": made.orders[0].order.uid,
        "step": "send_confirmation",
        "ticket_type_uid": ticket_type,
        "preset_uid": preset.uid,
        "schedule_uid": schedule.uid,
        "member_uid": person.uid,
        "invitation_uid": invitation.uid,
    }
