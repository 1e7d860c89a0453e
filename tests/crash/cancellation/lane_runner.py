"""A process that works lanes in children and has them killed or stopped at a given point.

Reads one JSON command a line: whose run (`meeting`), lane, point, turn. Forks a child for it and
answers with one JSON line when the child has ended: its return code, or how the lane stands. A fork
of a process that has imported everything costs milliseconds, and one process serves all tests.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from meet2be.cancellations import closing, preparing
from meet2be.cancellations.context import Desk
from meet2be.cancellations.errors import LaneLost
from meet2be.cancellations.runner import work_lane
from meet2be.db import Database, prepared
from meet2be.db.tables import load_models
from meet2be.integrations.payments_stripe import StripeProvider
from meet2be.mailings.services import Sender
from meet2be.payments.provider import RefundAnswer, RefundOrder
from onqueue.clock import SystemClock

DONE, LOST = 0, 3
# A call is killed this long after it was begun; the provider takes longer.
INTO_CALL_SECONDS = 0.05
# Killed when such a statement has been carried out ("in_…") or committed ("after_…").
STATEMENTS = {
    "chunk": "INSERT INTO cancel_items",
    "comparison": "SELECT cancel_items.payment_id, cancel_items.planned_minor",
    "note": "preparation=",
    "removal": "DELETE FROM cancel_items",
    "orders": "(SELECT orders.id",
}


class Doom:
    """Ends (or stops) the process when a point is passed for the given time."""

    def __init__(self, point: str, turn: int, number: int) -> None:
        self.point, self.left, self.number = point, turn, number
        self._lock = threading.Lock()

    def at(self, point: str) -> None:
        if point != self.point:
            return
        with self._lock:
            self.left -= 1
            struck = self.left == 0
        if struck:
            os.kill(os.getpid(), self.number)

    def random_step(self) -> None:
        """Any statement, commit or call may be the one: the turn counts them all."""
        self.at("anywhere")


class DoomedProvider(StripeProvider):
    """Stripe, with points before, in and after a refund's call."""

    doom: Doom

    def refund(self, order: RefundOrder) -> RefundAnswer:
        self.doom.random_step()
        self.doom.at("after_claim")
        if self.doom.point == "during_call":
            threading.Timer(INTO_CALL_SECONDS, self.doom.at, ("during_call",)).start()
        answer = super().refund(order)
        self.doom.at("after_success")
        self.doom.random_step()
        return answer


def listen(database: Database, doom: Doom) -> None:
    """Put the points inside transactions where their statements are."""
    sent: set[str] = set()

    def before(_link: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        doom.random_step()
        if statement.startswith("INSERT INTO refund_attempts"):
            doom.at("after_reserve")
        if statement.startswith("UPDATE refunds SET status"):
            doom.at("in_settle")
            sent.add("settle")
        if statement.startswith("UPDATE cancel_runs") and "finished_at" in statement:
            doom.at("before_done")

    def after(_link: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        for name, words in STATEMENTS.items():
            if words in statement:
                doom.at(f"in_{name}")
                sent.add(name)

    def committed(_session: Session) -> None:
        doom.random_step()
        for name in sent:
            doom.at(f"after_{name}")
        sent.clear()

    event.listen(database.engine, "before_cursor_execute", before)
    event.listen(database.engine, "after_cursor_execute", after)
    listen_to_prepared(before)
    event.listen(Session, "after_commit", committed)


def listen_to_prepared(before: Callable[..., None]) -> None:
    """Have prepared statements told too; they go past SQLAlchemy's events."""
    execute = prepared._execute

    def execute_prepared(connection: Any, text: str, parameters: Any, *, is_many: bool) -> int:
        before(connection, None, text)
        return execute(connection, text, parameters, is_many=is_many)

    prepared._execute = execute_prepared


class Control:
    """A worker that believes it is trusted: what a zombie believes."""

    job_id = "a-job"
    clock = SystemClock()

    def should_stop(self) -> bool:
        return False

    def ensure_lease(self) -> None:
        return


def child(command: dict[str, Any]) -> int:
    """Work the lane to its end; returns the exit code."""
    url, provider_url, tenant, run = command["meeting"]
    clock = SystemClock()
    number = signal.SIGSTOP if command.get("stop") else signal.SIGKILL
    doom = Doom(command["point"], int(command["turn"]), number)
    if command.get("chunk"):
        preparing.CHUNK = closing.ORDER_BATCH = int(command["chunk"])
    database = Database(url, clock)
    listen(database, doom)
    provider = DoomedProvider("sk_test_simulated", webhook_secret="whsec", base_url=provider_url)
    provider.doom = doom
    desk = Desk(database, provider, clock, Sender("Meet2Be", "events@meet2be.example"), chunk=4)
    try:
        while True:
            result = work_lane(desk, int(tenant), run, int(command["lane"]), Control())
            doom.at("after_slice")
            if result.again_after is None:
                return DONE
            clock.sleep(min(result.again_after, 0.5))
    except LaneLost:
        return LOST


def main() -> None:
    load_models()
    running: dict[int, int] = {}
    for line in sys.stdin:
        command = json.loads(line)
        if command.get("wait"):
            _, status = os.waitpid(running.pop(command["wait"]), 0)
            answer: dict[str, Any] = {"code": os.waitstatus_to_exitcode(status)}
        else:
            pid = os.fork()
            if pid == 0:
                random.seed()
                os._exit(child(command))
            options = os.WUNTRACED if command.get("stop") else 0
            _, status = os.waitpid(pid, options)
            answer = {"pid": pid, "stopped": os.WIFSTOPPED(status)}
            if os.WIFSTOPPED(status):
                running[pid] = pid
            else:
                answer["code"] = os.waitstatus_to_exitcode(status)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
