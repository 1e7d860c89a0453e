"""What people do with endpoints: add, change, pause, switch on, delete, and their secrets.

Each verb works in a tenant's session and commits nothing. Addresses are checked here and again at
every connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NewType

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.audit.services import Actor, record
from meet2be.db import clock_of
from meet2be.db.columns import new_uid
from meet2be.events.models import Event
from meet2be.integrations.guarded_http import GuardedHttp
from meet2be.integrations.guarded_urls import RefusedUrl
from meet2be.language import Message
from meet2be.tenancy.limits import hold_limits, limit_of
from meet2be.webhooks.catalogue import unknown_types
from meet2be.webhooks.errors import (
    EndpointNotFoundError,
    NotNowError,
    RefusedEndpointError,
    UnknownTypeError,
)
from meet2be.webhooks.facts import EndpointResumed
from meet2be.webhooks.headers import checked, packed, unpacked
from meet2be.webhooks.models import (
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEndpointEvent,
    WebhookSecret,
)
from meet2be.webhooks.signing import new_pair, new_secret
from meet2be.webhooks.vault import Vault

OVERLAP: Final = timedelta(hours=24)
"""How long a replaced secret signs beside the new one."""
ENDPOINT: Final = "webhook_endpoint"

Address = NewType("Address", str)
"""A URL in its one form that `check_address` found may be called."""


@dataclass(frozen=True, slots=True)
class EndpointDraft:
    """An endpoint as somebody wants it; ``headers`` is one a line, None leaves them as they are."""

    url: str
    description: str = ""
    all_types: bool = False
    event_types: tuple[str, ...] = ()
    event_uids: tuple[str, ...] | None = None
    """The conferences it is about; None: all of them."""
    headers: str | None = None
    retry_refusals: bool = False
    jitter: bool = False
    signs_ed25519: bool | None = None
    """Whether a key pair signs beside the secret; None leaves that as it is."""
    full_data: bool | None = None
    """Whether bodies bear the whole object; None leaves that as it is."""


@dataclass(frozen=True, slots=True)
class Workbench:
    """What the verbs need beside the session."""

    http: GuardedHttp
    vault: Vault
    actor: Actor
    user_id: int | None = None


def endpoint_of(session: Session, uid: str, *, lock: bool = False) -> WebhookEndpoint:
    """Return an endpoint that is not deleted; raises ``EndpointNotFoundError``."""
    statement = select(WebhookEndpoint).where(
        WebhookEndpoint.uid == uid, WebhookEndpoint.status != "deleted"
    )
    found = session.scalar(statement.with_for_update() if lock else statement)
    if found is None:
        raise EndpointNotFoundError
    return found


def check_address(bench: Workbench, url: str) -> Address:
    """Return a URL as an endpoint may have it; raises ``RefusedEndpointError``.

    It asks the name servers, for up to the seconds a connection may take: call it before the first
    statement of the session that writes, which holds up others.
    """
    try:
        return Address(bench.http.check(url).url)
    except RefusedUrl as error:
        raise RefusedEndpointError(*error.args) from error


def add_endpoint(
    session: Session, bench: Workbench, draft: EndpointDraft, address: Address
) -> tuple[WebhookEndpoint, str]:
    """Return a new endpoint and its secret, which nobody is shown again.

    ``address`` is the draft's URL, checked. Raises ``RefusedEndpointError`` and
    ``UnknownTypeError``.
    """
    now = clock_of(session).now()
    hold_limits(session)
    count = session.scalar(
        select(func.count()).select_from(WebhookEndpoint).where(WebhookEndpoint.status != "deleted")
    )
    most = limit_of(session, "webhook_endpoints")
    if (count or 0) >= most:
        raise RefusedEndpointError(
            Message("There are %(most)s endpoints. Delete one first.", {"most": most})
        )
    endpoint = WebhookEndpoint(uid=new_uid(), created_by=bench.user_id, enabled_at=now)
    _take_over(session, bench, endpoint, draft, address)
    session.add(endpoint)
    session.flush()
    _choose_events(session, endpoint, draft)
    secret = _new_secret(session, bench, endpoint)
    _tend_keys(session, bench, endpoint)
    record(session, bench.actor, f"{ENDPOINT}.added", ENDPOINT, endpoint.uid, after=_told(endpoint))
    return endpoint, secret


def change_endpoint(
    session: Session, bench: Workbench, uid: str, draft: EndpointDraft, address: Address
) -> WebhookEndpoint:
    """Change an endpoint; deliveries that wait go to the new address. Raises as `add_endpoint`."""
    endpoint = endpoint_of(session, uid, lock=True)
    before = _told(endpoint)
    _take_over(session, bench, endpoint, draft, address)
    _choose_events(session, endpoint, draft)
    _tend_keys(session, bench, endpoint)
    record(
        session, bench.actor, f"{ENDPOINT}.changed", ENDPOINT, uid,
        before=before, after=_told(endpoint),
    )  # fmt: skip
    return endpoint


def pause(session: Session, bench: Workbench, uid: str) -> None:
    """Hold all deliveries of an endpoint back until it is switched on again."""
    endpoint = endpoint_of(session, uid, lock=True)
    if endpoint.status != "enabled":
        raise NotNowError(Message("The endpoint is not switched on."))
    _set_status(session, bench, endpoint, "paused")


def switch_on(session: Session, bench: Workbench, uid: str) -> None:
    """Send again: after a pause with all that was held back, after it was disabled from now on."""
    endpoint = endpoint_of(session, uid, lock=True)
    if endpoint.status == "enabled":
        raise NotNowError(Message("The endpoint is switched on already."))
    _set_status(session, bench, endpoint, "enabled")
    endpoint.enabled_at, endpoint.disabled_at = clock_of(session).now(), None
    endpoint.fails_in_row, endpoint.failing_since, endpoint.warned_at = 0, None, None
    facts.note(session, EndpointResumed(endpoint.tenant_id, endpoint.id))


def switch_off(session: Session, bench: Workbench, uid: str) -> None:
    """Disable an endpoint: what comes meanwhile is not sent, but can be replayed."""
    endpoint = endpoint_of(session, uid, lock=True)
    if endpoint.status.startswith("disabled"):
        raise NotNowError(Message("The endpoint is switched off already."))
    _set_status(session, bench, endpoint, "disabled_admin")
    endpoint.disabled_at = clock_of(session).now()


def delete_endpoint(session: Session, bench: Workbench, uid: str) -> None:
    """Delete an endpoint with its secrets; its deliveries are cancelled and its log stays."""
    endpoint = endpoint_of(session, uid, lock=True)
    now = clock_of(session).now()
    _set_status(session, bench, endpoint, "deleted")
    endpoint.custom_headers = None
    session.execute(
        update(WebhookSecret)
        .where(WebhookSecret.endpoint_id == endpoint.id)
        .values(secret_enc=None, revoked_at=func.coalesce(WebhookSecret.revoked_at, now))
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(WebhookDelivery)
        .where(
            WebhookDelivery.endpoint_id == endpoint.id,
            WebhookDelivery.status.in_(("pending", "held", "waiting")),
        )
        .values(status="cancelled", settled_at=now, final_reason="endpoint_deleted", next_at=None)
        .execution_options(synchronize_session=False)
    )


# ---- what signs: secrets (v1) and key pairs (v1a) ----


def live_secrets(session: Session, endpoint: WebhookEndpoint) -> Sequence[WebhookSecret]:
    """Return the secrets that sign now, the newest first."""
    return _live(session, endpoint, WebhookSecret.public_key.is_(None))


def live_keys(session: Session, endpoint: WebhookEndpoint) -> Sequence[WebhookSecret]:
    """Return the key pairs that sign now, the newest first; each with its public key."""
    return _live(session, endpoint, WebhookSecret.public_key.is_not(None))


def rotate_secret(session: Session, bench: Workbench, uid: str) -> str:
    """Return a new secret; the present one signs beside it for a day.

    Raises ``NotNowError`` while the one before still does: there are never three.
    """
    endpoint = endpoint_of(session, uid, lock=True)
    _retire(session, live_secrets(session, endpoint))
    made = _new_secret(session, bench, endpoint)
    record(session, bench.actor, f"{ENDPOINT}.secret_rotated", ENDPOINT, uid)
    return made


def rotate_key(session: Session, bench: Workbench, uid: str) -> str:
    """Return the public key of a new pair; the present pair signs beside it for a day.

    Raises ``NotNowError`` while the one before still does, and where no pair signs.
    """
    endpoint = endpoint_of(session, uid, lock=True)
    if not endpoint.signs_ed25519:
        raise NotNowError(Message("No key pair signs for this endpoint. Switch that on first."))
    _retire(session, live_keys(session, endpoint))
    made = _new_key(session, bench, endpoint)
    record(session, bench.actor, f"{ENDPOINT}.key_rotated", ENDPOINT, uid,
           after={"public_key": made})  # fmt: skip
    return made


def revoke_former_secret(session: Session, bench: Workbench, uid: str) -> None:
    """End the overlap now: from here on only the newest secret signs."""
    endpoint = endpoint_of(session, uid, lock=True)
    former = live_secrets(session, endpoint)[1:]
    if not former:
        raise NotNowError(Message("There is no former secret in use."))
    _revoke(session, former)
    record(session, bench.actor, f"{ENDPOINT}.secret_revoked", ENDPOINT, uid)


def revoke_former_key(session: Session, bench: Workbench, uid: str) -> None:
    """End the overlap now: from here on only the newest key pair signs."""
    endpoint = endpoint_of(session, uid, lock=True)
    former = live_keys(session, endpoint)[1:]
    if not former:
        raise NotNowError(Message("There is no former key in use."))
    _revoke(session, former)
    record(session, bench.actor, f"{ENDPOINT}.key_revoked", ENDPOINT, uid)


def _live(
    session: Session, endpoint: WebhookEndpoint, kind: ColumnElement[bool]
) -> Sequence[WebhookSecret]:
    now = clock_of(session).now()
    return session.scalars(
        select(WebhookSecret)
        .where(
            WebhookSecret.endpoint_id == endpoint.id,
            WebhookSecret.revoked_at.is_(None),
            or_(WebhookSecret.retires_at.is_(None), WebhookSecret.retires_at > now),
            kind,
        )
        .order_by(WebhookSecret.id.desc())
    ).all()


def _retire(session: Session, live: Sequence[WebhookSecret]) -> None:
    if len(live) > 1 and live[0].public_key is None:
        raise NotNowError(
            Message("The former secret is still in use. Revoke it first, or wait until it retires.")
        )
    if len(live) > 1:
        raise NotNowError(
            Message("The former key is still in use. Revoke it first, or wait until it retires.")
        )
    for each in live:
        each.retires_at = clock_of(session).now() + OVERLAP


def _revoke(session: Session, former: Sequence[WebhookSecret]) -> None:
    for each in former:
        each.revoked_at, each.secret_enc = clock_of(session).now(), None


def _new_secret(session: Session, bench: Workbench, endpoint: WebhookEndpoint) -> str:
    text, uid = new_secret(), new_uid()
    sealed = bench.vault.close(text, f"secret:{uid}")
    session.add(WebhookSecret(uid=uid, endpoint_id=endpoint.id, secret_enc=sealed))
    return text


def _new_key(session: Session, bench: Workbench, endpoint: WebhookEndpoint) -> str:
    (private, public), uid = new_pair(), new_uid()
    sealed = bench.vault.close(private, f"secret:{uid}")
    session.add(
        WebhookSecret(uid=uid, endpoint_id=endpoint.id, secret_enc=sealed, public_key=public)
    )
    return public


def _tend_keys(session: Session, bench: Workbench, endpoint: WebhookEndpoint) -> None:
    """Make the endpoint's pair when it is to sign, and end all pairs when none is to."""
    live = live_keys(session, endpoint)
    if endpoint.signs_ed25519 and not live:
        _new_key(session, bench, endpoint)
    elif not endpoint.signs_ed25519:
        _revoke(session, live)


def header_names(vault: Vault, endpoint: WebhookEndpoint) -> list[str]:
    """Return the names of an endpoint's own headers; their values are not shown."""
    if endpoint.custom_headers is None:
        return []
    return list(unpacked(vault.open(endpoint.custom_headers, f"headers:{endpoint.uid}")))


# ---- what a draft becomes ----


def _take_over(
    session: Session,
    bench: Workbench,
    endpoint: WebhookEndpoint,
    draft: EndpointDraft,
    address: Address,
) -> None:
    unknown = unknown_types(draft.event_types)
    if unknown:
        raise UnknownTypeError(unknown[0])
    if not draft.all_types and not draft.event_types:
        raise RefusedEndpointError(Message("Choose at least one kind of event."))
    endpoint.url = address
    endpoint.description = draft.description.strip()[:500]
    endpoint.all_types = draft.all_types
    endpoint.event_types = [] if draft.all_types else sorted(set(draft.event_types))
    endpoint.all_events = draft.event_uids is None
    endpoint.retry_refusals, endpoint.jitter = draft.retry_refusals, draft.jitter
    if draft.signs_ed25519 is not None:
        endpoint.signs_ed25519 = draft.signs_ed25519
    if draft.full_data is not None:
        endpoint.full_data = draft.full_data
    if draft.headers is not None:
        found = checked(draft.headers)
        place = f"headers:{endpoint.uid}"
        endpoint.custom_headers = bench.vault.close(packed(found), place) if found else None
    endpoint.updated_at = clock_of(session).now()


def _choose_events(session: Session, endpoint: WebhookEndpoint, draft: EndpointDraft) -> None:
    session.execute(
        delete(WebhookEndpointEvent).where(WebhookEndpointEvent.endpoint_id == endpoint.id)
    )
    if draft.event_uids is None:
        return
    found = session.scalars(select(Event.id).where(Event.uid.in_(draft.event_uids))).all()
    if not found:
        raise RefusedEndpointError(Message("Choose at least one event, or all of them."))
    session.add_all(
        WebhookEndpointEvent(endpoint_id=endpoint.id, event_id=event) for event in sorted(found)
    )


def _set_status(session: Session, bench: Workbench, endpoint: WebhookEndpoint, status: str) -> None:
    record(
        session, bench.actor, f"{ENDPOINT}.{status}", ENDPOINT, endpoint.uid,
        before={"status": endpoint.status}, after={"status": status},
    )  # fmt: skip
    endpoint.status = status


def _told(endpoint: WebhookEndpoint) -> dict[str, object]:
    """Return what the audit log keeps: neither secrets nor the query, where people put tokens."""
    return {
        "url": endpoint.url.partition("?")[0], "description": endpoint.description,
        "event_types": ["*"] if endpoint.all_types else list(endpoint.event_types),
        "all_events": endpoint.all_events, "retry_refusals": endpoint.retry_refusals,
        "jitter": endpoint.jitter, "signs_ed25519": endpoint.signs_ed25519,
        "full_data": endpoint.full_data, "has_headers": endpoint.custom_headers is not None,
    }  # fmt: skip
