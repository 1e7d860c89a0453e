"""``svcs`` without its adapters for web frameworks.

The library imports an adapter for each framework that is installed, and with it the framework:
Flask and aiohttp, a quarter of a worker's start and 20 MB that no worker uses. Here it finds none;
whoever imports an adapter by its name still gets it.
"""

from __future__ import annotations

import sys

_ADAPTERS = ("svcs.aiohttp", "svcs.fastapi", "svcs.flask", "svcs.starlette")

_hidden = [name for name in _ADAPTERS if name not in sys.modules]
sys.modules.update(dict.fromkeys(_hidden))  # type: ignore[arg-type]  # None: cannot be imported
try:
    import svcs
finally:
    for _name in _hidden:
        del sys.modules[_name]

__all__ = ["svcs"]
