"""The circuit breaker of a provider's account: stop asking when asking makes no sense.

Its state is a row, shared by all workers. Ten failures in a row, or twenty among the last hundred
calls, open it; after a pause one worker sends one probe, which closes it or opens it for longer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Connection, Table, and_, bindparam, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from meet2be.payments.models import ProviderCircuit

IN_ROW = 10
WINDOW = 100
IN_WINDOW = 20
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=15)
PROBE_TIME = timedelta(seconds=180)

SUCCESS, FAILURE = "s", "f"
_CIRCUITS = cast("Table", ProviderCircuit.__table__)


@dataclass(frozen=True, slots=True)
class Circuit:
    """How an account's circuit stands."""

    state: str
    reason: str | None
    retry_at: datetime | None


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What calls to one account came to: letters in order, and what the last failure said."""

    letters: str
    reason: str = ""
    trouble: bool = False


def split_name(name: str) -> tuple[str, str]:
    """Return provider and account of a circuit's name, 'stripe:acct_1' or 'stripe:'."""
    provider, _, account = name.partition(":")
    return provider, account


def worst(connection: Connection, names: Sequence[str]) -> tuple[str, Circuit] | None:
    """Return the first circuit among `names` that is not closed, with its name."""
    if not names:
        return None
    keys = [split_name(name) for name in names]
    found = connection.execute(
        select(_CIRCUITS).where(
            tuple_(_CIRCUITS.c.provider, _CIRCUITS.c.account).in_(keys),
            _CIRCUITS.c.state != "closed",
        )
    ).first()
    if found is None:
        return None
    name = f"{found.provider}:{found.account}"
    return name, Circuit(found.state, found.reason, found.retry_at)


def take_probe(connection: Connection, name: str, token: str, now: datetime) -> bool:
    """Become the one worker that may send a single call now; False: another is, or it is early."""
    provider, account = split_name(name)
    due = and_(_CIRCUITS.c.state == "open", _CIRCUITS.c.retry_at <= now)
    lapsed = and_(_CIRCUITS.c.state == "half_open", _CIRCUITS.c.probe_until <= now)
    taken = connection.execute(
        update(_CIRCUITS)
        .where(_CIRCUITS.c.provider == provider, _CIRCUITS.c.account == account, or_(due, lapsed))
        .values(state="half_open", probe_token=token, probe_until=now + PROBE_TIME)
    )
    return taken.rowcount == 1


def give_back_probe(
    connection: Connection, names: Sequence[str], token: str, now: datetime
) -> None:
    """Let another worker probe at once: this one has nothing to send."""
    for name in names:
        provider, account = split_name(name)
        connection.execute(
            update(_CIRCUITS)
            .where(
                _CIRCUITS.c.provider == provider,
                _CIRCUITS.c.account == account,
                _CIRCUITS.c.state == "half_open",
                _CIRCUITS.c.probe_token == token,
            )
            .values(state="open", retry_at=now, probe_token=None, probe_until=None)
        )


def probe_now(connection: Connection, names: Sequence[str], now: datetime) -> None:
    """Let the next worker probe at once: somebody says the provider is back."""
    for name in names:
        provider, account = split_name(name)
        connection.execute(
            update(_CIRCUITS)
            .where(
                _CIRCUITS.c.provider == provider,
                _CIRCUITS.c.account == account,
                _CIRCUITS.c.state == "open",
            )
            .values(retry_at=now)
        )


_OF = (
    _CIRCUITS.c.provider == bindparam("of_provider"),
    _CIRCUITS.c.account == bindparam("of_account"),
)
_LOCK = select(_CIRCUITS).where(*_OF).with_for_update()


def record(connection: Connection, name: str, outcomes: Outcomes, now: datetime) -> Circuit | None:
    """Add outcomes of calls; returns the circuit if it has just opened, None otherwise.

    Call it last in a transaction: the row is everybody's.
    """
    if not outcomes.letters:
        return None
    provider, account = split_name(name)
    key = {"of_provider": provider, "of_account": account}
    row = connection.execute(_LOCK, key).one_or_none()
    if row is None:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        connection.execute(
            dialect.insert(_CIRCUITS)
            .values(provider=provider, account=account)
            .on_conflict_do_nothing()
        )
        row = connection.execute(_LOCK, key).one()
    values = _next(row, outcomes, now)
    if values is None:
        return None
    connection.execute(update(_CIRCUITS).where(*_OF).values(**values), key)
    if values.get("state") != "open":
        return None
    return Circuit("open", values["reason"], values["retry_at"])


def _next(row: Any, outcomes: Outcomes, now: datetime) -> Mapping[str, Any] | None:
    """Return the columns that change, None for calls that were still under way when it opened."""
    if row.state == "open":
        return None
    letters = outcomes.letters
    recent = (row.recent + letters)[-WINDOW:]
    in_row = len(letters) - len(letters.rstrip(FAILURE))
    if in_row == len(letters):
        in_row += row.failures_in_row
    if row.state == "half_open":
        if letters[0] == SUCCESS and not outcomes.trouble:
            return {
                "state": "closed", "recent": letters, "failures_in_row": in_row, "reason": None,
                "opened_at": None, "retry_at": None, "probe_token": None, "probe_until": None,
            }  # fmt: skip
        return _opened(row, outcomes, recent, in_row, now)
    if outcomes.trouble or in_row >= IN_ROW or recent.count(FAILURE) >= IN_WINDOW:
        return _opened(row, outcomes, recent, in_row, now)
    return {"recent": recent, "failures_in_row": in_row}


def _opened(
    row: Any, outcomes: Outcomes, recent: str, in_row: int, now: datetime
) -> dict[str, Any]:
    pause = FIRST_PAUSE
    if row.state == "half_open" and row.opened_at is not None and row.retry_at is not None:
        pause = min(max(2 * (row.retry_at - row.opened_at), FIRST_PAUSE), LONGEST_PAUSE)
    return {
        "state": "open",
        "reason": outcomes.reason[:500] or "the provider does not answer",
        "opened_at": now,
        "retry_at": now + pause,
        "recent": "" if row.state == "half_open" else recent,
        "failures_in_row": in_row,
        "probe_token": None,
        "probe_until": None,
        "version": row.version + 1,
    }
