"""What the office in the demo counts with: the partner's server, the second list, the forms."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator

import pytest
import requests

from demo.receiver import Receiver
from demo.second_list import BROKEN, GOOD, REPEATED, second_list
from demo.visitor import _read
from meet2be.local.environment import free_port

KEY = b"a key of the partner's own"
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


@pytest.fixture
def partner() -> Iterator[tuple[Receiver, str]]:
    port = free_port()
    receiver = Receiver(port, failures=1)
    receiver.secret = SECRET
    yield receiver, f"http://127.0.0.1:{port}/hooks"
    receiver.close()


def call(address: str, message: str, key: bytes = KEY) -> int:
    body = json.dumps({"type": "export.ready"}).encode()
    signed = hmac.digest(key, f"{message}.1700000000.".encode() + body, hashlib.sha256)
    headers = {
        "webhook-id": message,
        "webhook-timestamp": "1700000000",
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }
    return requests.post(address, data=body, headers=headers, timeout=60).status_code


def test_the_partner_refuses_at_first_and_counts_what_comes_twice(
    partner: tuple[Receiver, str],
) -> None:
    receiver, address = partner
    answers = [call(address, message) for message in ("one", "one", "two", "two")]
    assert answers == [503, 204, 204, 204]
    assert receiver.received.refused == 1
    assert receiver.received.taken("export.ready") == 2
    assert receiver.received.repeats == 1


def test_the_partner_takes_nothing_that_is_not_signed(partner: tuple[Receiver, str]) -> None:
    receiver, address = partner
    assert call(address, "one", key=b"another key") == 401
    assert requests.post(address, data=b"{}", timeout=60).status_code == 401
    assert (receiver.received.unsigned, receiver.received.ids) == (2, {})


def test_the_second_list_holds_what_the_office_counts_on() -> None:
    lines = second_list().decode("cp1252").split("\r\n")
    assert len(lines[1:-1]) == GOOD + REPEATED + BROKEN
    assert len(set(lines[1:-1])) == GOOD + BROKEN


def test_a_form_is_read_as_a_browser_sends_it() -> None:
    form = _read(
        '<form action="/go"><input name="a" value="1"><input type="submit" name="b" value="x">'
        '<input type="checkbox" name="c" value="2" checked>'
        '<input type="checkbox" name="c" value="3">'
        '<select name="d"><option value="4">four</option><option value="5" selected>five</option>'
        '</select><textarea name="e">\nsix</textarea><input type="file" name="f"></form>'
    ).forms[0]
    assert form.fields == [("a", "1"), ("c", "2"), ("d", "5"), ("e", "six")]
