"""Both stores of files keep one contract: whole or not at all, below a prefix, no drafts left."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import requests

from meet2be.integrations.storage import (
    BadKey,
    ObjectMissing,
    Store,
    StoreFailed,
    attachment,
    clean_filename,
    tenant_key,
)
from meet2be.integrations.storage_local import LocalStore
from meet2be.integrations.storage_s3 import S3Settings, S3Store
from support.bucket import BUCKET, bucket_server, client, small_parts, unfinished

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
KEY = tenant_key("t1", "exports", "e1", "abc123")
PART = 5 * 1024 * 1024


@pytest.fixture(scope="module")
def bucket() -> Iterator[S3Settings]:
    with bucket_server() as settings:
        yield settings


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "local":
        yield LocalStore(tmp_path / "files")
        return
    store = small_parts(request.getfixturevalue("bucket"))
    yield store
    store.delete(KEY)


def put(store: Store, content: bytes, key: str = KEY) -> None:
    with store.write(key, content_type="text/csv", filename="List.csv") as file:
        file.write(content)


def read(store: Store, key: str = KEY) -> bytes:
    with store.open(key) as file:
        return file.read()


@pytest.mark.parametrize("size", [0, 10, PART, 2 * PART + 7], ids=["none", "small", "one", "parts"])
def test_what_was_written_is_read_back_whole(store: Store, size: int) -> None:
    content = os.urandom(size)
    put(store, content)

    assert store.size(KEY) == size
    assert read(store) == content


def test_a_second_writing_replaces_the_first(store: Store) -> None:
    put(store, b"the longer one")
    put(store, b"shorter")
    assert read(store) == b"shorter"


def test_nothing_is_seen_before_the_end(store: Store) -> None:
    with store.write(KEY, content_type="text/csv") as file:
        file.write(b"x" * (PART + 1))
        assert store.size(KEY) is None
    assert store.size(KEY) == PART + 1


@pytest.mark.parametrize("size", [3, PART + 1])
def test_an_error_leaves_what_was_there(store: Store, size: int) -> None:
    put(store, b"before")

    def write_and_fail() -> None:
        with store.write(KEY, content_type="text/csv") as file:
            file.write(b"x" * size)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert read(store) == b"before"


def test_what_is_not_there_is_missing_and_has_no_size(store: Store) -> None:
    other = tenant_key("t1", "exports", "e2", "none")
    assert store.size(other) is None
    assert store.delete(other) is False
    with pytest.raises(ObjectMissing, match="is not in the store any more"):
        store.open(other)


def test_what_is_deleted_is_gone(store: Store) -> None:
    put(store, b"content")
    assert store.delete(KEY) is True
    assert store.size(KEY) is None
    assert store.delete(KEY) is False


@pytest.mark.parametrize(
    "part", ["..", "../t2", "a/b", "", ".hidden", "a b", "ü", "a\n", "x" * 129, "a..b"]
)
def test_a_key_cannot_leave_the_prefix_of_its_organisation(store: Store, part: str) -> None:
    if "/" not in part:
        with pytest.raises(BadKey):
            tenant_key("t1", "exports", part)
    with pytest.raises(BadKey):
        store.size(f"tenants/t1/../{part}")


def test_lines_can_be_read_one_by_one(store: Store) -> None:
    put(store, b"a\nb\n")
    with store.open(KEY) as file:
        assert list(file) == [b"a\n", b"b\n"]


def test_a_killed_writer_leaves_nothing_for_long(
    tmp_path: Path, bucket: S3Settings, request: pytest.FixtureRequest
) -> None:
    local, remote = LocalStore(tmp_path), small_parts(bucket)
    for arguments in (["local", str(tmp_path)], ["s3", str(bucket.endpoint)]):
        writer = subprocess.run(
            [sys.executable, "-c", _KILLED, *arguments], check=False, timeout=120
        )
        assert writer.returncode == -signal.SIGKILL
    assert len(list((tmp_path / ".drafts").iterdir())) == 1
    assert unfinished(bucket) == [KEY]

    with local.write(KEY, content_type="text/csv") as mine:
        assert local.clear_leftovers(NOW) == 1, "the dead one's draft, not the one that is written"
        mine.write(b"again")
    put(remote, b"again")

    assert read(local) == read(remote) == b"again"
    assert list((tmp_path / ".drafts").iterdir()) == []
    assert unfinished(bucket) == []


_KILLED = f"""
import os, signal, sys
from pathlib import Path
from meet2be.integrations.storage_local import LocalStore
from meet2be.integrations.storage_s3 import S3Settings, S3Store
kind, place = sys.argv[1:]
if kind == "local":
    store = LocalStore(Path(place))
else:
    settings = S3Settings({BUCKET!r}, "eu-central-1", place, "AKIATESTS", "secret of tests")
    store = S3Store(settings, part_size={PART})
with store.write({KEY!r}, content_type="text/csv") as file:
    file.write(b"x" * {PART + 1})
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_an_upload_that_nobody_finished_is_aborted_a_day_later(bucket: S3Settings) -> None:
    store = small_parts(bucket)
    client(bucket).create_multipart_upload(Bucket=BUCKET, Key=KEY)
    begun = client(bucket).list_multipart_uploads(Bucket=BUCKET)["Uploads"][0]["Initiated"]

    assert store.clear_leftovers(begun + timedelta(hours=23)) == 0
    assert store.clear_leftovers(begun + timedelta(hours=25)) == 1
    assert unfinished(bucket) == []


def test_a_disk_has_no_links(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    assert store.link(KEY, 300, filename="a.csv", content_type="text/csv") is None


def test_a_link_serves_one_file_under_its_name_and_is_signed_with_sigv4(bucket: S3Settings) -> None:
    """B21, B24."""
    store = S3Store(bucket)
    put(store, b"content")
    link = store.link(KEY, 300, filename='Gäste "A/B".csv', content_type="text/csv")

    query = parse_qs(urlsplit(link).query)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Expires"] == ["300"]
    answer = requests.get(link, timeout=60)
    assert answer.content == b"content"
    assert unquote(answer.headers["Content-Disposition"].split("''")[1]) == "Gäste -A-B-.csv"


def test_signing_follows_the_new_scheme_in_the_oldest_region_too() -> None:
    """B21."""
    store = S3Store(S3Settings("bucket", "us-east-1", None, "AKIATESTS", "secret"))
    link = store.link(KEY, 604_800, filename="a.csv", content_type="text/csv")
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in link
    assert "AWSAccessKeyId=" not in link


@pytest.mark.parametrize("seconds", [0, -1, 604_801])
def test_a_link_of_more_than_seven_days_is_refused(bucket: S3Settings, seconds: int) -> None:
    """B21."""
    with pytest.raises(ValueError, match="from 1 to 604800 seconds"):
        S3Store(bucket).link(KEY, seconds, filename="a.csv", content_type="text/csv")


def test_a_full_disk_is_told_in_words_and_leaves_no_draft(tmp_path: Path) -> None:
    """B23."""
    store = LocalStore(tmp_path)
    with (
        pytest.raises(StoreFailed, match="disk that keeps the files is full") as caught,
        store.write(KEY, content_type="text/csv"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.is_temporary
    assert list((tmp_path / ".drafts").iterdir()) == []


@pytest.mark.parametrize(
    ("bucket_name", "sentence", "is_temporary"),
    [("nobodys-bucket", "bucket of the file store does not exist", False)],
)
def test_a_missing_bucket_is_told_in_words(
    bucket: S3Settings, bucket_name: str, sentence: str, is_temporary: bool
) -> None:
    """B23."""
    settings = S3Settings(bucket_name, "eu-central-1", bucket.endpoint, "AKIATESTS", "secret")
    with pytest.raises(StoreFailed, match=sentence) as caught:
        put(S3Store(settings), b"x")
    assert caught.value.is_temporary is is_temporary


def test_a_refusal_and_a_busy_store_are_told_in_words(
    bucket: S3Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B23."""
    from botocore.exceptions import ClientError

    store = S3Store(bucket)
    for code, sentence in (("AccessDenied", "refused access"), ("SlowDown", "is busy")):
        failing = _failing(ClientError({"Error": {"Code": code}}, "PutObject"))
        monkeypatch.setattr(store._s3, "put_object", failing)
        with pytest.raises(StoreFailed, match=sentence):
            put(store, b"x")


def _failing(error: Exception) -> Callable[..., None]:
    def fail(**_: object) -> None:
        raise error

    return fail


def test_a_store_that_is_away_is_told_in_words(tmp_path: Path) -> None:
    """B23."""
    nobody = S3Settings("b", "eu-central-1", "http://127.0.0.1:9", "AKIATESTS", "secret")
    with pytest.raises(StoreFailed, match="cannot be reached"):
        S3Store(nobody).size(KEY)


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("../../etc/passwd", "-..-etc-passwd"),
        ('a"b\\c.csv', "a-b-c.csv"),
        ("日本語.xlsx", "日本語.xlsx"),
        ("a\r\nSet-Cookie: x.csv", "aSet-Cookie- x.csv"),
        ("\u202egnp.exe", "gnp.exe"),
        ("   .csv", "download.csv"),
        ("", "download"),
        ("\ud800.csv", "-.csv"),
    ],
)
def test_names_of_files_are_cleaned(name: str, cleaned: str) -> None:
    """B24."""
    assert clean_filename(name) == cleaned


def test_a_long_name_is_cut_by_bytes_and_keeps_its_ending() -> None:
    """B24."""
    name = clean_filename("語" * 200 + ".csv")
    assert name.endswith("語.csv")
    assert len(name.encode()) <= 150


def test_a_name_in_any_script_fits_into_a_header() -> None:
    """B24."""
    header = attachment('Müller; "語"%.csv')
    assert header.isascii()
    assert header.startswith('attachment; filename="')
    assert unquote(header.split("filename*=UTF-8''")[1]) == "Müller; -語-%.csv"
