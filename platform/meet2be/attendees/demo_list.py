"""Where the demo's attendee list lies: 5,000 people, with everything real lists get wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Final

DEMO_LIST: Final = Path(__file__).resolve().parents[1] / "demo_data" / "attendees-5000.csv"
