"""Files of tickets that no mail has come to carry: they are deleted.

A step names a file before it is made, and forgets it in the commit of the mail that carries it. So
whatever happens in between, a kill, a ticket that is cancelled, an order that is over, its name
stands on the step until the file is gone.

Files are deleted outside of any transaction, so those that go are named apart before: should the
step be taken up again meanwhile it prints to another name, see `key_of`.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from datetime import timedelta
from itertools import count
from typing import Any, Final

from sqlalchemy import Row, select, text, update
from sqlalchemy.orm import Session

from meet2be.checkout.desk import CheckoutDesk
from meet2be.checkout.letters import RELATED_TYPE
from meet2be.checkout.tickets import Sheets, TicketPrinter
from meet2be.integrations.storage import StoreError, StoreFailed
from meet2be.mailings.attachments import in_store
from meet2be.mailings.models import Mail
from meet2be.orders.models import NAMES_FILES, Order, OrderStep

PRINTED: Final = "printed"
"""Where the result of a step names the files that were, or are about to be, made for it."""
GOING: Final = "going"
"""Where it names those that are about to be deleted, or are: nobody makes or mails them again."""
GONE: Final = "gone"
"""Where it says how many were deleted. Their names come never again: of two who tidy at the same
time the later one deletes what the first has deleted already, and nothing new."""
AT_REST: Final = timedelta(hours=1)
"""Longer than a job that prints can take, whose step was ended by others meanwhile."""
A_TIME = 500
_ENDED: Final = ("done", "failed", "dropped", "compensated")
_log = logging.getLogger("meet2be.checkout")


def tidy_tickets_tx(desk: CheckoutDesk) -> int:
    """Delete files that are no mail's, of steps that came to their end; return of how many steps.

    Every step that names files is looked at, however old: an index holds these alone. A step that
    cannot be tidied is looked at again; of a store that does not answer nothing more is asked.
    """
    if desk.printer is None:
        return 0
    tidied = 0
    for tenant_id, step_id in _steps_with_files(desk):
        try:
            tidied += _is_tidied(desk, desk.printer, tenant_id, step_id)
        except StoreError as error:
            _log.warning("the tickets of step %d could not be deleted: %s", step_id, error)
            if isinstance(error, StoreFailed) and error.is_temporary:
                break
    return tidied


def key_of(sheets: Sheets, tenant_uid: str, order_uid: str, result: dict[str, Any]) -> str:
    """Return where these tickets are to lie: where nothing was deleted, or is about to be."""
    going = result.get(GOING, ())
    keys = (sheets.key(tenant_uid, order_uid, turn) for turn in count(result.get(GONE, 0)))
    return next(key for key in keys if key not in going)


def without(result: dict[str, Any], keys: Collection[str]) -> dict[str, Any]:
    """Return the result of a step that names these files no more."""
    lists = {name: result[name] for name in (PRINTED, GOING) if name in result}
    left = {name: [key for key in listed if key not in keys] for name, listed in lists.items()}
    rest = {name: value for name, value in result.items() if name not in lists}
    return {**rest, **{name: listed for name, listed in left.items() if listed}}


def files_of(result: dict[str, Any]) -> dict[str, Any]:
    """Return what of a step's result names files: it outlives whatever else becomes of the step."""
    return {name: result[name] for name in (PRINTED, GOING, GONE) if name in result}


def _steps_with_files(desk: CheckoutDesk) -> Iterator[Row[int, int]]:
    """Yield (tenant, step), some read at a time."""
    after, at_rest = 0, desk.clock.now() - AT_REST
    while True:
        with desk.db.system_session("find tickets that no mail carries", read_only=True) as session:
            # In the words of the index that holds only these.
            named = text(NAMES_FILES[session.get_bind().dialect.name])
            found = session.execute(
                select(OrderStep.tenant_id, OrderStep.id)
                .where(named, OrderStep.id > after, OrderStep.updated_at <= at_rest)
                .order_by(OrderStep.id)
                .limit(A_TIME)
            ).all()
        yield from found
        if len(found) < A_TIME:
            return
        after = found[-1].id


def _is_tidied(desk: CheckoutDesk, printer: TicketPrinter, tenant_id: int, step_id: int) -> bool:
    """Tell whether a step's files were looked through to the end."""
    going = _claimed(desk, tenant_id, step_id)
    if going is None:
        return False
    if not going:
        return True
    for key in going:
        printer.delete(key)
    with desk.db.tenant_session(tenant_id) as session:
        step = _locked(session, step_id)
        gone = step.result.get(GONE, 0) + len(going.intersection(step.result.get(GOING, ())))
        _write(session, step, {**without(step.result, going), GONE: gone})
        session.commit()
    return True


def _claimed(desk: CheckoutDesk, tenant_id: int, step_id: int) -> set[str] | None:
    """Return the files that are to be deleted, named apart from now on.

    Those of mails are named no more. None: the step has not come to its end, and nothing is left
    from before that; or something has happened to it since it was found.
    """
    with desk.db.tenant_session(tenant_id) as session:
        step = _locked(session, step_id)
        if step.updated_at > desk.clock.now() - AT_REST:
            return None
        going = set(step.result.get(GOING, ()))
        if step.state in _ENDED:
            printed = set(step.result.get(PRINTED, ()))
            going |= printed - _carried(session, step)
            rest = without(step.result, printed | going)
            _write(session, step, {**rest, GOING: sorted(going)} if going else rest)
            session.commit()
        elif not going:
            return None  # a person has it tried again
    return going


def _locked(session: Session, step_id: int) -> OrderStep:
    """Return the step, its order locked as by everybody who writes to its steps."""
    of_step = select(OrderStep.order_id).where(OrderStep.id == step_id).scalar_subquery()
    session.scalars(select(Order).where(Order.id == of_step).with_for_update(key_share=True)).one()
    return session.get_one(OrderStep, step_id, with_for_update=True)


def _write(session: Session, step: OrderStep, result: dict[str, Any]) -> None:
    # Its time stays: nothing has happened to the order, and what cannot be deleted comes next.
    mine = update(OrderStep).where(OrderStep.id == step.id)
    session.execute(
        mine.values(result=result, updated_at=OrderStep.updated_at),
        execution_options={"synchronize_session": False},
    )


def _carried(session: Session, step: OrderStep) -> set[str]:
    mails = select(Mail.attachments).where(
        Mail.related_type == RELATED_TYPE, Mail.related_id == step.order_id
    )
    return {key for attached in session.scalars(mails) for key in in_store(attached or ())}
