"""Type checkers accept what users may write with the core's names, and flag what they may not.

In tests/typing the flagged lines bear the error codes as `ignore` comments. Both checkers are told
to complain of a comment that silences nothing, so a mark without its error fails as well.
"""

import ast
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import onqueue
from onqueue import limits, middleware, schedule, telling, testing

ROOT = Path(__file__).resolve().parents[2]
TYPING = ROOT / "tests" / "typing"
NAMES = ("onqueue_names.py", "limit_names.py")

MYPY = ("mypy", *(str(TYPING / name) for name in (*NAMES, "wrong_uses.py")))
PYRIGHT = ("basedpyright", "-p", str(TYPING / "pyrightconfig.json"))


@pytest.mark.parametrize("checker", [MYPY, PYRIGHT], ids=["mypy", "pyright"])
def test_both_checkers_flag_the_marked_lines_and_nothing_else(checker: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *checker],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_many_wrong_uses_are_marked_for_both() -> None:
    lines = (TYPING / "wrong_uses.py").read_text("utf-8").splitlines()
    assert sum("# type: ignore[" in line for line in lines) > 35
    assert sum("# pyright: ignore[" in line for line in lines) > 35
    assert not [name for name in NAMES if "ignore[" in (TYPING / name).read_text("utf-8")]


@pytest.mark.parametrize(
    "module",
    [onqueue, limits, middleware, schedule, telling, testing],
    ids=lambda one: one.__name__,
)
def test_every_public_name_is_used_in_the_files_that_are_checked(module: ModuleType) -> None:
    used: set[str] = set()
    for name in NAMES:
        for node in ast.walk(ast.parse((TYPING / name).read_text("utf-8"))):
            if isinstance(node, ast.Name):
                used.add(node.id)
            elif isinstance(node, ast.Attribute):
                used.add(node.attr)
    assert set(module.__all__) - used == set()
