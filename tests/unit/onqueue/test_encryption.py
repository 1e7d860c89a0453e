"""Encrypted jobs: only the application's keys open their data."""

import json
import sys
from typing import Any

import pytest

import onqueue
from onqueue import Job, QueueManager
from onqueue.bus.unique import claim_of
from onqueue.errors import (
    ConfigurationError,
    KeyGone,
    NoAppKeys,
    PayloadAltered,
    UnserializableArgument,
)
from onqueue.failed.retry import renewed
from onqueue.keyring import Keyring
from onqueue.payload import decode, plan_of
from onqueue.testing import queue_fake
from support.child_loop import Bench

KEY = ("2026-11", b"k" * 32)
OLD = ("2025-11", b"o" * 32)
SEEN: list[Any] = []


class Pay(Job):
    name = "encryption.pay"
    encrypted = True
    tags = ("money",)
    tries = 3

    iban: str
    amount: int = 1

    def handle(self) -> None:
        SEEN.append((self.iban, self.amount))

    def failed(self, error: BaseException) -> None:
        SEEN.append(type(error).__name__)


class Refund(Job):
    name = "encryption.refund"
    encrypted = True
    iban: str
    amount: int = 1

    def handle(self) -> None:
        SEEN.append(("refund", self.iban))


class Sometimes(Job):
    secret: str

    def encrypted(self) -> bool:
        return self.secret != "none"

    def handle(self) -> None: ...


class Bare(Job):
    encrypted = True

    def handle(self) -> None: ...


@pytest.fixture(autouse=True)
def _fresh() -> None:
    SEEN.clear()


def encoded(job: Job, *keys: tuple[str, bytes], context: dict[str, str] | None = None) -> bytes:
    return plan_of(type(job)).encode(job, 0.0, context, keys=Keyring(keys or [KEY]))


def opened(payload: bytes, *keys: tuple[str, bytes]) -> Job:
    return decode(payload).restore(Keyring(keys or [KEY]))


def changed(payload: bytes, **parts: Any) -> bytes:
    return json.dumps(json.loads(payload) | parts).encode()


def test_the_data_cannot_be_read_and_all_else_can() -> None:
    """K78."""
    payload = encoded(Pay("DE02"), context={"tenant": "7"})
    assert b"DE02" not in payload
    assert b"iban" not in payload
    parts = json.loads(payload)
    assert parts.pop("e").startswith("2026-11.")
    assert parts == {
        "v": 1,
        "job": "encryption.pay",
        "at": 0,
        "o": {"tries": 3, "tags": ["money"]},
        "c": {"tenant": "7"},
    }
    assert opened(payload) == Pay("DE02")


def test_the_same_data_looks_different_each_time() -> None:
    assert encoded(Pay("DE02")) != encoded(Pay("DE02"))


def test_a_job_may_decide_for_itself() -> None:
    assert b"hush" not in encoded(Sometimes("hush"))
    assert opened(encoded(Sometimes("hush"))) == Sometimes("hush")
    assert b'"secret":"none"' in encoded(Sometimes("none"))


def test_a_job_without_fields_has_nothing_to_hide() -> None:
    assert opened(encoded(Bare())) == Bare()


def test_without_keys_it_is_not_dispatched() -> None:
    manager = QueueManager("null", {"null": {"driver": "null"}})
    with (
        onqueue.using(manager),
        pytest.raises(NoAppKeys, match=r"'encryption\.pay' .*it needs encryption: give the Queue"),
    ):
        Pay("DE02").dispatch()


def test_what_waited_in_the_clear_is_run_after_encryption_was_switched_on() -> None:
    plain = changed(encoded(Bare()), job="encryption.pay", data={"iban": "DE02"})
    assert opened(plain) == Pay("DE02")


def test_a_previous_key_opens_what_it_closed() -> None:
    assert opened(encoded(Pay("DE02"), OLD), KEY, OLD) == Pay("DE02")


def test_a_key_that_is_gone_is_named() -> None:
    """K78."""
    with pytest.raises(
        KeyGone, match=r"'encryption\.pay' needs app key '2025-11', .*known: '2026-11'.*replay"
    ):
        opened(encoded(Pay("DE02"), OLD), KEY)


def test_a_worker_without_the_key_parks_the_job_untouched_until_it_has_it() -> None:
    bench = Bench()
    bench.keys = Keyring([KEY])
    payload = encoded(Pay("DE02"), OLD)
    parked = bench.put_payload(payload)
    bench.run()
    assert bench.consumer.settled(parked) == (
        "park",
        "unknown:encryption.pay | app key 2025-11 is gone",
    )
    assert bench.consumer.started == []
    assert (bench.failed.records, SEEN) == ([], [])
    bench.keys = Keyring([KEY, OLD])
    replayed = bench.put_payload(payload)
    bench.run()
    assert bench.consumer.settled(replayed) == ("done",)
    assert SEEN == [("DE02", 1)]


def sealed(payload: bytes) -> str:
    return str(json.loads(payload)["e"])


def altered(text: str) -> str:
    return text[:-6] + ("A" if text[-6] != "A" else "B") + text[-5:]


PAYLOAD = encoded(Pay("DE02"), context={"tenant": "7"})


@pytest.mark.parametrize(
    "payload",
    [
        changed(PAYLOAD, e=altered(sealed(PAYLOAD))),
        changed(PAYLOAD, e="2026-11."),
        changed(PAYLOAD, e="2026-11.%%%"),
        changed(PAYLOAD, e="2026-11.AAAA"),
        changed(PAYLOAD, job="encryption.refund"),
        changed(PAYLOAD, c={"tenant": "8"}),
        changed(PAYLOAD, c={}),
    ],
    ids=["bytes", "empty", "no base64", "short", "another job", "another tenant", "no tenant"],
)
def test_what_was_altered_or_moved_is_refused_at_once(payload: bytes) -> None:
    with pytest.raises(PayloadAltered, match="cannot be opened with key '2026-11'"):
        opened(payload)
    bench = Bench()
    bench.keys = Keyring([KEY])
    job_id = bench.put_payload(payload)
    bench.run(tries=5)
    assert bench.consumer.settled(job_id) == ("fail",)
    assert [record.error_type for record in bench.failed.records] == ["PayloadAltered"]
    assert SEEN == []


def test_a_retry_can_be_opened() -> None:
    payload = renewed(PAYLOAD, 1_000.0)
    assert decode(payload).at == 1_000.0
    assert opened(payload) == Pay("DE02")


def test_an_argument_that_cannot_travel_is_named_before_it_is_hidden() -> None:
    """K79."""
    with pytest.raises(UnserializableArgument, match=r"'iban' of job .*surrogate"):
        encoded(Pay("\ud800"))


def test_without_cryptography_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "cryptography.hazmat.primitives.ciphers.aead"
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigurationError, match="install the extra 'encryption'"):
        encoded(Pay("DE02"))


def test_an_inline_run_and_a_fake_open_it_too() -> None:
    manager = QueueManager("sync", {"sync": {"driver": "sync"}}, app_keys=[KEY])
    with onqueue.using(manager):
        Pay("DE02").dispatch()
    with queue_fake() as queue:
        Pay("DE03").dispatch()
    assert SEEN == [("DE02", 1)]
    queue.assert_pushed(Pay, lambda job: job.iban == "DE03")


class PayOnce(Job):
    name = "encryption.pay-once"
    unique = True
    iban: str
    is_secret: bool = True

    def encrypted(self) -> bool:
        return self.is_secret

    def handle(self) -> None: ...


def test_the_lock_of_a_unique_job_does_not_tell_its_fields() -> None:
    keys, others = Keyring([KEY]), Keyring([OLD])
    lock = claim_of(PayOnce("DE02"), keys)
    assert lock == claim_of(PayOnce("DE02"), keys)
    assert len({lock, claim_of(PayOnce("DE03"), keys), claim_of(PayOnce("DE02"), others)}) == 3
    assert claim_of(PayOnce("DE02", is_secret=False)) is not None
    with pytest.raises(NoAppKeys):
        claim_of(PayOnce("DE02"))
