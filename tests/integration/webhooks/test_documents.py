"""What consumers read is true: the code verifies what we send, the lists are whole."""

import json
import re
import subprocess
from pathlib import Path

import playwright
import pytest

from meet2be.webhooks.catalogue import GROUPS, TYPE_FORM, TYPES, reference
from meet2be.webhooks.signing import key_of, new_pair, new_secret, sign
from onqueue.clock import SystemClock

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "how-to" / "receive-webhooks.md").read_text(encoding="utf-8")
KINDS = ("v1", "v1a")
BODY = '{"type":"refund.succeeded","data":{"name":"Zoë"}}'.encode()


def block(language: str, kind: str) -> str:
    """Return the code of the page for a kind of signature."""
    secrets, keys = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(keys if kind == "v1a" else secrets)


def fresh(kind: str) -> tuple[str, str]:
    """Return what signs, and what verifies."""
    if kind == "v1a":
        return new_pair()
    secret = new_secret()
    return secret, secret


def signed(signing: str, *, late: int = 0) -> dict[str, str]:
    now = int(SystemClock().now().timestamp()) - late
    others = [key_of(new_secret()), key_of(new_pair()[0])]
    return {
        "webhook-id": "e1",
        "webhook-timestamp": str(now),
        "webhook-signature": sign([*others, key_of(signing)], "e1", now, BODY),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_python_of_the_page_verifies_what_we_send(kind: str) -> None:
    """W19: five minutes may lie between two clocks."""
    names: dict[str, object] = {}
    exec(block("python", kind), names)  # noqa: S102 -- our own page
    is_genuine = names["is_genuine"]
    assert callable(is_genuine)
    signing, verifying = fresh(kind)
    assert is_genuine(verifying, signed(signing), BODY)
    assert not is_genuine(verifying, signed(signing), BODY + b" ")
    assert not is_genuine(fresh(kind)[1], signed(signing), BODY)
    assert not is_genuine(verifying, signed(signing, late=301), BODY)


@pytest.mark.parametrize("kind", KINDS)
def test_the_javascript_of_the_page_verifies_what_we_send(kind: str) -> None:
    # The driver of the browser tests brings a Node.js of its own, so there always is one.
    node = str(Path(playwright.__file__).parent / "driver" / "node")
    signing, verifying = fresh(kind)
    cases = [
        [verifying, signed(signing), BODY.decode()],
        [verifying, signed(signing), BODY.decode() + " "],
        [fresh(kind)[1], signed(signing), BODY.decode()],
        [verifying, signed(signing, late=301), BODY.decode()],
    ]
    program = block("javascript", kind) + (
        "console.log(JSON.stringify(JSON.parse(process.argv[1])"
        ".map(([s, h, b]) => isGenuine(s, h, Buffer.from(b)))))"
    )
    done = subprocess.run(
        [node, "-e", program, json.dumps(cases)], capture_output=True, check=True, timeout=180
    )
    assert json.loads(done.stdout) == [True, False, False, False]


def test_the_catalogue_on_the_page_is_the_one_of_the_code() -> None:
    page = ROOT / "docs" / "reference" / "webhook-events.md"
    assert page.read_text(encoding="utf-8") == reference(), (
        "write it anew: .venv/bin/python -m meet2be.webhooks.catalogue > " + str(page)
    )
    assert len(TYPES) == sum(len(group.types) for group in GROUPS) >= 25
    assert all(TYPE_FORM.fullmatch(name) for name in TYPES)
