"""The list of edge cases and the tests named after them go together."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[4]
LIST = ROOT / "docs" / "reference" / "cancellation-edge-cases.md"
TESTS = ROOT / "tests" / "integration" / "cancellations"


def test_each_of_the_25_cases_is_listed_and_tested() -> None:
    listed = {int(number) for number in re.findall(r"^\| (\d+) \|", LIST.read_text(), re.MULTILINE)}
    tested = {
        int(number)
        for tests in TESTS.glob("test_edge_cases*.py")
        for number in re.findall(r"^def test_(\d\d)_", tests.read_text(), re.MULTILINE)
    }
    assert listed == tested == set(range(1, 26))
