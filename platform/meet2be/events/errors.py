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


class EventMovedError(EventError):
    """The event is not in the state the caller saw."""

    def __init__(self, event: str, *, status: str, wanted: str) -> None:
        self.event = event
        self.status = status
        self.wanted = wanted
        super().__init__(
            f"the event '{event}' is '{status}' by now and cannot become '{wanted}'. "
            "Reload the page to see who changed it."
        )


class SlugTakenError(EventError):
    """Another event of the tenant has this short name."""

    def __init__(self, slug: str) -> None:
        self.slug = slug
        super().__init__(f"another event is called '{slug}' already. Choose another short name.")


class BadEventError(EventError):
    """An event's particulars that make no sense."""

    def __init__(self, field: str, why: str) -> None:
        self.field = field
        super().__init__(f"the event's {field} {why}")
