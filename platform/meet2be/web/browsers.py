"""What a browser is called that tells a long line about itself."""

from __future__ import annotations

from meet2be.language import _

# The first that fits: some call themselves by the names of others, too.
_PROGRAMS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
    ("curl", "curl"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)


def name_of(user_agent: str | None) -> str:
    """Return the browser and system that a ``User-Agent`` header names, in a few words."""
    told = user_agent or ""
    program = next((name for mark, name in _PROGRAMS if mark in told), "")
    system = next((name for mark, name in _SYSTEMS if mark in told), "")
    if program and system:
        return _("%(program)s on %(system)s", program=program, system=system)
    return program or system or _("an unknown browser")
