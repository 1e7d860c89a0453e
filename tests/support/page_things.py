"""The things of an organisation that pages are about, for tests that ask for them as others do."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import select, update

from meet2be.api_tokens.models import ApiToken
from meet2be.attendees.models import Attendee
from meet2be.cancellations.models import CancelItem
from meet2be.db.columns import new_uid
from meet2be.events.models import Event, TicketType
from meet2be.exports.models import Export, ExportPreset, ExportSchedule
from meet2be.imports.models import Import
from meet2be.mailings.models import Mail
from meet2be.orders.models import Order
from meet2be.payments.models import Refund
from meet2be.tenancy.models import Invitation
from support.cancelling import Conference
from support.factories import make_user
from support.hooks import announce_and_spread, announcement, make_endpoint

# Pages about one thing, and which of the stage's things it is.
THINGS = {
    "events": "event", "attendees": "attendee", "cancellations": "run", "refunds": "refund",
    "mail": "mail", "imports": "imported", "orders": "order", "ticket-types": "ticket",
}  # fmt: skip
UNKNOWN = "0" * 26
CANARY = "Zq7Canary"


@dataclass
class Things:
    """The names of one organisation's things."""

    event: str
    attendee: str
    run: str
    refund: str
    mail: str
    item: int
    imported: str
    order: str = UNKNOWN
    token: str = UNKNOWN
    ticket: str = UNKNOWN
    # Things that a button takes away: made anew each time, by the beginning of the rule.
    more: dict[str, Callable[[], str]] = field(default_factory=dict)

    def path(self, rule: str) -> str:
        """Return the address of a rule with these things."""
        area = rule.split("/")[1]
        name = str(getattr(self, THINGS[area])) if area in THINGS else UNKNOWN
        name = self.token if rule.startswith("/settings/api-tokens") else name
        for beginning, make in self.more.items():
            if rule.startswith(f"{beginning}/<uid>"):
                name = make()
        return rule.replace("<uid>", name).replace("<event_uid>", self.event)


def things_of(made: Conference) -> Things:
    """Return the things of a conference whose cancellation is half done."""
    return Things(
        made.event.uid,
        made.orders[0].attendee.uid,
        made.run_uid,
        made.rows(Refund)[0].uid,
        made.mails()[0].uid,
        made.rows(CancelItem)[0].id,
        an_import(made),
        made.orders[0].order.uid,
        a_token(made),
        a_ticket(made),
        export_things(made, made.admin) | people(made),
    )


def a_ticket(made: Conference) -> str:
    """Return a kind of ticket of the organisation."""
    with made.database.tenant_session(made.tenant.id, read_only=True) as session:
        return session.scalars(select(TicketType.uid).limit(1)).one()


def a_token(made: Conference) -> str:
    """Return a token of the organisation."""
    person = make_user(made.database, made.tenant)
    with made.database.tenant_session(made.tenant.id) as session:
        token = ApiToken(
            user_id=person.id, name="a program", prefix="m2b_", token_hash=new_uid(),
            scopes=["events:read"],
        )  # fmt: skip
        session.add(token)
        session.commit()
        return token.uid


def an_import(made: Conference) -> str:
    """Return the organisation's list, which was only uploaded and whose file is gone."""
    with made.database.tenant_session(made.tenant.id) as session:
        found = session.scalar(select(Import))
        if found is None:
            found = Import(
                kind="attendees", event_id=made.event.id, filename="list.csv", bytes=1,
                sha256="0" * 64, format="csv", header=["Name"],
            )  # fmt: skip
            session.add(found)
            session.commit()
        return found.uid


def export_things(made: Conference, owner: int, word: str = "x") -> dict[str, Callable[[], str]]:
    """Return what makes mails, exports, saved selections and schedules of somebody."""

    def kept(row: Export | ExportPreset | ExportSchedule | Mail) -> str:
        with made.database.tenant_session(made.tenant.id) as session:
            session.add(row)
            session.commit()
            return row.uid

    return {
        "/webhooks": lambda: make_endpoint(made.database, made.tenant.id, description=word).uid,
        "/webhooks/deliveries": lambda: a_delivery(made, word),
        "/mail": lambda: kept(
            Mail(
                kind="refund_made", to_addr=f"{word}@x.example", to_norm=f"{word}@x.example",
                dedupe_key=new_uid(), subject=word, body_text=word,
            )
        ),
        "/exports": lambda: kept(
            Export(
                event_id=made.event.id, requested_by=owner, format="csv", filename=word,
                spec={"columns": ["name"]}, request_hash=new_uid(), storage_key=new_uid(),
            )
        ),
        "/exports/presets": lambda: kept(ExportPreset(owner_id=owner, name=f"{word} {new_uid()}")),
        "/exports/schedules": lambda: kept(
            ExportSchedule(
                event_id=made.event.id, owner_id=owner, name=word, format="csv", repeat="daily",
                time_of_day="07:00", timezone="UTC",
            )
        ),
    }  # fmt: skip


def people(made: Conference, word: str = "x") -> dict[str, Callable[[], str]]:
    """Return what makes members and open invitations of the organisation."""

    def invited() -> str:
        address = f"{word}-{new_uid()}@x.example"
        with made.database.tenant_session(made.tenant.id) as session:
            row = Invitation(
                email=address, email_norm=address.lower(), role="viewer", locale="en-GB",
                token_hash=new_uid(), sent_at=made.clock.now(),
                expires_at=made.clock.now() + timedelta(days=1),
            )  # fmt: skip
            session.add(row)
            session.commit()
            return row.uid

    return {
        "/settings/members": lambda: make_user(made.database, made.tenant, "viewer", name=word).uid,
        "/settings/members/invitations": invited,
    }


def a_delivery(made: Conference, word: str) -> str:
    """Return a delivery of the organisation."""
    make_endpoint(made.database, made.tenant.id, url=f"https://{new_uid()}.example/{word}")
    told = announcement(subject_uid=word, dedupe_key=new_uid(), data={"text": word})
    return announce_and_spread(made.database, made.tenant.id, told)[-1].uid


def taint(made: Conference) -> None:
    """Write a word nobody else has into every text a page could show."""
    with made.database.tenant_session(made.tenant.id) as session:
        for model, columns in (
            (Event, ("title", "description", "place")),
            (TicketType, ("name",)),
            (Import, ("filename",)),
            (Attendee, ("name", "company", "notes", "email", "email_norm")),
            (Order, ("buyer_name", "buyer_email")),
            (CancelItem, ("name_snapshot", "email_snapshot", "error_text")),
            (Mail, ("subject", "body_text", "last_error", "to_addr", "to_norm")),
            (Refund, ("reason", "failure_text", "provider_status")),
            (ApiToken, ("name", "prefix", "last_used_ip")),
        ):
            session.execute(
                update(model)
                .values(dict.fromkeys(columns, CANARY))
                .execution_options(synchronize_session=False)
            )
        session.commit()
