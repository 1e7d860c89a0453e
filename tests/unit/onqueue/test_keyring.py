"""The application's keys."""

from typing import Any

import pytest

from onqueue.errors import ConfigurationError, KeyGone, NoAppKeys
from onqueue.keyring import Keyring

KEY = ("2026-11", b"k" * 32)
OLD = ("2025-11", b"o" * 32)


def test_the_first_key_signs_and_all_of_them_verify() -> None:
    seal = Keyring([KEY, OLD]).sign("job", b"text")
    assert seal.startswith("2026-11.")
    assert Keyring([OLD, KEY]).vouches_for("job", b"text", seal)
    assert not Keyring([OLD, KEY]).vouches_for("job", b"another", seal)


def test_another_key_of_the_same_id_does_not_vouch() -> None:
    seal = Keyring([KEY]).sign("job", b"text")
    assert not Keyring([("2026-11", b"x" * 32)]).vouches_for("job", b"text", seal)


@pytest.mark.parametrize("seal", ["", ".", "2026-11", "2026-11.", "2026-11.é", "é.x", "a b.c"])
def test_what_is_no_seal_is_not_vouched_for(seal: str) -> None:
    assert not Keyring([KEY]).vouches_for("job", b"text", seal)


def test_a_key_that_is_gone_is_named() -> None:
    seal = Keyring([OLD]).sign("job", b"text")
    with pytest.raises(KeyGone, match=r"job 'job' needs app key '2025-11', .*known: '2026-11'"):
        Keyring([KEY]).vouches_for("job", b"text", seal)


def test_without_keys_nothing_is_signed() -> None:
    assert not Keyring()
    with pytest.raises(NoAppKeys, match=r"Job 'job' .*a signature.*app_keys=\("):
        Keyring().sign("job", b"text")


def test_keys_for_signing_and_for_encrypting_are_not_the_same() -> None:
    key = Keyring([KEY]).present("job", "a test")
    assert len({key.signing, key.encrypting, KEY[1]}) == 3


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ([("a b", b"k" * 32)], "key id 'a b' must be"),
        ([("", b"k" * 32)], "key id '' must be"),
        ([("a", b"k" * 31)], "key 'a' has 31 bytes, needed are 32"),
        ([KEY, KEY], "key '2026-11' is given more than once"),
        (["no pair"], "each must be a pair of id .* not a str"),
        ([("a", "text" * 10)], "each must be a pair of id .* not a tuple"),
    ],
)
def test_keys_that_cannot_be_are_all_named_without_being_shown(keys: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as raised:
        Keyring(keys)
    assert "kkk" not in str(raised.value)
    assert "texttext" not in str(raised.value)
