"""Plans as values that travel, for the outbox: a plan that waits there is the field of a job."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from onqueue.contracts import Message
from onqueue.plans import BatchPlan, ChainPlan
from onqueue.ties import read_tie, tie_part

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLAIN = tuple(entry.name for entry in fields(Message) if entry.name != "tie")


def plan_parts(plan: ChainPlan | BatchPlan) -> dict[str, Any]:
    """Return a plan as a dict of what travels in a payload."""
    if isinstance(plan, ChainPlan):
        return {
            "chain": plan.id,
            "links": [_parts(link) for link in plan.links],
            "catch": [_parts(message) for message in plan.catch],
            "name": plan.name,
            "on_skip": plan.on_skip,
            "token": plan.token,
        }
    return {
        "batch": plan.id,
        "name": plan.name,
        "members": [_parts(member) for member in plan.members],
        "created_at": plan.created_at,
        "allow_failures": plan.allow_failures,
        "callbacks": {
            kind: [_parts(message) for message in messages]
            for kind, messages in plan.callbacks.items()
        },
        "context": dict(plan.context),
        "connection": plan.connection,
    }


def plan_from(parts: Mapping[str, Any]) -> ChainPlan | BatchPlan:
    """Return the plan that `plan_parts` was given."""
    if "chain" in parts:
        return ChainPlan(
            id=parts["chain"],
            links=[_link(link) for link in parts["links"]],
            catch=[message_from(message) for message in parts["catch"]],
            name=parts["name"],
            on_skip=parts["on_skip"],
            token=parts["token"],
        )
    created_at: datetime = parts["created_at"]
    return BatchPlan(
        id=parts["batch"],
        name=parts["name"],
        members=[_member(member) for member in parts["members"]],
        created_at=created_at,
        allow_failures=parts["allow_failures"],
        callbacks={
            kind: [message_from(message) for message in messages]
            for kind, messages in parts["callbacks"].items()
        },
        context=parts["context"],
        connection=parts.get("connection", ""),
    )


def _parts(what: Message | ChainPlan | BatchPlan) -> dict[str, Any]:
    return message_parts(what) if isinstance(what, Message) else plan_parts(what)


def message_parts(message: Message) -> dict[str, Any]:
    """Return a message as a dict of what travels in a payload."""
    parts = {name: getattr(message, name) for name in _PLAIN}
    if message.tie is not None:
        parts["tie"] = tie_part(message.tie)
    return parts


def message_from(parts: Mapping[str, Any]) -> Message:
    """Return the message that `message_parts` was given."""
    tie = parts.get("tie")
    plain = {name: parts[name] for name in _PLAIN if name in parts}
    return Message(**plain, tie=None if tie is None else read_tie("", tie))


def _link(parts: Mapping[str, Any]) -> Message | BatchPlan:
    if "batch" not in parts:
        return message_from(parts)
    plan = plan_from(parts)
    if isinstance(plan, ChainPlan):
        msg = f"Chain {plan.id!r} cannot be a link"
        raise TypeError(msg)
    return plan


def _member(parts: Mapping[str, Any]) -> Message | ChainPlan:
    if "chain" not in parts:
        return message_from(parts)
    plan = plan_from(parts)
    if isinstance(plan, BatchPlan):
        msg = f"Batch {plan.id!r} cannot be a member"
        raise TypeError(msg)
    return plan
