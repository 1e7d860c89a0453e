import ast
from pathlib import Path

from meet2be.notifications.kinds import KINDS, kind_of

PLATFORM = Path(__file__).resolve().parents[4] / "platform" / "meet2be"


def kinds_in_the_code() -> set[str]:
    found = set()
    for path in PLATFORM.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Notice":
                given = [word.value for word in node.keywords if word.arg == "kind"] + node.args[:1]
                found |= {
                    value.value
                    for value in given
                    if isinstance(value, ast.Constant) and isinstance(value.value, str)
                }
    return found


def test_every_kind_of_notice_stands_in_the_table() -> None:
    missing = {kind for kind in kinds_in_the_code() if kind not in KINDS}
    assert not missing, "add them to notifications/kinds.py"


def test_an_unknown_kind_comes_in_the_page_only() -> None:
    kind = kind_of("something.new")
    assert kind.comes_by("page")
    assert not kind.comes_by("mail")
