"""Finding tenants, and whether they may do anything."""

from __future__ import annotations

from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.errors import Meet2BeError
from meet2be.language import Message
from meet2be.tenancy.models import Tenant

TEST_MODE: Final = "test_mode"
"""Among an organisation's settings: whether all that it does is a test."""


class TenantNotFoundError(Meet2BeError):
    """No tenant of that short name."""

    def __init__(self, slug: str) -> None:
        self.slug = slug
        super().__init__(f"there is no organisation '{slug}'. Check its short name.")


def find_tenant(session: Session, slug: str) -> Tenant:
    """Return the tenant of that short name; raise TenantNotFoundError. For system sessions."""
    tenant = session.scalar(select(Tenant).where(Tenant.slug == slug))
    if tenant is None:
        raise TenantNotFoundError(slug)
    return tenant


class TenantIsSuspended(Meet2BeError):
    """The organisation may change nothing until the platform's operators let it."""

    def __init__(self, reason: str | None = None) -> None:
        self.reason = reason
        super().__init__(
            Message(
                "The organisation is suspended: it can be looked at, but nothing can be changed"
            )
        )


def is_suspended(session: Session, tenant_id: int | None = None) -> bool:
    """Tell whether the session's tenant (in a system session: that one) is not active."""
    wanted = select(Tenant.status)
    if tenant_id is not None:
        wanted = wanted.where(Tenant.id == tenant_id)
    return session.scalars(wanted).one() != "active"


def check_active(session: Session, tenant_id: int | None = None) -> None:
    """Raise ``TenantIsSuspended`` unless the tenant is active."""
    if is_suspended(session, tenant_id):
        raise TenantIsSuspended


def in_test_mode(tenant: Tenant) -> bool:
    """Tell whether all that an organisation begins is a test."""
    return bool(tenant.settings.get(TEST_MODE))
