"""What cancelling a conference refuses, each with what to do."""

from __future__ import annotations

from collections.abc import Sequence

from meet2be.errors import Meet2BeError
from meet2be.language import NC_, Message, in_sense, joined

# How the states that errors name are called, and what was to be done in them.
STATES = (
    NC_("raw", "preview"), NC_("raw", "confirmed"), NC_("raw", "running"),
    NC_("raw", "sweeping"), NC_("raw", "paused"), NC_("raw", "done"),
    NC_("raw", "done_with_errors"), NC_("raw", "aborted"), NC_("raw", "todo"),
    NC_("raw", "sent"), NC_("raw", "pending"), NC_("raw", "none_needed"),
    NC_("raw", "uncertain"), NC_("raw", "manual"), NC_("raw", "failed"),
)  # fmt: skip
VERBS = (
    NC_("verb", "marked as paid by hand"), NC_("verb", "confirmed"), NC_("verb", "paused"),
    NC_("verb", "resumed"), NC_("verb", "aborted"), NC_("verb", "retried"),
)  # fmt: skip
EVENT_STATES = (
    NC_("event", "draft"), NC_("event", "live"), NC_("event", "cancelling"),
    NC_("event", "cancelled"), NC_("event", "archived"),
)  # fmt: skip


class CancellationError(Meet2BeError):
    """The root of this domain's errors."""


class BadCancelOptions(CancellationError):
    """Options that cannot be; `problems` lists all of them."""

    def __init__(self, problems: Sequence[Message]) -> None:
        """Keep the problems, one clause each."""
        self.problems = tuple(problems)
        super().__init__(
            Message("These options cannot be used: %(problems)s", {"problems": joined(problems)})
        )


class UnknownRun(CancellationError):
    """No cancel run of this tenant has that id."""

    def __init__(self, uid: str) -> None:
        """Keep the id."""
        self.uid = uid
        super().__init__(
            Message(
                "There is no cancellation '%(uid)s' here. Open it from its event's page",
                {"uid": uid},
            )
        )


class UnknownEvent(CancellationError):
    """No event of this tenant has that id."""

    def __init__(self, uid: str) -> None:
        """Keep the id."""
        self.uid = uid
        super().__init__(
            Message(
                "There is no event '%(uid)s' here. Open it from the list of events", {"uid": uid}
            )
        )


class UnknownItem(CancellationError):
    """The run has no such attendee."""

    def __init__(self, run_uid: str, item_id: int) -> None:
        """Keep both ids."""
        self.run_uid, self.item_id = run_uid, item_id
        values = {"uid": run_uid, "item": item_id}
        super().__init__(
            Message("Cancellation '%(uid)s' has no item %(item)s. Reload its page", values)
        )


class EventNotCancellable(CancellationError):
    """The event is past the point where it could be cancelled."""

    def __init__(self, title: str, status: str) -> None:
        """Keep what it is and how it stands."""
        self.title, self.status = title, status
        values = {"title": title, "status": in_sense("event", status)}
        super().__init__(
            Message("Event '%(title)s' is '%(status)s' and cannot be cancelled", values)
        )


class TenantSuspended(CancellationError):
    """A suspended tenant starts nothing."""

    def __init__(self, name: str) -> None:
        """Keep whose it is."""
        self.name = name
        super().__init__(
            Message(
                "'%(name)s' is suspended, so nothing is started or resumed. Ask the platform's"
                " operators",
                {"name": name},
            )
        )


class WrongEventName(CancellationError):
    """The name typed to confirm is not the event's."""

    def __init__(self, title: str) -> None:
        """Keep the right name."""
        self.title = title
        super().__init__(
            Message(
                "The name typed is not that of the event. Type exactly '%(title)s'",
                {"title": title},
            )
        )


class PreviewStale(CancellationError):
    """What was previewed has changed; `differences` says what, as (what, before, now)."""

    def __init__(self, run_uid: str, differences: Sequence[tuple[Message, str, str]]) -> None:
        """Keep the run and the differences."""
        self.run_uid, self.differences = run_uid, tuple(differences)
        told = joined(
            [
                Message(
                    "%(what)s: %(before)s before, %(now)s now",
                    {"what": what, "before": before, "now": now},
                )
                for what, before, now in differences
            ]
        )
        super().__init__(
            Message(
                "Orders have changed since the preview (%(changes)s). Look at a new preview and"
                " confirm that",
                {"changes": told or Message("other payments or amounts")},
            )
        )


class CodeNeeded(CancellationError):
    """The sum is above the tenant's limit and no code was given."""

    def __init__(self, limit_minor: int, currency: str) -> None:
        """Keep the limit, in minor units."""
        self.limit_minor, self.currency = limit_minor, currency
        super().__init__(
            Message(
                "More is refunded than can be confirmed without a code. Have a code mailed and"
                " type it"
            )
        )


class WrongCode(CancellationError):
    """The code is not the one that was mailed."""

    def __init__(self, tries_left: int) -> None:
        """Keep how many tries are left."""
        self.tries_left = tries_left
        super().__init__(
            Message("The code is wrong. Tries left: %(tries)s", {"tries": tries_left})
            if tries_left
            else Message("The code is wrong, and it was the last try. Have a new code mailed")
        )


class CodeExpired(CancellationError):
    """There is no code that could still be used."""

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__(Message("There is no code that is still valid. Have a new code mailed"))


class TooManyCodes(CancellationError):
    """A person had one code after the other mailed, each with tries of its own."""

    def __init__(self, most: int, minutes: int) -> None:
        """Keep how many are mailed in how many minutes."""
        self.most, self.minutes = most, minutes
        super().__init__(
            Message(
                "%(most)s codes were mailed in the last %(minutes)s minutes. Use the newest, or"
                " wait",
                {"most": most, "minutes": minutes},
            )
        )


class CancellationAlreadyRunning(CancellationError):
    """The event has a run that is not over; `run_uid` is where to look."""

    def __init__(self, run_uid: str) -> None:
        """Keep the run that is there."""
        self.run_uid = run_uid
        super().__init__(
            Message(
                "This event is being cancelled already. Open cancellation '%(uid)s'",
                {"uid": run_uid},
            )
        )


class RunNotInState(CancellationError):
    """The run's state does not allow what was asked."""

    def __init__(self, run_uid: str, state: str, wanted: str) -> None:
        """Keep the state and what was asked."""
        self.run_uid, self.state, self.wanted = run_uid, state, wanted
        super().__init__(
            Message(
                "Cancellation '%(uid)s' is '%(state)s', so it cannot be %(wanted)s. Reload its"
                " page",
                {
                    "uid": run_uid,
                    "state": in_sense("raw", state),
                    "wanted": in_sense("verb", wanted),
                },
            )
        )


class LaneLost(CancellationError):
    """Another worker has taken this lane over; whatever this one holds no longer counts."""

    def __init__(self, run_id: int, lane: int, fence: int) -> None:
        """Keep the lane and the fence that is no longer the highest."""
        self.run_id, self.lane, self.fence = run_id, lane, fence
        super().__init__(
            f"Lane {lane} of cancel run {run_id} was taken over: fence {fence} is refused"
        )
