"""Failed jobs in one DynamoDB table: an item a job, and beside it a log that is only added to.

Keys: `pk` is the job's id; `sk` is "job" for the job, "failure#…" and "edit#…" for its log. The
index `by_time` has the jobs (`kind` "job") and the entries of logs (`kind` "log") by their time. It
lags a little behind the table, as indexes of DynamoDB do: what failed in the last second may be
missing from a list, never from `find` and `retry`. A retry has the two steps of `failed.stepped`.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError

from onqueue.clock import SystemClock
from onqueue.errors import EditConflict
from onqueue.failed.dynamodb_items import (
    EDIT,
    FAILURE,
    edit_in,
    edit_item,
    failed_job_in,
    failure_in,
    failure_item,
    job_item,
    key_of,
    put,
    written,
)
from onqueue.failed.selecting import fits, grouped
from onqueue.failed.stepped import RetryInSteps
from onqueue.stores import ALL_FAILED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from onqueue.contracts import Clock, JobId
    from onqueue.stores import FailedFilter, FailedGroup, FailedJob, Failure, PayloadEdit

INDEX = "by_time"

_TRIES = 10


def create_table(name: str, **client: Any) -> None:
    """Make the table where it is missing, paid by request; `client` goes to boto3 (region, …)."""
    resource = boto3.resource("dynamodb", **client)
    try:
        table = resource.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk", "kind", "at")
            ],
            KeySchema=_keys("pk", "sk"),
            GlobalSecondaryIndexes=[
                {
                    "IndexName": INDEX,
                    "KeySchema": _keys("kind", "at"),
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
    except resource.meta.client.exceptions.ResourceInUseException:
        return
    table.wait_until_exists()


class DynamoFailedJobs(RetryInSteps):
    """The store in a table; further settings go to boto3 (region_name, endpoint_url, …)."""

    def __init__(self, table: str, clock: Clock | None = None, **client: Any) -> None:
        """Connect to nothing yet; the clock tells ages for `flush`."""
        self._table = boto3.resource("dynamodb", **client).Table(table)
        self._clock: Clock = clock or SystemClock()

    def record(self, failed: FailedJob) -> None:
        """Write the job down; doing it twice for one id and attempt is harmless."""
        for left in reversed(range(_TRIES)):
            known = self._item(failed.id)
            if known and known["state"] == "failed" and known["attempts"] == failed.attempts:
                return
            number = int(known["failure"]) if known else self._newest(failed.id)
            try:
                self._write(failed, number + 1, known)
            except ClientError as error:
                # Another process recorded a failure of the same job at the same time.
                if not (left and _is_conflict(error)):
                    raise
            else:
                return

    def all(
        self, wanted: FailedFilter = ALL_FAILED, *, limit: int = 50, after: JobId | None = None
    ) -> list[FailedJob]:
        """Return the newest first; `after` is the id of the last one seen (unknown: nothing)."""
        before = None
        if after is not None:
            last = self._item(after)
            if last is None:
                return []
            before = last["at"]
        found: list[FailedJob] = []
        for failed in self._fitting(wanted, before):
            found.append(failed)
            if len(found) == limit:
                break
        return found

    def count(self, wanted: FailedFilter = ALL_FAILED) -> int:
        """Return how many there are."""
        return sum(1 for _ in self._fitting(wanted))

    def groups(self, wanted: FailedFilter = ALL_FAILED, *, limit: int = 50) -> list[FailedGroup]:
        """Return them by their error's fingerprint, the largest group first."""
        light = (replace(one, payload=b"", traceback="") for one in self._fitting(wanted))
        return grouped(light)[:limit]

    def find(self, job_id: JobId) -> FailedJob | None:
        """Return one job or None."""
        item = self._item(job_id)
        return failed_job_in(item) if item else None

    def failures(self, job_id: JobId) -> list[Failure]:
        """Return every failure of a job, the oldest first, also those before a retry."""
        return [failure_in(item) for item in self._log(job_id, FAILURE)]

    def edits(self, job_id: JobId) -> list[PayloadEdit]:
        """Return what operators changed in a job's payload, the oldest first."""
        return [edit_in(item) for item in self._log(job_id, EDIT)]

    def forget(self, job_id: JobId) -> bool:
        """Delete one with its log; False when it was not there."""
        gone = self._table.delete_item(Key=key_of(job_id), ReturnValues="ALL_OLD")
        self._delete(item for part in (FAILURE, EDIT) for item in self._log(job_id, part))
        return "Attributes" in gone

    def flush(self, older_than: float | None = None) -> int:
        """Delete all (or those older than so many seconds) with their logs; return how many.

        What is being retried just now is left to its retry when an age is given.
        """
        limit = None
        if older_than is not None:
            limit = written(self._clock.now() - timedelta(seconds=older_than))
        gone = sum([self._flush_one(item, limit) for item in self._by_time("job", limit)])
        self._delete(
            item
            for item in self._by_time("log", limit)
            if limit is None or self._item(item["pk"]) is None
        )
        return gone

    # ---- the steps of a retry ----

    def _begin_retry(self, job_id: JobId, edit: PayloadEdit | None) -> tuple[FailedJob, str] | None:
        for left in reversed(range(_TRIES)):
            item = self._item(job_id)
            if item is None:
                return None
            failed = replace(failed_job_in(item), is_retrying=False)
            is_changed = edit is not None and failed.payload != edit.after
            if edit is not None and is_changed:
                if item["state"] != "failed" or failed.payload != edit.before:
                    raise EditConflict(job_id)
                failed = replace(failed, payload=edit.after)
            if item["state"] == "retrying":
                return failed, item["token"]
            try:
                return failed, self._mark(item, edit if is_changed else None)
            except ClientError as error:
                # Another process began a retry, or recorded another failure, at the same time.
                if not (left and _is_conflict(error)):
                    raise
        return None

    def _mark(self, item: dict[str, Any], edit: PayloadEdit | None) -> str:
        token = secrets.token_hex(16)
        marked = {**item, "state": "retrying", "token": token, "version": secrets.token_hex(8)}
        puts = [put(marked, known=item)]
        if edit is not None:
            marked["payload"] = edit.after
            puts.append(put(edit_item(item["pk"], token, replace(edit, edited_at=self._now()))))
        self._transact(puts)
        return token

    def _give_up_retry(self, job_id: JobId, token: str) -> None:
        names = {"#state": "state", "#token": "token", "#version": "version"}
        values = {":failed": "failed", ":version": secrets.token_hex(8)}
        with _unless_changed():
            self._table.update_item(
                Key=key_of(job_id),
                UpdateExpression="SET #state = :failed, #version = :version REMOVE #token",
                ConditionExpression=Attr("token").eq(token),
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
            )

    def _end_retry(self, job_id: JobId, token: str) -> None:
        # It may have failed again meanwhile: that is a new failure, and stays.
        with _unless_changed():
            self._table.delete_item(Key=key_of(job_id), ConditionExpression=Attr("token").eq(token))

    def _now(self) -> datetime:
        return self._clock.now()

    # ---- reading and writing items ----

    def _write(self, failed: FailedJob, number: int, known: dict[str, Any] | None) -> None:
        job, entry = job_item(failed, number), failure_item(failed, number)
        self._transact([put(job, known=known), put(entry)])

    def _transact(self, puts: list[dict[str, Any]]) -> None:
        name = self._table.name
        steps = [{"Put": {**one, "TableName": name}} for one in puts]
        self._table.meta.client.transact_write_items(TransactItems=steps)

    def _item(self, job_id: JobId) -> dict[str, Any] | None:
        reply = self._table.get_item(Key=key_of(job_id), ConsistentRead=True)
        found: dict[str, Any] | None = reply.get("Item")
        return found

    def _newest(self, job_id: JobId) -> int:
        reply = self._table.query(
            KeyConditionExpression=Key("pk").eq(job_id) & Key("sk").begins_with(FAILURE),
            ScanIndexForward=False,
            ConsistentRead=True,
            Limit=1,
        )
        return int(reply["Items"][0]["failure"]) if reply["Items"] else 0

    def _log(self, job_id: JobId, part: str) -> Iterator[dict[str, Any]]:
        condition = Key("pk").eq(job_id) & Key("sk").begins_with(part)
        return self._pages(KeyConditionExpression=condition, ConsistentRead=True)

    def _by_time(self, kind: str, before: str | None = None) -> Iterator[dict[str, Any]]:
        """Return items of the index, the newest first, from before a moment (or an item) on."""
        condition = Key("kind").eq(kind)
        if before is not None:
            condition &= Key("at").lt(before)
        return self._pages(
            IndexName=INDEX, KeyConditionExpression=condition, ScanIndexForward=False
        )

    def _fitting(self, wanted: FailedFilter, before: str | None = None) -> Iterator[FailedJob]:
        for item in self._by_time("job", before):
            failed = failed_job_in(item)
            if wanted.since is not None and failed.failed_at < wanted.since:
                return
            if fits(failed, wanted):
                yield failed

    def _pages(self, **query: Any) -> Iterator[dict[str, Any]]:
        while True:
            reply = self._table.query(**query)
            yield from reply["Items"]
            if "LastEvaluatedKey" not in reply:
                return
            query["ExclusiveStartKey"] = reply["LastEvaluatedKey"]

    def _flush_one(self, item: dict[str, Any], limit: str | None) -> bool:
        # The index may tell what was; the table decides.
        is_unchanged = Attr("version").eq(item["version"])
        may_go = is_unchanged if limit is None else is_unchanged & Attr("state").eq("failed")
        with _unless_changed() as kept:
            self._table.delete_item(Key=key_of(item["pk"]), ConditionExpression=may_go)
        return not kept

    def _delete(self, items: Iterator[dict[str, Any]]) -> None:
        keys = [{"pk": item["pk"], "sk": item["sk"]} for item in items]
        with self._table.batch_writer() as batch:
            for key in keys:
                batch.delete_item(Key=key)


def _keys(hashed: str, sorted_by: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": hashed, "KeyType": "HASH"},
        {"AttributeName": sorted_by, "KeyType": "RANGE"},
    ]


@contextmanager
def _unless_changed() -> Iterator[list[ClientError]]:
    """Pass over a condition that did not hold; the list then has its error."""
    kept: list[ClientError] = []
    try:
        yield kept
    except ClientError as error:
        if not _is_conflict(error):
            raise
        kept.append(error)


def _is_conflict(error: ClientError) -> bool:
    code = error.response["Error"]["Code"]
    return code in {"ConditionalCheckFailedException", "TransactionCanceledException"}
