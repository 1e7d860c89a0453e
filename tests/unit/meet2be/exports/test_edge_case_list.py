"""The list of edge cases and the tests named after them go together."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[4]
LIST = ROOT / "docs" / "reference" / "export-edge-cases.md"
TESTS = ROOT / "tests" / "integration" / "exports" / "test_edge_cases.py"
ELSEWHERE = {21, 22}


def test_each_of_the_25_cases_is_listed_and_tested() -> None:
    listed = {int(number) for number in re.findall(r"^\| (\d+) \|", LIST.read_text(), re.MULTILINE)}
    names = re.findall(r"^def test_((?:\d\d_)+)", TESTS.read_text(), re.MULTILINE)
    tested = {int(number) for name in names for number in name.strip("_").split("_")}
    assert listed == set(range(1, 26))
    assert set(range(1, 26)) - tested == ELSEWHERE
