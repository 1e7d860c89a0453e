"""What cancelling a conference refuses, each with what to do."""

from __future__ import annotations

from collections.abc import Sequence

from meet2be.errors import Meet2BeError


class CancellationError(Meet2BeError):
    """The root of this domain's errors."""


class BadCancelOptions(CancellationError):
    """Options that cannot be; `problems` lists all of them."""

    def __init__(self, problems: Sequence[str]) -> None:
        """Keep the problems, one clause each."""
        self.problems = tuple(problems)
        super().__init__("These options cannot be used: " + "; ".join(problems))


class UnknownRun(CancellationError):
    """No cancel run of this tenant has that id."""

    def __init__(self, uid: str) -> None:
        """Keep the id."""
        self.uid = uid
        super().__init__(f"There is no cancellation '{uid}' here. Open it from its event's page")


class UnknownEvent(CancellationError):
    """No event of this tenant has that id."""

    def __init__(self, uid: str) -> None:
        """Keep the id."""
        self.uid = uid
        super().__init__(f"There is no event '{uid}' here. Open it from the list of events")


class UnknownItem(CancellationError):
    """The run has no such attendee."""

    def __init__(self, run_uid: str, item_id: int) -> None:
        """Keep both ids."""
        self.run_uid, self.item_id = run_uid, item_id
        super().__init__(f"Cancellation '{run_uid}' has no item {item_id}. Reload its page")


class EventNotCancellable(CancellationError):
    """The event is past the point where it could be cancelled."""

    def __init__(self, title: str, status: str) -> None:
        """Keep what it is and how it stands."""
        self.title, self.status = title, status
        super().__init__(f"Event '{title}' is '{status}' and cannot be cancelled")


class TenantSuspended(CancellationError):
    """A suspended tenant starts nothing."""

    def __init__(self, name: str) -> None:
        """Keep whose it is."""
        self.name = name
        super().__init__(
            f"'{name}' is suspended, so nothing is started or resumed. Ask the platform's operators"
        )


class WrongEventName(CancellationError):
    """The name typed to confirm is not the event's."""

    def __init__(self, title: str) -> None:
        """Keep the right name."""
        self.title = title
        super().__init__(f"The name typed is not that of the event. Type exactly '{title}'")


class PreviewStale(CancellationError):
    """What was previewed has changed; `differences` says what, as (what, before, now)."""

    def __init__(self, run_uid: str, differences: Sequence[tuple[str, str, str]]) -> None:
        """Keep the run and the differences."""
        self.run_uid, self.differences = run_uid, tuple(differences)
        told = "; ".join(f"{what}: {before} before, {now} now" for what, before, now in differences)
        super().__init__(
            f"Orders have changed since the preview ({told or 'other payments or amounts'}). "
            "Look at a new preview and confirm that"
        )


class CodeNeeded(CancellationError):
    """The sum is above the tenant's limit and no code was given."""

    def __init__(self, limit_minor: int, currency: str) -> None:
        """Keep the limit, in minor units."""
        self.limit_minor, self.currency = limit_minor, currency
        super().__init__(
            "More is refunded than can be confirmed without a code. Have a code mailed and type it"
        )


class WrongCode(CancellationError):
    """The code is not the one that was mailed."""

    def __init__(self, tries_left: int) -> None:
        """Keep how many tries are left."""
        self.tries_left = tries_left
        super().__init__(
            f"The code is wrong. Tries left: {tries_left}"
            if tries_left
            else "The code is wrong, and it was the last try. Have a new code mailed"
        )


class CodeExpired(CancellationError):
    """There is no code that could still be used."""

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__("There is no code that is still valid. Have a new code mailed")


class TooManyCodes(CancellationError):
    """A person had one code after the other mailed, each with tries of its own."""

    def __init__(self, most: int, minutes: int) -> None:
        """Keep how many are mailed in how many minutes."""
        self.most, self.minutes = most, minutes
        super().__init__(
            f"{most} codes were mailed in the last {minutes} minutes. Use the newest, or wait"
        )


class CancellationAlreadyRunning(CancellationError):
    """The event has a run that is not over; `run_uid` is where to look."""

    def __init__(self, run_uid: str) -> None:
        """Keep the run that is there."""
        self.run_uid = run_uid
        super().__init__(f"This event is being cancelled already. Open cancellation '{run_uid}'")


class RunNotInState(CancellationError):
    """The run's state does not allow what was asked."""

    def __init__(self, run_uid: str, state: str, wanted: str) -> None:
        """Keep the state and what was asked."""
        self.run_uid, self.state, self.wanted = run_uid, state, wanted
        super().__init__(
            f"Cancellation '{run_uid}' is '{state}', so it cannot be {wanted}. Reload its page"
        )


class LaneLost(CancellationError):
    """Another worker has taken this lane over; whatever this one holds no longer counts."""

    def __init__(self, run_id: int, lane: int, fence: int) -> None:
        """Keep the lane and the fence that is no longer the highest."""
        self.run_id, self.lane, self.fence = run_id, lane, fence
        super().__init__(
            f"Lane {lane} of cancel run {run_id} was taken over: fence {fence} is refused"
        )
