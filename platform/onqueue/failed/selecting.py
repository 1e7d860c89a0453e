"""Filters and groups of failed jobs, for stores whose database does not do that itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onqueue.failed.terms import tells
from onqueue.stores import FailedGroup

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onqueue.stores import FailedFilter, FailedJob


def fits(failed: FailedJob, wanted: FailedFilter) -> bool:
    """Tell whether a failed job is one of those that are meant."""
    texts = (
        (wanted.connection, failed.connection),
        (wanted.queue, failed.queue),
        (wanted.job, failed.job),
        (wanted.tenant, failed.tenant),
    )
    return (
        all(not want or want == value for want, value in texts)
        and (not wanted.tag or wanted.tag in failed.tags)
        and failed.fingerprint.startswith(wanted.group)
        and (not wanted.error or tells(failed.error_type, failed.error, wanted.error))
        and (wanted.since is None or failed.failed_at >= wanted.since)
        and (wanted.until is None or failed.failed_at <= wanted.until)
    )


def grouped(jobs: Iterable[FailedJob]) -> list[FailedGroup]:
    """Return the jobs by their fingerprint, the largest group first, then the latest."""
    members: dict[str, list[FailedJob]] = {}
    for failed in jobs:
        members.setdefault(failed.fingerprint, []).append(failed)
    groups = [_group(sorted(found, key=place)) for found in members.values()]
    return sorted(groups, key=lambda one: (-one.count, -one.last_at.timestamp(), one.fingerprint))


def place(failed: FailedJob) -> tuple[float, str]:
    """Return what failed jobs are ordered by."""
    return failed.failed_at.timestamp(), failed.id


def _group(members: list[FailedJob]) -> FailedGroup:
    newest = members[-1]
    return FailedGroup(
        fingerprint=newest.fingerprint,
        job=newest.job,
        error_type=newest.error_type,
        error=newest.error,
        count=len(members),
        first_at=members[0].failed_at,
        last_at=newest.failed_at,
        newest=newest.id,
    )
