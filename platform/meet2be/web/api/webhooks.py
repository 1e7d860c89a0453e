"""Webhooks: endpoints and their secrets, deliveries, sending again."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.events.models import Event
from meet2be.language import N_, Message
from meet2be.objects.base import Moment, Told, Uid
from meet2be.web.api.calls import Call
from meet2be.web.api.operations import operation
from meet2be.web.api.problems import Problem
from meet2be.web.api.schemas import Done, Given, ListQuery, Page, Since, Text
from meet2be.web.api.whole_objects import (
    body_shown,
    check_body,
    check_endpoint,
    check_replay,
    check_types,
)
from meet2be.webhooks import endpoints as verbs
from meet2be.webhooks import listing, replaying
from meet2be.webhooks.catalogue import GROUPS
from meet2be.webhooks.endpoints import EndpointDraft, Workbench
from meet2be.webhooks.models import WebhookDelivery, WebhookEndpoint, WebhookSecret
from meet2be.webhooks.replaying import Filters

Status = Literal["pending", "held", "waiting", "sending", "succeeded", "failed", "cancelled"]
Settled = Literal["succeeded", "failed", "cancelled"]
HeaderName = Annotated[Text, Field(max_length=100)]
HeaderValue = Annotated[Text, Field(max_length=500)]


class EndpointWish(Given):
    """An endpoint as it shall be."""

    url: Annotated[Text, Field(min_length=1, max_length=2000)] = Field(
        examples=["https://hooks.example.org/meet2be"]
    )
    description: Annotated[Text, Field(max_length=500)] = ""
    event_types: list[Annotated[Text, Field(max_length=64)]] | None = Field(
        None, max_length=100, description="Null: all types, also those to come."
    )
    events: list[Uid] | None = Field(
        None, max_length=200, description="The conferences it is about; null: all of them."
    )
    headers: dict[HeaderName, HeaderValue] | None = Field(
        None, max_length=20, description="Headers of your own; null leaves them as they are."
    )
    retry_refusals: bool = Field(default=False, description="Try again after 4xx as well.")
    jitter: bool = Field(default=False, description="Spread the waits between attempts.")
    signs_ed25519: bool | None = Field(
        None,
        description="Sign with a key pair (`v1a`) beside the secret; null leaves that as it is.",
    )
    full_data: bool | None = Field(
        None,
        description="Send the whole object, with what it says of persons; null leaves that as it"
        " is.",
    )


class PublicKeyTold(Told):
    """A public key that verifies what is sent; with `retires_at` a newer one takes its place."""

    key: str = Field(examples=["whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="])
    created_at: Moment
    retires_at: Moment | None


class EndpointTold(Told):
    """An address that is told what happens."""

    uid: Uid
    url: str
    description: str
    status: str
    event_types: list[str] | None
    events: list[Uid] | None
    header_names: list[str]
    retry_refusals: bool
    jitter: bool
    signs_ed25519: bool
    full_data: bool
    public_keys: list[PublicKeyTold]
    success_percent: int | None
    fails_in_row: int
    last_success_at: Moment | None
    last_failure_at: Moment | None
    last_failure: str | None
    created_at: Moment


class EndpointWithSecret(EndpointTold):
    """A new endpoint with the secret that signs what it is sent; it is shown this once."""

    secret: str


class SecretTold(Told):
    """A new secret, shown this once; the former one signs beside it for 24 hours."""

    secret: str


class Endpoints(Told):
    """All endpoints, the oldest first."""

    data: list[EndpointTold]


class TypeTold(Told):
    """A kind of announcement, with an example of its data."""

    type: str
    subject: str
    words: str
    sample: dict[str, Any]


class Types(Told):
    """The catalogue of announcements."""

    data: list[TypeTold]


class DeliveryQuery(ListQuery):
    """Which deliveries."""

    endpoint: Annotated[str, Field(max_length=26)] = ""
    type: Annotated[str, Field(max_length=64)] = ""
    status: Status | None = None
    since: Since | None = None
    until: Since | None = None


class DeliveryTold(Told):
    """An announcement on its way to one endpoint."""

    uid: Uid
    endpoint: Uid
    type: str
    status: Status
    attempts: int
    replay_no: int
    is_test: bool
    next_at: Moment | None
    settled_at: Moment | None
    final_reason: str | None
    created_at: Moment


class AttemptTold(Told):
    """One request to an endpoint and what came of it."""

    n: int
    started_at: Moment
    duration_ms: int
    url: str
    address: str | None
    status_code: int | None
    outcome: Literal["succeeded", "again", "failed"]
    error_class: str | None
    error_text: str | None
    body_excerpt: str
    retry_at: Moment | None


class DeliveryWithAttempts(DeliveryTold):
    """A delivery with what is sent and every attempt."""

    body: str
    tries: list[AttemptTold]


class ReplayWish(Given):
    """Which deliveries are sent again; what is left out leaves all in."""

    endpoint: Uid | None = None
    type: Annotated[Text, Field(max_length=64)] | None = None
    statuses: list[Settled] = Field(["failed"], min_length=1, max_length=3)
    since: Since | None = None
    until: Since | None = None


class ReplayTold(Told):
    """How many deliveries match now; they are sent slice by slice. 10,000 means: or more."""

    matching: int


class TrialTold(Told):
    """The delivery of a test."""

    delivery: Uid


@operation("GET", "/webhook-types", "webhooks:read")
def list_webhook_types(call: Call) -> Types:
    """List what can be announced, with examples."""
    del call
    found = [
        TypeTold(
            type=each.name, subject=each.subject, words=str(Message(each.words)),
            sample=dict(each.sample),
        )
        for group in GROUPS
        for each in group.types
    ]  # fmt: skip
    return Types(data=found)


@operation("GET", "/webhook-endpoints", "webhooks:read")
def list_webhook_endpoints(call: Call) -> Endpoints:
    """List the endpoints, the oldest first; there are 50 at most."""
    return Endpoints(data=[_told(call, each) for each in listing.endpoints(call.reading)])


@operation("POST", "/webhook-endpoints", "webhooks:write", status=201, problems=("not_found",))
def create_webhook_endpoint(call: Call, body: EndpointWish) -> EndpointWithSecret:
    """Add an endpoint; the answer holds its secret, this once.

    With `full_data` the token needs the read scope of each kind of subject that the types have.
    """
    if body.full_data:
        check_types(call, body.event_types)
    draft, bench = _draft(call, body), _bench(call)
    address = verbs.check_address(bench, draft.url)
    endpoint, secret = verbs.add_endpoint(call.writing, bench, draft, address)
    call.writing.flush()
    return EndpointWithSecret(**_told(call, endpoint, is_new=True).model_dump(), secret=secret)


@operation("GET", "/webhook-endpoints/<endpoint_uid>", "webhooks:read")
def get_webhook_endpoint(call: Call, endpoint_uid: str) -> EndpointTold:
    """Give one endpoint."""
    return _told(call, verbs.endpoint_of(call.reading, endpoint_uid))


@operation("PUT", "/webhook-endpoints/<endpoint_uid>", "webhooks:write")
def change_webhook_endpoint(call: Call, endpoint_uid: str, body: EndpointWish) -> EndpointTold:
    """Change an endpoint; deliveries that wait go to its new address.

    With `full_data`, before or after, the token needs the read scope of each kind of subject that
    the types have.
    """
    _check_change(call, call.reading, verbs.endpoint_of(call.reading, endpoint_uid), body)
    draft, bench = _draft(call, body), _bench(call)
    address = verbs.check_address(bench, draft.url)
    # The name servers took their time: what was right before may not be so any more.
    now = verbs.endpoint_of(call.writing, endpoint_uid, lock=True)
    _check_change(call, call.writing, now, body)
    endpoint = verbs.change_endpoint(call.writing, bench, endpoint_uid, draft, address)
    call.writing.flush()
    return _told(call, endpoint, is_new=True)


@operation("DELETE", "/webhook-endpoints/<endpoint_uid>", "webhooks:write")
def delete_webhook_endpoint(call: Call, endpoint_uid: str) -> None:
    """Delete an endpoint with its secrets; what waits for it is cancelled."""
    verbs.delete_endpoint(call.writing, _bench(call), endpoint_uid)


@operation("POST", "/webhook-endpoints/<endpoint_uid>/pause", "webhooks:write",
           problems=("conflict",))  # fmt: skip
def pause_webhook_endpoint(call: Call, endpoint_uid: str) -> EndpointTold:
    """Hold all deliveries back until the endpoint is switched on again."""
    verbs.pause(call.writing, _bench(call), endpoint_uid)
    return _after(call, endpoint_uid)


@operation("POST", "/webhook-endpoints/<endpoint_uid>/enable", "webhooks:write",
           problems=("conflict",))  # fmt: skip
def enable_webhook_endpoint(call: Call, endpoint_uid: str) -> EndpointTold:
    """Send again: after a pause with all that was held back."""
    verbs.switch_on(call.writing, _bench(call), endpoint_uid)
    return _after(call, endpoint_uid)


@operation("POST", "/webhook-endpoints/<endpoint_uid>/disable", "webhooks:write",
           problems=("conflict",))  # fmt: skip
def disable_webhook_endpoint(call: Call, endpoint_uid: str) -> EndpointTold:
    """Send nothing: what happens meanwhile can be replayed."""
    verbs.switch_off(call.writing, _bench(call), endpoint_uid)
    return _after(call, endpoint_uid)


@operation("POST", "/webhook-endpoints/<endpoint_uid>/secret", "webhooks:write",
           problems=("conflict",))  # fmt: skip
def rotate_webhook_secret(call: Call, endpoint_uid: str) -> SecretTold:
    """Make a new secret; the present one signs beside it for 24 hours."""
    return SecretTold(secret=verbs.rotate_secret(call.writing, _bench(call), endpoint_uid))


@operation("DELETE", "/webhook-endpoints/<endpoint_uid>/former-secret", "webhooks:write",
           problems=("conflict",))  # fmt: skip
def revoke_former_webhook_secret(call: Call, endpoint_uid: str) -> None:
    """End the overlap: from now on only the newest secret signs."""
    verbs.revoke_former_secret(call.writing, _bench(call), endpoint_uid)


@operation("POST", "/webhook-endpoints/<endpoint_uid>/key", "webhooks:write",
           problems=("conflict",))  # fmt: skip
def rotate_webhook_key(call: Call, endpoint_uid: str) -> EndpointTold:
    """Make a new key pair; the present one signs beside it for 24 hours."""
    verbs.rotate_key(call.writing, _bench(call), endpoint_uid)
    return _after(call, endpoint_uid)


@operation("DELETE", "/webhook-endpoints/<endpoint_uid>/former-key", "webhooks:write",
           problems=("conflict",))  # fmt: skip
def revoke_former_webhook_key(call: Call, endpoint_uid: str) -> None:
    """End the overlap: from now on only the newest key pair signs."""
    verbs.revoke_former_key(call.writing, _bench(call), endpoint_uid)


@operation("POST", "/webhook-endpoints/<endpoint_uid>/test", "webhooks:write", status=202,
           problems=("conflict",))  # fmt: skip
def send_test_webhook(call: Call, endpoint_uid: str) -> TrialTold:
    """Send a test; it says nothing of the endpoint's health. One is on its way at a time."""
    return TrialTold(delivery=replaying.send_test(call.writing, _bench(call), endpoint_uid))


@operation("GET", "/webhook-deliveries", "webhooks:read", problems=("not_found",))
def list_webhook_deliveries(call: Call, query: DeliveryQuery) -> Page[DeliveryTold]:
    """List deliveries, the newest first."""
    wanted = Filters(
        endpoint_id=_number_of(call, query.endpoint) if query.endpoint else None,
        type=query.type or None,
        statuses=(query.status,) if query.status else (),
        since=query.since,
        until=query.until,
    )
    found = listing.deliveries_page(call.reading, wanted, call.part(query))
    return call.page(
        query, found, lambda row: (row[0].id,), lambda row: DeliveryTold(**_delivery(*row))
    )


@operation("GET", "/webhook-deliveries/<delivery_uid>", "webhooks:read")
def get_webhook_delivery(call: Call, delivery_uid: str) -> DeliveryWithAttempts:
    """Give one delivery with what is sent and every attempt.

    The body's `object` is left out unless the token has the read scope of the subject.
    """
    found = listing.delivery_details(call.reading, delivery_uid)
    if found is None:
        raise Problem("not_found")
    return DeliveryWithAttempts(
        **_delivery(found.delivery, found.endpoint),
        body=body_shown(call, found.delivery),
        tries=[AttemptTold.model_validate(each) for each in found.attempts],
    )


@operation("POST", "/webhook-deliveries/<delivery_uid>/replay", "webhooks:write", status=202,
           problems=("conflict",))  # fmt: skip
def replay_webhook_delivery(call: Call, delivery_uid: str) -> DeliveryTold:
    """Send a delivery again, as a delivery of its own with the same body and webhook-id."""
    check_body(call, replaying.delivery_of(call.reading, delivery_uid))
    made = replaying.replay_one(call.writing, _bench(call), delivery_uid)
    endpoint = call.writing.get_one(WebhookEndpoint, made.endpoint_id)
    return DeliveryTold(**_delivery(made, endpoint))


@operation("POST", "/webhook-deliveries/<delivery_uid>/cancel", "webhooks:write",
           problems=("conflict",))  # fmt: skip
def cancel_webhook_delivery(call: Call, delivery_uid: str) -> Done:
    """Cancel a delivery that waits."""
    replaying.cancel_delivery(call.writing, _bench(call), delivery_uid)
    return Done()


@operation("POST", "/webhook-deliveries/replay", "webhooks:write", status=202,
           problems=("not_found",))  # fmt: skip
def replay_webhook_deliveries(call: Call, body: ReplayWish) -> ReplayTold:
    """Send all deliveries again that match now: of an endpoint, a type, since a moment."""
    wanted = Filters(
        endpoint_id=None if body.endpoint is None else _number_of(call, body.endpoint),
        type=body.type,
        statuses=tuple(body.statuses),
        since=body.since,
        until=body.until,
    )
    check_replay(call, wanted)
    matching = replaying.count_replayable(call.reading, wanted)
    replaying.ask_for_replay(call.writing, _bench(call), wanted)
    return ReplayTold(matching=matching)


def _check_change(call: Call, session: Session, now: WebhookEndpoint, body: EndpointWish) -> None:
    check_endpoint(call, session, now, body.url)
    if now.full_data if body.full_data is None else body.full_data:
        check_types(call, body.event_types)


def _bench(call: Call) -> Workbench:
    webhooks = call.services.webhooks
    return Workbench(webhooks.http, webhooks.vault, call.actor, call.caller.user_id)


def _draft(call: Call, body: EndpointWish) -> EndpointDraft:
    lines = None
    if body.headers is not None:
        if any("\n" in part or "\r" in part for pair in body.headers.items() for part in pair):
            raise Problem("invalid", Message(N_("A header is one line.")))
        lines = "\n".join(f"{name}: {value}" for name, value in body.headers.items())
    if body.events is not None:
        known = call.reading.scalars(select(Event.uid).where(Event.uid.in_(body.events)))
        if set(known) != set(body.events):
            raise Problem("not_found")
    return EndpointDraft(
        url=body.url,
        description=body.description,
        all_types=body.event_types is None,
        event_types=tuple(body.event_types or ()),
        event_uids=None if body.events is None else tuple(body.events),
        headers=lines,
        retry_refusals=body.retry_refusals,
        jitter=body.jitter,
        signs_ed25519=body.signs_ed25519,
        full_data=body.full_data,
    )


def _number_of(call: Call, uid: str) -> int:
    return verbs.endpoint_of(call.reading, uid).id


def _after(call: Call, uid: str) -> EndpointTold:
    call.writing.flush()
    return _told(call, verbs.endpoint_of(call.writing, uid), is_new=True)


def _told(call: Call, endpoint: WebhookEndpoint, *, is_new: bool = False) -> EndpointTold:
    session = call.writing if is_new else call.reading
    own = set(EndpointTold.model_fields) - {
        "event_types", "events", "header_names", "public_keys", "success_percent",
    }  # fmt: skip
    return EndpointTold(
        **{name: getattr(endpoint, name) for name in own},
        event_types=None if endpoint.all_types else [str(each) for each in endpoint.event_types],
        events=None if endpoint.all_events else listing.chosen_events(session, endpoint),
        header_names=verbs.header_names(call.services.webhooks.vault, endpoint),
        public_keys=[_key(each) for each in verbs.live_keys(session, endpoint)],
        success_percent=listing.success_rate(endpoint),
    )


def _key(pair: WebhookSecret) -> PublicKeyTold:
    return PublicKeyTold(
        key=pair.public_key or "", created_at=pair.created_at, retires_at=pair.retires_at
    )


def _delivery(delivery: WebhookDelivery, endpoint: WebhookEndpoint) -> dict[str, Any]:
    own = set(DeliveryTold.model_fields) - {"endpoint"}
    return {**{name: getattr(delivery, name) for name in own}, "endpoint": endpoint.uid}
