"""What the failed store keeps of an error, the same from a worker and from an inline run."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from onqueue.errors import PayloadError
from onqueue.payload import decode
from onqueue.stores import FailedJob

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from onqueue.contracts import JobId


def failed_job(
    error: BaseException,
    *,
    job_id: JobId,
    connection: str,
    queue: str,
    job: str,
    payload: bytes,
    attempts: int,
    failed_at: datetime,
    context: Mapping[str, str],
) -> FailedJob:
    """Return the record of a job that `error` ended; `job` is its name on the wire."""
    return FailedJob(
        id=job_id,
        connection=connection,
        queue=queue,
        job=job,
        payload=payload,
        error_type=type(error).__qualname__,
        error=_text_of(error),
        traceback="".join(traceback.format_exception(error)),
        attempts=attempts,
        failed_at=failed_at,
        tenant=context.get("tenant"),
        tags=_tags_of(payload),
    )


def display_name_of(failed: FailedJob) -> str:
    """Return what people call a failed job: the name it gave itself, else its name on the wire."""
    try:
        return decode(failed.payload).display_name
    except PayloadError:
        return failed.job


def storable(text: str) -> str:
    """Return the text without what databases refuse: an error may quote anything."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()


def _tags_of(payload: bytes) -> tuple[str, ...]:
    try:
        return tuple(decode(payload).options.get("tags") or ())
    except PayloadError:
        # That it cannot be read may be the very reason why it failed.
        return ()


def _text_of(error: BaseException) -> str:
    """Return the error's message; one that cannot even be shown does not lose the job."""
    try:
        return str(error)
    except BaseException as second:  # noqa: BLE001 - any code of the application may run here
        return f"(its message cannot be shown: {type(second).__name__})"
