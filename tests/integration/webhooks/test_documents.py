"""What consumers read is true: the code verifies what we send, the lists are whole."""

import json
import re
import subprocess
from pathlib import Path

import playwright

from meet2be.webhooks.catalogue import GROUPS, TYPE_FORM, TYPES, reference
from meet2be.webhooks.signing import key_of, new_secret, sign
from onqueue.clock import SystemClock

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "how-to" / "receive-webhooks.md").read_text(encoding="utf-8")
BODY = '{"type":"refund.succeeded","data":{"name":"Zoë"}}'.encode()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def signed(secret: str, *, late: int = 0) -> dict[str, str]:
    now = int(SystemClock().now().timestamp()) - late
    other = key_of(new_secret())
    return {
        "webhook-id": "e1",
        "webhook-timestamp": str(now),
        "webhook-signature": sign([other, key_of(secret)], "e1", now, BODY),
    }


def test_the_python_of_the_page_verifies_what_we_send() -> None:
    names: dict[str, object] = {}
    exec(block("python"), names)  # noqa: S102 -- our own page
    is_genuine = names["is_genuine"]
    assert callable(is_genuine)
    secret = new_secret()
    assert is_genuine(secret, signed(secret), BODY)
    assert not is_genuine(secret, signed(secret), BODY + b" ")
    assert not is_genuine(new_secret(), signed(secret), BODY)
    assert not is_genuine(secret, signed(secret, late=301), BODY)


def test_the_javascript_of_the_page_verifies_what_we_send() -> None:
    # The driver of the browser tests brings a Node.js of its own, so there always is one.
    node = str(Path(playwright.__file__).parent / "driver" / "node")
    secret = new_secret()
    cases = [
        [secret, signed(secret), BODY.decode()],
        [secret, signed(secret), BODY.decode() + " "],
        [new_secret(), signed(secret), BODY.decode()],
        [secret, signed(secret, late=301), BODY.decode()],
    ]
    program = block("javascript") + (
        "console.log(JSON.stringify(JSON.parse(process.argv[1])"
        ".map(([s, h, b]) => isGenuine(s, h, Buffer.from(b)))))"
    )
    done = subprocess.run(
        [node, "-e", program, json.dumps(cases)], capture_output=True, check=True, timeout=60
    )
    assert json.loads(done.stdout) == [True, False, False, False]


def test_the_catalogue_on_the_page_is_the_one_of_the_code() -> None:
    page = ROOT / "docs" / "reference" / "webhook-events.md"
    assert page.read_text(encoding="utf-8") == reference(), (
        "write it anew: .venv/bin/python -m meet2be.webhooks.catalogue > " + str(page)
    )
    assert len(TYPES) == sum(len(group.types) for group in GROUPS) >= 25
    assert all(TYPE_FORM.fullmatch(name) for name in TYPES)


def test_each_edge_case_is_listed_and_tested_or_explained() -> None:
    text = (ROOT / "docs" / "reference" / "webhook-edge-cases.md").read_text(encoding="utf-8")
    listed = {int(number) for number in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    tested: set[int] = set()
    for folder in ("tests/integration", "tests/unit/meet2be", "tests/crash/webhooks"):
        for path in (ROOT / folder).rglob("test_*.py"):
            for line in re.findall(r'"""(W\d[^"]*)', path.read_text(encoding="utf-8")):
                tested.update(int(number) for number in re.findall(r"\bW(\d+)\b", line))
    assert listed == set(range(1, 26))
    assert listed - tested == {19, 22}, "a matter of documents only"
