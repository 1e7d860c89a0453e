"""What becomes of a run whose worker gave up for good, and of what that had sent."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import svcs
from sqlalchemy import event as happening
from sqlalchemy.orm import Session

from jobs.cancel_conference import CancelConference, FollowLane
from jobs.triggers import TRIGGERS
from meet2be import facts
from meet2be.cancellations import services
from meet2be.cancellations.context import Desk
from meet2be.cancellations.facts import LanesReady
from meet2be.db.sessions import GuardedSession
from onqueue.errors import JobPoisoned
from support.cancelling import Conference
from support.factories import Ticket


@pytest.fixture
def jobs() -> Iterator[list[CancelConference]]:
    """The jobs for lanes that commits cause, as the queueing would push them."""
    found: list[CancelConference] = []

    def take(session: Session) -> None:
        for fact in facts.take(session):
            if isinstance(fact, LanesReady):
                found.extend(TRIGGERS[LanesReady](fact))  # type: ignore[arg-type] # of that fact

    happening.listen(GuardedSession, "before_commit", take)
    yield found
    happening.remove(GuardedSession, "before_commit", take)


def test_what_a_worker_that_gave_up_had_sent_is_followed_while_the_run_is_paused(
    meeting: Conference, jobs: list[CancelConference]
) -> None:
    for _ in range(2):
        meeting.sell(Ticket(price=10_000))
    leave_one_sent(meeting)
    give_up(meeting, jobs.pop(0))
    run = meeting.run()
    assert (run.state, run.pause_code) == ("paused", "worker")
    [instead] = jobs
    assert (type(instead), instead.run, instead.lane) == (FollowLane, meeting.run_uid, 0)
    assert meeting.finish().state == "paused"
    assert sorted(meeting.states()) == ["done", "todo"]


def test_one_that_came_in_its_place_and_gives_up_is_not_replaced(
    meeting: Conference, jobs: list[CancelConference]
) -> None:
    meeting.sell(Ticket(price=10_000))
    leave_one_sent(meeting)
    give_up(meeting, jobs.pop(0))
    give_up(meeting, jobs.pop(0))
    assert jobs == []
    meeting.act(services.resume, meeting.admin)
    assert [type(job) for job in jobs] == [CancelConference]
    assert meeting.finish().state == "done"


def test_one_that_works_on_after_a_person_has_resumed_is_followed_like_any_other(
    meeting: Conference, jobs: list[CancelConference]
) -> None:
    meeting.sell(Ticket(price=10_000))
    leave_one_sent(meeting)
    give_up(meeting, jobs.pop(0))
    meeting.act(services.resume, meeting.admin)
    instead, _ = jobs.pop(0), jobs.pop(0)
    give_up(meeting, instead)
    assert [type(job) for job in jobs] == [FollowLane]
    assert meeting.run().state == "paused"


def test_an_aborted_run_is_closed_although_a_worker_gave_up(
    meeting: Conference, jobs: list[CancelConference]
) -> None:
    meeting.sell(Ticket(price=10_000))
    leave_one_sent(meeting)
    meeting.act(services.abort, meeting.admin)
    give_up(meeting, jobs.pop())
    assert isinstance(jobs.pop(), FollowLane)
    run = meeting.finish()
    assert (run.state, run.finished_at is not None) == ("aborted", True)
    assert meeting.states() == ["done"]


def leave_one_sent(meeting: Conference) -> None:
    """Have a refund made whose answer never came."""
    meeting.provider.control.rule("error_after", times=1, status=504)
    meeting.desk = replace(meeting.desk, chunk=1)
    meeting.confirm(lanes=1)
    meeting.work(0, chunks=1)


def give_up(meeting: Conference, job: CancelConference) -> None:
    """End a job for good, as its third death does."""
    registry = svcs.Registry()
    registry.register_value(Desk, meeting.desk)
    told = job.with_fake_queue_interactions(context={"tenant": str(meeting.tenant.id)})
    told.context.container = svcs.Container(registry)
    job.failed(JobPoisoned(job.name, 3))
