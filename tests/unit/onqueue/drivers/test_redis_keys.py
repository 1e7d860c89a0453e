"""Keys are made in one place, on the wire's form, within one hash tag."""

import pytest

from onqueue.drivers.redis.keys import Keys, bulk
from onqueue.errors import ConfigurationError

KEYS = Keys("{q}")


def test_all_keys_of_a_queue_bear_the_connections_hash_tag() -> None:
    """K28."""
    keys = Keys("{onqueue:redis}").queue("emails")
    assert keys.ready == bulk(b"{onqueue:redis}:ready:emails")
    assert keys.place.split(b"\n")[1] == b"{onqueue:redis}:wake:emails"


@pytest.mark.parametrize("name", ["", "two words", "new\nline", "\ud800", "x" * 201])
def test_a_name_that_could_break_a_key_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="visible characters"):
        Keys("{onqueue:redis}").queue(name)


def test_a_name_may_have_letters_of_any_script() -> None:
    assert Keys("{q}").queue("übersicht").ready == bulk("{q}:ready:übersicht".encode())


def test_any_text_can_be_a_lock_and_no_two_are_one() -> None:
    locks = ["Ada Lovelace", "Ada%20Lovelace", "a\nb", "ü", "\ud800", "x" * 999, "x" * 998, ""]
    lanes = {KEYS.lane(lock) for lock in locks}
    assert len(lanes) == len(locks)
    assert all(lane.isascii() and len(lane.split()) == 1 for lane in lanes)
    assert max(map(len, lanes)) < 400


def test_a_plain_lock_can_be_read_in_its_key() -> None:
    assert KEYS.lane("overlap:Export:7") == b"{q}:parked:overlap:Export:7"
