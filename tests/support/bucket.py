"""An S3 of the tests' own: moto's server, one for all tests of a process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from moto.server import ThreadedMotoServer

from meet2be.integrations.storage_s3 import S3Settings, S3Store, client_of

BUCKET = "meet2be-tests"


@contextmanager
def bucket_server() -> Iterator[S3Settings]:
    """Yield the settings of an empty bucket on a server that ends with the block."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        settings = S3Settings(
            BUCKET, "eu-central-1", f"http://{host}:{port}", "AKIATESTS", "secret of tests"
        )
        _make_empty_bucket(client(settings))
        yield settings
    finally:
        server.stop()


def _make_empty_bucket(s3: Any) -> None:
    """Make the bucket, or empty it: all servers of a process share moto's memory."""
    try:
        s3.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
    except s3.exceptions.BucketAlreadyOwnedByYou:
        for found in s3.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
            s3.delete_object(Bucket=BUCKET, Key=found["Key"])
        for upload in s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ()):
            s3.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])


def client(settings: S3Settings) -> Any:
    """Return a client that looks at the bucket from outside."""
    return client_of(settings, os.getpid())


def unfinished(settings: S3Settings) -> list[str]:
    """Return the keys of the uploads that were neither completed nor aborted."""
    found = client(settings).list_multipart_uploads(Bucket=BUCKET)
    return [upload["Key"] for upload in found.get("Uploads", ())]


def small_parts(settings: S3Settings) -> S3Store:
    """Return a store whose parts are as small as S3 takes them."""
    return S3Store(settings, part_size=5 * 1024 * 1024)
