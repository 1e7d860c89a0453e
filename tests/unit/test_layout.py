"""Guards against the trap of a folder called `platform`, and of modules named like the library's.

With a `platform/__init__.py` the web server and pytest go on working while every process that is
started with `python -m` dies at an import; docs/adr/0001-layout-and-the-platform-trap.md.
"""

import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE_ROOTS = (ROOT, ROOT / "platform")


def importable_names(folder: Path) -> Iterator[str]:
    """Yield the names of modules and packages that lie directly in a folder."""
    for entry in folder.iterdir():
        if entry.suffix == ".py" and entry.stem != "__init__":
            yield entry.stem
        elif (entry / "__init__.py").is_file():
            yield entry.name


def belongs_to_the_library(file: str) -> bool:
    path = Path(file).resolve()
    return path.name == "platform.py" and ROOT not in path.parents


def test_import_platform_is_the_standard_library_s() -> None:
    assert platform.__file__ is not None
    assert belongs_to_the_library(platform.__file__)


def test_import_platform_is_the_standard_library_s_in_a_program_started_in_the_root() -> None:
    program = "import platform; print(platform.__file__); platform.node()"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert belongs_to_the_library(done.stdout.strip())


@pytest.mark.parametrize("folder", SOURCE_ROOTS, ids=["root", "platform"])
def test_nothing_importable_in_a_source_root_is_named_like_a_standard_module(folder: Path) -> None:
    names = set(importable_names(folder))
    assert names, f"nothing importable was found in '{folder}': is it still a source root?"
    assert names.isdisjoint(sys.stdlib_module_names)


def test_the_guard_sees_a_platform_package(tmp_path: Path) -> None:
    (tmp_path / "platform").mkdir()
    (tmp_path / "platform" / "__init__.py").touch()
    (tmp_path / "queue.py").touch()
    (tmp_path / "meet2be").mkdir()
    assert set(importable_names(tmp_path)) == {"platform", "queue"}


def test_platform_is_a_source_root_and_no_package() -> None:
    assert not (ROOT / "platform" / "__init__.py").exists()
