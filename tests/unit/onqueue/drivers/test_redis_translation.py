"""What the client library complains about becomes the core's own errors, without secrets."""

import pytest
import redis.exceptions as theirs

from onqueue.drivers.redis.translation import masked, translated
from onqueue.errors import BrokerError, BrokerFull, BrokerMisconfigured, BrokerUnavailable


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (theirs.ConnectionError("Connection refused"), BrokerUnavailable),
        (theirs.TimeoutError("Timeout reading"), BrokerUnavailable),
        (theirs.BusyLoadingError("loading"), BrokerUnavailable),
        (theirs.ReadOnlyError("You can't write against a read only replica."), BrokerUnavailable),
        (theirs.ResponseError("Error running script: -READONLY You can't"), BrokerUnavailable),
        (theirs.AuthenticationError("WRONGPASS"), BrokerMisconfigured),
        (theirs.NoPermissionError("NOPERM"), BrokerMisconfigured),
        (
            theirs.OutOfMemoryError("command not allowed"),
            BrokerFull,
        ),
        (theirs.ResponseError("Error running script: @user_script: OOM command"), BrokerFull),
        (theirs.ResponseError("MISCONF Errors writing to the AOF file"), BrokerFull),
        (theirs.ResponseError("WRONGTYPE"), BrokerError),
    ],
)
def test_each_error_has_its_meaning(error: theirs.RedisError, ours: type[BrokerError]) -> None:
    found = translated(error, "redis", "redis://here:6379/0")
    assert type(found) is ours
    assert "redis://here:6379/0" in str(found)


@pytest.mark.parametrize(
    ("why", "is_doubtful"), [("Timeout reading from socket", True), ("Timeout connecting", False)]
)
def test_only_a_server_that_was_asked_may_yet_do_it(why: str, *, is_doubtful: bool) -> None:
    found = translated(theirs.TimeoutError(why), "redis", "redis://here:6379/0")
    assert ("may yet do what it was asked" in str(found)) is is_doubtful


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:secret@host:6380/1", "redis://host:6380/1"),
        ("rediss://me:secret@host/0?password=secret", "rediss://me@host/0"),
        ("unix:///run/valkey.sock?password=secret", "unix:///run/valkey.sock"),
        ("redis://host:not-a-port", "an address that cannot be read"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert masked(url) == shown
