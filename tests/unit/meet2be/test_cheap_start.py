"""A process of the platform starts without the libraries it does not use."""

import subprocess
import sys

import pytest

# Each costs between a tenth and half a second, and 5 to 20 MB, in each of many processes.
SPARED = ("aiohttp", "alembic", "boto3", "flask", "stripe", "weasyprint")


@pytest.mark.parametrize("program", ["workers.__main__", "meet2be.cli"])
def test_a_process_imports_nothing_dear_that_it_does_not_use(program: str) -> None:
    names = f"import {program}, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", names], capture_output=True, text=True, check=True)
    imported = done.stdout.split()
    assert program in imported
    assert set(SPARED).isdisjoint(imported), set(SPARED) & set(imported)


def test_an_adapter_of_the_services_is_there_for_whoever_asks_for_it() -> None:
    program = "import meet2be.service_registry, svcs.flask; print(svcs.flask.__name__)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["svcs.flask"]
