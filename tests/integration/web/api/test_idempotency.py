"""A key does a thing once: repeated, changed, at the same time, after a crash, a day later."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from jobs.forget_api_answers import ForgetApiAnswers
from meet2be.api_tokens import remembering
from meet2be.api_tokens.errors import LockLost
from meet2be.api_tokens.models import ApiToken, RememberedAnswer
from meet2be.api_tokens.remembering import LEASE, Answer, Asked, Claim
from meet2be.cancellations.models import CancelRun
from onqueue.testing.clock import FakeClock
from support.api import Program, program
from support.stage import Stage


@pytest.fixture
def admin(any_stage: Stage) -> Program:
    """A program of an admin."""
    return program(any_stage.web, any_stage.conference.tenant)


@pytest.fixture
def path(any_stage: Stage) -> str:
    """Where previews are made: each one is a row, so that it can be seen how often."""
    return f"/events/{any_stage.conference.event.uid}/cancellations"


def previews(stage: Stage) -> int:
    with stage.web.services.database.tenant_session(stage.conference.tenant.id) as session:
        return session.scalar(select(func.count()).select_from(CancelRun)) or 0


def test_a_repeat_gets_the_first_answer_and_nothing_is_done_twice(
    any_stage: Stage, admin: Program, path: str
) -> None:
    before = previews(any_stage)
    first = admin.post(path, {"message": "sorry"}, key="k1")
    assert first.status_code == 201, first.text
    again = admin.post(path, {"message": "sorry"}, key="k1")
    assert (again.status_code, again.data) == (201, first.data)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert previews(any_stage) == before + 1
    other = program(any_stage.web, any_stage.conference.tenant)
    assert other.post(path, {"message": "sorry"}, key="k1").data != first.data


def test_a_key_is_for_one_request(any_stage: Stage, admin: Program, path: str) -> None:
    assert admin.post(path, {}, key="k1").status_code == 201
    for changed in (admin.post(path, {"message": "other"}, key="k1"),
                    admin.post("/notifications/read", {}, key="k1")):  # fmt: skip
        assert (changed.status_code, changed.get_json()["code"]) == (422, "key_reused")
    for bad in (" ", "x" * 201, "ä"):
        told = admin.post(path, {}, key=bad)
        assert (told.status_code, told.get_json()["code"]) == (422, "invalid")


def test_what_failed_may_be_sent_again_with_its_key(admin: Program, path: str) -> None:
    wrong = admin.post(path, {"fee_kind": "much"}, key="k1")
    assert wrong.status_code == 422
    running = admin.post("/cancellations/" + "0" * 26 + "/pause", {}, key="k2")
    assert running.status_code == 404
    assert admin.post(path, {}, key="k2").status_code == 201


def test_a_day_later_the_key_is_free(
    any_stage: Stage, admin: Program, path: str, clock: FakeClock
) -> None:
    first = admin.post(path, {}, key="k1")
    clock.advance(timedelta(hours=24).total_seconds())
    assert admin.post(path, {}, key="k1").data != first.data
    clock.advance(timedelta(hours=24).total_seconds())
    with any_stage.web.services.database.system_session("tests") as session:
        assert session.scalar(select(func.count()).select_from(RememberedAnswer)) == 1
    ForgetApiAnswers().handle(any_stage.web.services.database, clock)
    with any_stage.web.services.database.system_session("tests") as session:
        assert session.scalar(select(func.count()).select_from(RememberedAnswer)) == 0


class Killed(BaseException):
    """What a kill looks like from inside: nothing is caught, nothing is tidied up."""


@pytest.mark.parametrize("where", ["before the effect", "before the commit"])
def test_after_a_crash_the_effect_is_there_once(
    any_stage: Stage,
    admin: Program,
    path: str,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    before, write = previews(any_stage), remembering.answer

    def dying(*arguments: Any) -> None:
        if where == "before the commit":
            write(*arguments)
        raise Killed

    monkeypatch.setattr(remembering, "answer", dying)
    with pytest.raises(Killed):
        admin.post(path, {}, key="k1")
    monkeypatch.setattr(remembering, "answer", write)
    busy = admin.post(path, {}, key="k1")
    assert (busy.status_code, busy.get_json()["code"]) == (409, "key_in_use")
    assert int(busy.headers["Retry-After"]) >= 1
    clock.advance(LEASE.total_seconds())
    assert admin.post(path, {}, key="k1").status_code == 201
    assert previews(any_stage) == before + 1


def test_who_was_overtaken_changes_nothing(
    any_stage: Stage, admin: Program, clock: FakeClock
) -> None:
    database, tenant = any_stage.web.services.database, any_stage.conference.tenant.id
    with database.system_session("tests") as found:
        token = found.scalars(select(ApiToken.id).where(ApiToken.uid == admin.uid)).one()
    asked = Asked(token, "k1", "POST", "/x", "0" * 64)
    with database.tenant_session(tenant) as session:
        slow = remembering.claim(session, asked, clock.now())
    clock.advance(LEASE.total_seconds())
    with database.tenant_session(tenant) as session:
        fast = remembering.claim(session, asked, clock.now())
    assert isinstance(slow, Claim) and isinstance(fast, Claim) and slow != fast
    with database.tenant_session(tenant) as session, pytest.raises(LockLost):
        remembering.answer(session, slow, 200, "slow")
    with database.tenant_session(tenant) as session:
        remembering.release(session, slow)
        remembering.answer(session, fast, 200, "fast")
        session.commit()
    with database.tenant_session(tenant) as session:
        kept = remembering.claim(session, asked, clock.now())
    assert isinstance(kept, Answer) and kept.response == "fast"
