"""Finding tenants."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.errors import Meet2BeError
from meet2be.tenancy.models import Tenant


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
