"""What can be wrong with an event."""

from __future__ import annotations

from meet2be.errors import Meet2BeError


class EventError(Meet2BeError):
    """Anything an event does not allow."""


class EventNotFoundError(EventError):
    """No such event in this tenant; somebody else's is not told apart from none."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"there is no event '{name}'. See the list of events for its name.")
