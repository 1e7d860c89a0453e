"""For operators: the payment provider's messages that matched nothing, and what to do with them."""

from __future__ import annotations

import json
from collections.abc import Callable

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from meet2be.language import N_, _, said
from meet2be.payments import messages as verbs
from meet2be.payments.inbox import CONFLICT, GAVE_UP, IGNORED, OLD_NEWS, UNMATCHED
from meet2be.payments.messages import MessageError, MessageFilter, State, UnknownMessage
from meet2be.payments.models import ProviderEvent
from meet2be.web.actors import actor
from meet2be.web.paging import listing as listed
from meet2be.web.paging import row_number, wanted_slice
from meet2be.web.security import OPERATE, requires, services

blueprint = Blueprint("operator_messages", __name__, url_prefix="/operator/messages")
REASON = "an operator looks after the provider's messages"
STATE_WORDS = {
    "open": N_("For a person"),
    "seen": N_("Seen"),
    "waiting": N_("Not yet looked at"),
    "all": N_("All"),
}
RESULT_WORDS = {
    UNMATCHED: (N_("matched nothing"), "warn"),
    CONFLICT: (N_("contradicts what we know"), "bad"),
    GAVE_UP: (N_("could not be processed"), "bad"),
    IGNORED: (N_("needs nothing"), ""),
    OLD_NEWS: (N_("known already"), ""),
}


@blueprint.get("")
@requires(OPERATE)
def index() -> ResponseReturnValue:
    """List messages, those first that nobody could place."""
    given = request.args.get("state", "open")
    state: State = next((each for each in verbs.STATES if each == given), "open")
    wanted = MessageFilter(state, request.args.get("q", "").strip()[:128])
    with services().database.system_session(REASON, read_only=True) as session:
        page = verbs.messages_page(session, wanted, wanted_slice(row_number))
        return render_template(
            "operator/messages.html",
            page=listed(page, lambda message: str(message.id)),
            wanted=wanted,
            state_words=STATE_WORDS,
            words=RESULT_WORDS,
        )


@blueprint.get("/<number>")
@requires(OPERATE)
def show(number: str) -> ResponseReturnValue:
    """Show one message with all that the provider wrote."""
    return _page(number)


@blueprint.post("/<number>/again")
@requires(OPERATE)
def again(number: str) -> ResponseReturnValue:
    """Have it acted upon once more."""

    def act(session: Session, row: int) -> str:
        verbs.look_again(session, row, actor())
        return _("The message is looked at once more. Reload the page in a moment.")

    return _do(number, act)


@blueprint.post("/<number>/seen")
@requires(OPERATE)
def seen(number: str) -> ResponseReturnValue:
    """Take it off the list, with a note."""

    def act(session: Session, row: int) -> str:
        verbs.mark_seen(session, row, request.form.get("note", ""), actor())
        return _("The message is marked as seen.")

    return _do(number, act)


def _do(number: str, act: Callable[[Session, int], str]) -> ResponseReturnValue:
    found = row_number(number)
    if found is None:
        abort(404)
    with services().database.system_session(REASON) as session:
        try:
            words = act(session, found[0])
            session.commit()
        except UnknownMessage:
            abort(404)
        except MessageError as error:
            session.rollback()
            return _page(number, said(error)), 422
    flash(words, "success")
    return redirect(url_for("operator_messages.show", number=number), 303)


def _page(number: str, problem: str = "") -> str:
    found = row_number(number)
    with services().database.system_session(REASON, read_only=True) as session:
        message = None if found is None else session.get(ProviderEvent, found[0])
        if message is None:
            abort(404)
        return render_template(
            "operator/message.html",
            message=message,
            payload=json.dumps(message.payload, indent=2, ensure_ascii=False, sort_keys=True),
            is_for_people=message.result in verbs.FOR_PEOPLE,
            words=RESULT_WORDS,
            problem=problem,
            given=request.form,
        )
