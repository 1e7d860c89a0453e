"""What the items of the store in DynamoDB hold, and what is read out of them."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from onqueue.failed.describing import storable
from onqueue.failed.fingerprint import fingerprint
from onqueue.stores import FailedJob, Failure, PayloadEdit

if TYPE_CHECKING:
    from onqueue.contracts import JobId

Item: TypeAlias = "dict[str, Any]"

JOB, LOG = "job", "log"
FAILURE, EDIT = "failure#", "edit#"

# An item holds 400 KB, a letter up to 4 bytes: what is kept must fit beside the payload.
_ERROR_LENGTH = 8_000
_TRACE_LENGTH = 24_000
_TYPE_LENGTH = 255


def key_of(job_id: JobId) -> dict[str, str]:
    """Return the key of a job's item."""
    return {"pk": job_id, "sk": JOB}


def put(item: Item, known: Item | None = None) -> Item:
    """Return a put that only happens where the item is as it was seen."""
    if known is None:
        return {"Item": item, "ConditionExpression": "attribute_not_exists(pk)"}
    return {
        "Item": item,
        "ConditionExpression": "#version = :version",
        "ExpressionAttributeNames": {"#version": "version"},
        "ExpressionAttributeValues": {":version": known["version"]},
    }


def _error_values(failed: FailedJob) -> Item:
    error = storable(failed.error)[:_ERROR_LENGTH]
    trace = storable(failed.traceback)[-_TRACE_LENGTH:]
    error_type = storable(failed.error_type)[:_TYPE_LENGTH]
    return {
        "job": failed.job,
        "tenant": failed.tenant,
        "error_type": error_type,
        "error": error,
        "traceback": trace,
        "fingerprint": fingerprint(failed.job, error_type, error, trace),
        "attempts": failed.attempts,
        "failed_at": written(failed.failed_at),
    }


def failed_job_in(item: Item) -> FailedJob:
    """Return the failed job of an item."""
    return FailedJob(
        id=item["pk"],
        connection=item["connection"],
        queue=item["queue"],
        job=item["job"],
        payload=bytes(item["payload"]),
        error_type=item["error_type"],
        error=item["error"],
        traceback=item["traceback"],
        attempts=int(item["attempts"]),
        failed_at=_read(item["failed_at"]),
        tenant=item["tenant"],
        tags=tuple(item["tags"]),
        fingerprint=item["fingerprint"],
        is_retrying=item["state"] == "retrying",
    )


def job_item(failed: FailedJob, number: int) -> Item:
    """Return the item of a job that failed for the so-manieth time."""
    error = _error_values(failed)
    return {
        **key_of(failed.id),
        **error,
        "kind": JOB,
        "at": f"{error['failed_at']}#{failed.id}",
        "failure": number,
        "connection": failed.connection,
        "queue": failed.queue,
        "payload": failed.payload,
        "tags": [storable(tag) for tag in failed.tags],
        "state": "failed",
        "version": secrets.token_hex(8),
    }


def failure_item(failed: FailedJob, number: int) -> Item:
    """Return the entry of a failure in its job's log."""
    error = _error_values(failed)
    place = f"{number:08d}"
    return {
        "pk": failed.id,
        "sk": f"{FAILURE}{place}",
        **error,
        "kind": LOG,
        "at": f"{error['failed_at']}#{failed.id}#{place}",
        "failure": number,
    }


def edit_item(job_id: JobId, token: str, edit: PayloadEdit) -> Item:
    """Return the entry of a change, made with the retry of a token, in its job's log."""
    moment = written(edit.edited_at) if edit.edited_at else ""
    return {
        "pk": job_id,
        "sk": f"{EDIT}{moment}#{token}",
        "kind": LOG,
        "at": f"{moment}#{token}",
        "edited_at": moment,
        "before": edit.before,
        "after": edit.after,
    }


def failure_in(item: Item) -> Failure:
    """Return the failure of an entry."""
    return Failure(
        failure=int(item["failure"]),
        attempts=int(item["attempts"]),
        error_type=item["error_type"],
        error=item["error"],
        traceback=item["traceback"],
        fingerprint=item["fingerprint"],
        failed_at=_read(item["failed_at"]),
    )


def edit_in(item: Item) -> PayloadEdit:
    """Return the change of an entry."""
    return PayloadEdit(bytes(item["before"]), bytes(item["after"]), _read(item["edited_at"]))


def written(moment: datetime) -> str:
    """Return a moment as text that sorts like the moment."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _read(text: str) -> datetime:
    return datetime.fromisoformat(text)
