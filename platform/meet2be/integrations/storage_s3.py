"""Files in S3, or in a store that speaks its protocol.

Requests are signed with SigV4 everywhere (boto3 alone would presign with the old scheme in
us-east-1). A file of more than one part is a multipart upload: it appears when it is completed, and
is aborted after an error. A process that was killed leaves an upload unfinished; who writes or
deletes the key next aborts it. A life-cycle rule of the bucket should do so too, for keys that
nobody touches again: docs/how-to/add-an-exporter.md has one.
"""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, BinaryIO, Final, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from meet2be.integrations.storage import (
    LEFT_BEHIND,
    LONGEST_LINK,
    ObjectMissing,
    StoreFailed,
    attachment,
    check_key,
)
from meet2be.language import N_, Message

PART_SIZE: Final = 8 * 1024 * 1024
"""Bytes of a part: above S3's least (5 MiB); 10,000 of them make 80 GB."""

_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_DENIED = frozenset({"403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"})
_BUSY = frozenset(
    {"SlowDown", "RequestLimitExceeded", "Throttling", "ServiceUnavailable", "InternalError", "503"}
)
_log = logging.getLogger("meet2be.storage")


@dataclass(frozen=True, slots=True)
class S3Settings:
    """Where the bucket is; without keys the machine's own role signs."""

    bucket: str
    region: str
    endpoint: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)


class S3Store:
    """Keeps files in a bucket; see the module's head. One for all threads of a process."""

    def __init__(self, settings: S3Settings, *, part_size: int = PART_SIZE) -> None:
        self._settings = settings
        self._part_size = part_size

    @contextmanager
    def write(self, key: str, *, content_type: str, filename: str = "") -> Iterator[BinaryIO]:
        """Yield a file whose parts are sent while it is written."""
        check_key(key)
        headers = {"ContentType": content_type}
        if filename:
            headers["ContentDisposition"] = attachment(filename)
        with _explained(key):
            self._abort_unfinished(key)
        upload = _Upload(self._s3, self._settings.bucket, key, headers, self._part_size)
        try:
            yield cast("BinaryIO", upload)
            upload.complete()
        except BaseException:
            upload.abort()
            raise

    def open(self, key: str) -> BinaryIO:
        """Return the file as it comes over the network."""
        check_key(key)
        with _explained(key):
            answer = self._s3.get_object(Bucket=self._settings.bucket, Key=key)
        return io.BufferedReader(_Download(answer["Body"], key), buffer_size=256 * 1024)

    def size(self, key: str) -> int | None:
        """Return the file's bytes."""
        check_key(key)
        try:
            with _explained(key):
                return int(
                    self._s3.head_object(Bucket=self._settings.bucket, Key=key)["ContentLength"]
                )
        except ObjectMissing:
            return None

    def delete(self, key: str) -> bool:
        """Remove the file, and abort what was not completed."""
        was_there = self.size(key) is not None
        with _explained(key):
            self._abort_unfinished(key)
            self._s3.delete_object(Bucket=self._settings.bucket, Key=key)
        return was_there

    def link(self, key: str, seconds: int, *, filename: str, content_type: str) -> str:
        """Return a presigned address; made here, without a call to the store."""
        check_key(key)
        if not 0 < seconds <= LONGEST_LINK:
            raise ValueError(f"a link lasts from 1 to {LONGEST_LINK} seconds, not {seconds}")
        with _explained(key):
            return str(
                self._s3.generate_presigned_url(
                    "get_object",
                    Params={
                        "Bucket": self._settings.bucket,
                        "Key": key,
                        "ResponseContentDisposition": attachment(filename),
                        "ResponseContentType": content_type,
                        "ResponseCacheControl": "no-store",
                    },
                    ExpiresIn=seconds,
                    HttpMethod="GET",
                )
            )

    def clear_leftovers(self, now: datetime) -> int:
        """Abort the uploads of our prefix that began a day ago and were not completed."""
        cleared = 0
        with _explained("tenants"):
            pages = self._s3.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=self._settings.bucket, Prefix="tenants/"):
                for unfinished in page.get("Uploads", ()):
                    if unfinished["Initiated"] < now - LEFT_BEHIND:
                        self._abort(unfinished)
                        cleared += 1
        return cleared

    @property
    def _s3(self) -> Any:
        return client_of(self._settings, os.getpid())

    def _abort_unfinished(self, key: str) -> None:
        try:
            found = self._s3.list_multipart_uploads(Bucket=self._settings.bucket, Prefix=key)
        except ClientError as error:
            if _code(error) not in _DENIED:
                raise
            # Writing works without this right; then the bucket's life-cycle rule clears up alone.
            _log.warning("unfinished uploads of '%s' cannot be listed: %s", key, error)
            return
        for unfinished in found.get("Uploads", ()):
            if unfinished["Key"] == key:
                self._abort(unfinished)

    def _abort(self, unfinished: dict[str, Any]) -> None:
        with suppress(self._s3.exceptions.NoSuchUpload):
            self._s3.abort_multipart_upload(
                Bucket=self._settings.bucket,
                Key=unfinished["Key"],
                UploadId=unfinished["UploadId"],
            )


class _Download(io.RawIOBase):
    """What a store sends, read while it comes."""

    def __init__(self, body: Any, key: str) -> None:
        super().__init__()
        self._body, self._key = body, key

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        with _explained(self._key):
            data = self._body.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._body.close()
        super().close()


class _Upload(io.RawIOBase):
    """A file that goes to the store part by part; nothing of it is seen before `complete`."""

    def __init__(
        self, client: Any, bucket: str, key: str, headers: dict[str, str], part_size: int
    ) -> None:
        super().__init__()
        self._client = client
        self._place = {"Bucket": bucket, "Key": key}
        self._headers = headers
        self._part_size = part_size
        self._waiting = bytearray()
        self._sent = 0
        self._upload_id: str | None = None
        self._parts: list[dict[str, Any]] = []

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._sent + len(self._waiting)

    def write(self, data: Any, /) -> int:
        self._waiting += data
        while len(self._waiting) >= self._part_size:
            self._send(self._part_size)
        return len(data)

    def complete(self) -> None:
        """Make the file appear."""
        with _explained(self._place["Key"]):
            if self._upload_id is None:
                self._client.put_object(**self._place, **self._headers, Body=bytes(self._waiting))
                return
            if self._waiting:
                self._send(len(self._waiting))
            self._client.complete_multipart_upload(
                **self._place, UploadId=self._upload_id, MultipartUpload={"Parts": self._parts}
            )

    def abort(self) -> None:
        """Forget what was sent; a store that is away keeps it until the key is written again."""
        if self._upload_id is None:
            return
        try:
            self._client.abort_multipart_upload(**self._place, UploadId=self._upload_id)
        except (BotoCoreError, ClientError) as error:
            _log.warning("the upload of '%s' was not aborted: %s", self._place["Key"], error)

    def _send(self, length: int) -> None:
        with _explained(self._place["Key"]):
            if self._upload_id is None:
                begun = self._client.create_multipart_upload(**self._place, **self._headers)
                self._upload_id = str(begun["UploadId"])
            number = len(self._parts) + 1
            answer = self._client.upload_part(
                **self._place,
                UploadId=self._upload_id,
                PartNumber=number,
                Body=bytes(self._waiting[:length]),
            )
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        del self._waiting[:length]
        self._sent += length


@lru_cache(maxsize=4)
def client_of(settings: S3Settings, process: int) -> Any:  # noqa: ARG001 -- part of the cache's key
    """Return the client of a process: a child must not share the connections of its parent."""
    config = Config(
        signature_version="s3v4",
        connect_timeout=10,
        read_timeout=60,
        retries={"mode": "standard", "total_max_attempts": 5},
        s3={"addressing_style": "path" if settings.endpoint else "virtual"},
        # Other makers' stores do not know the newer checksums; SigV4 covers what is sent anyway.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    session = boto3.session.Session(
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=settings.secret_access_key,
        region_name=settings.region,
    )
    return session.client("s3", endpoint_url=settings.endpoint, config=config)


@contextmanager
def _explained(key: str) -> Iterator[None]:
    """Turn what the store or the way to it refuses into this package's errors."""
    try:
        yield
    except ClientError as error:
        code = _code(error)
        if code in _MISSING:
            raise ObjectMissing(key) from error
        raise StoreFailed(
            _reason(code), detail=str(error), is_temporary=code != "NoSuchBucket"
        ) from error
    except BotoCoreError as error:
        reason = Message(N_("The file store cannot be reached."))
        raise StoreFailed(reason, detail=str(error)) from error


def _reason(code: str) -> Message:
    if code in _DENIED:
        return Message(N_("The file store refused access; its keys or rights must be corrected."))
    if code in _BUSY:
        return Message(N_("The file store is busy."))
    if code == "NoSuchBucket":
        return Message(N_("The bucket of the file store does not exist."))
    return Message(N_("The file store refused: %(code)s."), {"code": code})


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))
