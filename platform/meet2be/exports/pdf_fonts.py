"""Whether this machine can lay out pages, and in which scripts; looked up once a process.

Without a font for a script its text is lost in a PDF, not just ugly: what one copies or searches is
garbage. `make setup` brings the packages that are named here where it may.
"""

from __future__ import annotations

import ctypes.util
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from typing import Final

from meet2be.language import N_, Message

PACKAGES: Final = "libpango-1.0-0 libpangoft2-1.0-0 fonts-dejavu-core fonts-droid-fallback"
SCRIPTS: Final[Mapping[str, tuple[str, str]]] = {
    "Chinese, Japanese and Korean": ("65e5", "fonts-droid-fallback"),
    "Arabic": ("0627", "fonts-dejavu-core"),
    "Hebrew": ("05d0", "fonts-dejavu-core"),
    "Emoji": ("1f600", "fonts-noto-color-emoji"),
}
"""For each script a sign that a font must have (in hexadecimal), and a package that brings one."""


@cache
def why_not() -> Message | None:
    """Return why no page can be laid out here, with what to install; None when it can."""
    lacking = [name for name in ("pango-1.0", "pangoft2-1.0") if not ctypes.util.find_library(name)]
    if not lacking:
        return None
    return Message(
        N_(
            "PDF needs the library %(library)s on the platform's machine."
            " Install it there: apt-get install %(packages)s"
        ),
        {"library": lacking[0], "packages": PACKAGES},
    )


@cache
def missing_scripts() -> Mapping[str, str]:
    """Return the scripts that no font here has, each with the package to install."""
    lister = shutil.which("fc-list")
    if lister is None:
        return {}
    return {
        script: package for script, (sign, package) in SCRIPTS.items() if not _listed(lister, sign)
    }


def _listed(lister: str, sign: str) -> bool:
    found = subprocess.run(
        [lister, f":charset={sign}", "family"], capture_output=True, check=False, timeout=20
    )
    return bool(found.stdout.strip())


def main() -> int:
    """Say what this machine lacks for PDFs, with what to install; the exit code is 1 then."""
    trouble, scripts = why_not(), missing_scripts()
    if trouble is not None:
        sys.stdout.write(f"{trouble}\n")
    for script, package in scripts.items():
        sys.stdout.write(
            f"No font has {script}: such text would be lost in a PDF. Install one:"
            f" apt-get install {package}\n"
        )
    return 1 if trouble is not None or scripts else 0


if __name__ == "__main__":
    sys.exit(main())
