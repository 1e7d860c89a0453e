"""The token itself: whose it is and what it may."""

from __future__ import annotations

from meet2be.objects.base import Moment, Told, Uid
from meet2be.web.api.calls import Call
from meet2be.web.api.operations import operation


class Me(Told):
    """Whom the token stands for."""

    token: Uid
    scopes: list[str]
    role: str
    tenant: Uid
    tenant_name: str
    tenant_status: str
    timezone: str
    expires_at: Moment | None


@operation("GET", "/me", None)
def get_me(call: Call) -> Me:
    """Tell whose token this is and what it may.

    The scopes are those that the token's person still may have: they end with a role.
    """
    caller = call.caller
    return Me(
        token=caller.token_uid,
        scopes=sorted(caller.scopes),
        role=caller.role,
        tenant=caller.tenant_uid,
        tenant_name=caller.tenant_name,
        tenant_status=caller.tenant_status,
        timezone=caller.tenant_timezone,
        expires_at=caller.expires_at,
    )
