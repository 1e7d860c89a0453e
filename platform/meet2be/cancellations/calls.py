"""The middle of a chunk: calls to the provider, outside any transaction, in a few threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from typing import assert_never

from meet2be.cancellations.claiming import Task
from meet2be.payments.errors import ProviderUnavailable
from meet2be.payments.ledger import (
    STORED_ERROR,
    STORED_ERROR_WAIT,
    look_after,
    matching,
    may_repeat,
)
from meet2be.payments.provider import (
    Accepted,
    AlreadyRefunded,
    Busy,
    PaymentProvider,
    RefundAnswer,
    Refused,
    Uncertain,
)
from meet2be.payments.verdicts import (
    Declined,
    Later,
    NotMade,
    RefundedElsewhere,
    Ruling,
    Told,
    Unknown,
    Verdict,
)
from onqueue.contracts import Clock

# Answers that come in this close together are booked in one commit: a little more than a usual call
# takes, so that a chunk's second round of calls is booked with its first. Whoever dies with answers
# in hand costs no more than as many look-ups.
LINGER_SECONDS = 0.25


class Caller:
    """Carries out tasks with one provider; `ensure_lease` is asked right before each call."""

    def __init__(
        self, provider: PaymentProvider, clock: Clock, ensure_lease: Callable[[], None]
    ) -> None:
        """Use this provider and clock."""
        self._provider, self._clock, self._ensure_lease = provider, clock, ensure_lease

    def carry_out(self, task: Task) -> Ruling:
        """Make the call and return what is known then; raises only what `ensure_lease` raises."""
        self._ensure_lease()
        verdict = self._resolve(task) if task.resolve else self._send(task)
        return Ruling(task.refund_id, task.attempt, verdict)

    def _send(self, task: Task) -> Verdict:
        return self._understood(task, self._provider.refund(task.order))

    def _resolve(self, task: Task) -> Verdict:
        """Look the refund up; repeat it under the same key only where that cannot pay twice."""
        order = task.order
        try:
            found = self._provider.refunds_of(
                order.payment_ref, order.account, test_mode=order.test_mode
            )
        except ProviderUnavailable as error:
            at = self._next_look(task)
            return Unknown("look_up_failed", error.why, at, error.http_status)
        ours = matching(task.refund_uid, order.amount_minor, task.sent_at, found, task.known_ids)
        if ours is not None:
            return Told(ours, found=True)
        if task.failure_code == STORED_ERROR:
            return NotMade("the provider keeps answering a stored error and has no such refund")
        if may_repeat(task.sent_at, self._clock.now(), self._provider.key_window):
            self._ensure_lease()
            return self._send(task)
        return NotMade("the key's time is over and the provider has no such refund")

    def _understood(self, task: Task, answer: RefundAnswer) -> Verdict:
        now = self._clock.now()
        match answer:
            case Accepted(refund):
                return Told(refund)
            case Refused(code, text, http_status, provider_id):
                trouble = http_status in {401, 403}
                return Declined(code, text, http_status, provider_id, trouble)
            case AlreadyRefunded(text):
                return self._reconciled(task, text)
            case Busy(code, retry_after):
                return Later(code, now + timedelta(seconds=retry_after))
            case Uncertain(code, text, http_status, replayed):
                at = now + STORED_ERROR_WAIT if replayed else self._next_look(task)
                return Unknown(code, text, at, http_status, replayed, not replayed)
            case _:
                assert_never(answer)

    def _reconciled(self, task: Task, text: str) -> Verdict:
        order = task.order
        try:
            found = self._provider.refunds_of(
                order.payment_ref, order.account, test_mode=order.test_mode
            )
        except ProviderUnavailable as error:
            at = self._next_look(task)
            return Unknown("look_up_failed", error.why, at, error.http_status)
        ours = matching(task.refund_uid, order.amount_minor, None, found)
        if ours is not None:
            return Told(ours, found=True)
        return RefundedElsewhere(text, tuple(found))

    def _next_look(self, task: Task) -> datetime | None:
        pause = look_after(task.attempt)
        return None if pause is None else self._clock.now() + pause


def in_groups(
    pool: ThreadPoolExecutor, caller: Caller, tasks: Sequence[Task]
) -> Iterator[list[Ruling]]:
    """Yield rulings as they come in, those of one moment together.

    What a call raises (a lost lease) is raised after everything that came back was yielded, and
    calls not begun by then are dropped.
    """
    pending: set[Future[Ruling]] = {pool.submit(caller.carry_out, task) for task in tasks}
    failure: BaseException | None = None
    try:
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            late, pending = wait(pending, timeout=LINGER_SECONDS) if pending else (set(), pending)
            rulings = []
            for future in done | late:
                error = future.exception()
                if error is None:
                    rulings.append(future.result())
                else:
                    failure = error
            if rulings:
                yield rulings
            if failure is not None:
                pending = _drop_unbegun(pending)
    finally:
        _drop_unbegun(pending)
    if failure is not None:
        raise failure


def _drop_unbegun(pending: set[Future[Ruling]]) -> set[Future[Ruling]]:
    return {future for future in pending if not future.cancel()}
