"""The people and events of a platform on a desk, made once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.accounts.models import User
from meet2be.accounts.passwords import hash_password
from meet2be.accounts.services import normalise_email
from meet2be.config import Settings
from meet2be.db.sessions import Database
from meet2be.events.models import Event
from meet2be.tenancy.models import Membership, Tenant
from onqueue.clock import SystemClock
from onqueue.contracts import Clock

DEMO_PASSWORD = "conference-demo-2026"  # noqa: S105 - printed on purpose, for a desk only
AURORA, BOREALIS = "aurora", "borealis"
DEMO_EVENT = "aurora-summit"
SECOND_EVENT = "aurora-winter-school"


@dataclass(frozen=True, slots=True)
class DemoLogin:
    """Somebody who can log in; ``organisation`` is a name, empty for the platform's operator."""

    name: str
    email: str
    role: str
    organisation: str = ""
    tenant_slug: str = ""


DEMO_LOGINS = (
    DemoLogin("Olivia Owner", "owner@aurora.example", "owner", "Aurora Conferences", AURORA),
    DemoLogin("Adam Admin", "admin@aurora.example", "admin", "Aurora Conferences", AURORA),
    DemoLogin(
        "Oskar Organiser", "organiser@aurora.example", "organiser", "Aurora Conferences", AURORA
    ),
    DemoLogin("Vera Viewer", "viewer@aurora.example", "viewer", "Aurora Conferences", AURORA),
    DemoLogin("Bea Borealis", "admin@borealis.example", "admin", "Borealis Events", BOREALIS),
    DemoLogin("Omar Operator", "operator@meet2be.example", "operator"),
)


def seed(settings: Settings, clock: Clock | None = None) -> None:
    """Make the demo's organisations, people and events, unless they are there."""
    clock = clock or SystemClock()
    database = Database(settings.database.owner_url, clock)
    with database.system_session("make the people and events of a desk") as session:
        if session.scalar(select(Tenant.id).where(Tenant.slug == AURORA)) is None:
            tenants = _tenants(session)
            _people(session, tenants)
            _events(session, tenants, clock)
            session.commit()
    database.close()


def _tenants(session: Session) -> dict[str, Tenant]:
    made = {
        AURORA: _tenant(AURORA, "Aurora Conferences", "en-GB", "Europe/Berlin"),
        BOREALIS: _tenant(BOREALIS, "Borealis Events", "de-DE", "Europe/Vienna"),
    }
    session.add_all(made.values())
    session.flush()
    return made


def _tenant(slug: str, name: str, locale: str, timezone: str) -> Tenant:
    return Tenant(
        slug=slug,
        name=name,
        locale=locale,
        timezone=timezone,
        currency="EUR",
        sender_name=name,
        sender_email=f"tickets@{slug}.example",
        storage_prefix=f"tenants/{slug}",
    )


def _people(session: Session, tenants: dict[str, Tenant]) -> None:
    shared_hash = hash_password(DEMO_PASSWORD)
    for login in DEMO_LOGINS:
        user = User(
            email=login.email,
            email_norm=normalise_email(login.email),
            name=login.name,
            password_hash=shared_hash,
            is_operator=not login.tenant_slug,
        )
        session.add(user)
        session.flush()
        if login.tenant_slug:
            tenant_id = tenants[login.tenant_slug].id
            session.add(Membership(tenant_id=tenant_id, user_id=user.id, role=login.role))


def _events(session: Session, tenants: dict[str, Tenant], clock: Clock) -> None:
    opening = clock.now().replace(hour=8, minute=0, second=0, microsecond=0)
    plans = (
        (AURORA, DEMO_EVENT, "Aurora Summit", 45),
        (AURORA, SECOND_EVENT, "Aurora Winter School", 80),
        (BOREALIS, "nordlicht-kongress", "Nordlicht-Kongress", 60),
    )
    for slug, event_slug, title, days in plans:
        starts_at = opening + timedelta(days=days)
        session.add(
            Event(
                tenant_id=tenants[slug].id,
                slug=event_slug,
                title=title,
                starts_at=starts_at,
                ends_at=starts_at + timedelta(days=2, hours=9),
                timezone=tenants[slug].timezone,
                currency="EUR",
                status="live",
            )
        )
