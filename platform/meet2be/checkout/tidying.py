"""Files of tickets that no mail has come to carry: they are deleted.

A step names a file before it is made, and forgets it in the commit of the mail that carries it. So
whatever happens in between, a kill, a ticket that is cancelled, an order that is over, its name
stands on the step until the file is gone.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.checkout.desk import CheckoutDesk
from meet2be.checkout.letters import RELATED_TYPE
from meet2be.checkout.tickets import TicketPrinter
from meet2be.integrations.storage import StoreError
from meet2be.mailings.attachments import in_store
from meet2be.mailings.models import Mail
from meet2be.orders.models import OrderStep

PRINTED: Final = "printed"
"""Where the result of a step names the files that were, or are about to be, made for it."""
SINCE: Final = timedelta(days=3)
"""Steps that came to their end longer ago are not looked at: they were, many times."""
AT_REST: Final = timedelta(hours=1)
"""Longer than a job that prints can take, whose step was ended by others meanwhile."""
_ENDED: Final = ("done", "failed", "dropped", "compensated")
_log = logging.getLogger("meet2be.checkout")


def tidy_tickets_tx(desk: CheckoutDesk) -> int:
    """Delete files that are no mail's, of steps that came to their end; return of how many steps.

    Files are deleted outside of any transaction. A step that cannot be tidied is looked at again.
    """
    if desk.printer is None:
        return 0
    now, tidied = desk.clock.now(), 0
    with desk.db.system_session("find tickets that no mail carries", read_only=True) as session:
        found = session.execute(
            select(OrderStep.tenant_id, OrderStep.id).where(
                OrderStep.state.in_(_ENDED),
                OrderStep.updated_at.between(now - SINCE, now - AT_REST),
                OrderStep.step == "send_confirmation",
                OrderStep.result[PRINTED].as_string().is_not(None),
            )
        ).all()
    for tenant_id, step_id in found:
        try:
            tidied += _is_tidied(desk, desk.printer, tenant_id, step_id)
        except StoreError as error:
            _log.warning("the tickets of step %d could not be deleted: %s", step_id, error)
    return tidied


def _is_tidied(desk: CheckoutDesk, printer: TicketPrinter, tenant_id: int, step_id: int) -> bool:
    with desk.db.tenant_session(tenant_id, read_only=True) as session:
        step = session.get_one(OrderStep, step_id)
        if step.state not in _ENDED:
            return False  # a person has it tried again
        keys = set(step.result.get(PRINTED, ()))
        unused = keys - _carried(session, step)
    for key in sorted(unused):
        printer.delete(key)
    with desk.db.tenant_session(tenant_id) as session:
        step = session.get_one(OrderStep, step_id, with_for_update=True)
        step.result = without(step.result, keys)
        session.commit()
    return True


def _carried(session: Session, step: OrderStep) -> set[str]:
    mails = select(Mail.attachments).where(
        Mail.related_type == RELATED_TYPE, Mail.related_id == step.order_id
    )
    return {key for attached in session.scalars(mails) for key in in_store(attached or ())}


def without(result: dict[str, Any], keys: set[str]) -> dict[str, Any]:
    """Return the result of a step that names these files no more."""
    left = [key for key in result.get(PRINTED, ()) if key not in keys]
    rest = {name: value for name, value in result.items() if name != PRINTED}
    return {**rest, PRINTED: left} if left else rest
