"""Each operation with another organisation's things: as if there were none, and no word of them.

Each text column of the other organisation's rows holds a word that nobody else has.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Enum, String, UniqueConstraint, update

from meet2be.db import Database
from meet2be.db.base import TENANT_MIXINS, Base
from meet2be.db.columns import UID_LENGTH
from meet2be.objects.base import UID_SCHEMA
from meet2be.web.api.operations import OPERATIONS, Operation
from onqueue.testing.clock import FakeClock
from simulators.processes import ProviderProcess
from support.api import Program, program
from support.api_things import api_things, things_of
from support.cancelling import Conference, conference
from support.stage import Stage, fill

CANARY = "Zq7Canary"
NOTHING = dict.fromkeys(("any",), "0" * UID_LENGTH)
PLAN = {"name": "x", "repeat": "daily", "time_of_day": "07:30"}
BODIES: dict[str, Any] = {
    "confirm_cancellation": {"event_name": "x", "preview_hash": "x"},
    "map_import": {"mapping": {"name": {"column": 0}}},
    "create_webhook_endpoint": {"url": "https://8.8.8.8/"},
    "change_webhook_endpoint": {"url": "https://8.8.8.8/"},
    "refund_order": {"attendees": ["0" * UID_LENGTH], "reason": "x"},
    "cancel_order": {"reason": "x"},
    "create_ticket_type": {"name": "x", "price_minor": 1, "quota": 1},
    "change_member_role": {"role": "viewer"},
    "decide_mail": {"decision": "sent", "reason": "x"},
    "create_export_schedule": PLAN,
    "change_export_schedule": PLAN,
    "place_order": {
        "name": "x",
        "email": "x@x.example",
        "tickets": [{"ticket_type": "0" * UID_LENGTH, "holders": [{"name": "x"}]}],
    },
}
# Words with a meaning of their own, keys that other rows point at, and what is sealed.
KEPT = {
    "uid", "status", "state", "kind", "locale", "timezone", "currency", "token_hash", "format",
    "storage_key", "dedupe_key", "delivery", "type", "mode", "source", "outcome", "severity",
    "provider", "idempotency_key", "unique_key", "secret_enc", "custom_headers", "request_hash",
    "key", "message_id", "ticket_code", "code", "slug", "number", "prefix", "email_norm", "to_norm",
    "refund_state", "cancel_state", "mail_state", "pause_code", "paused_from", "preview_hash",
    "step", "method", "provider_ref", "buyer_key", "client_key", "sha256", "role", "body_hash",
    "subject_type", "subject_uid", "recent", "provider_refund_id", "action", "object_id",
    "actor_kind", "actor_id", "object_type", "provider_account",
}  # fmt: skip


@pytest.fixture
def ours(stage: Stage) -> Stage:
    """Our conference, half cancelled."""
    stage.conference.confirm()
    stage.conference.work(0, chunks=1)
    return stage


@pytest.fixture
def theirs(
    ours: Stage, sqlite_database: Database, clock: FakeClock, provider: ProviderProcess
) -> Iterator[dict[str, str]]:
    """Another organisation's things, with canaries in every text."""
    with conference(sqlite_database, clock, provider, title="Borealis") as made:
        fill(made)
        made.confirm()
        made.work(0, chunks=1)
        found = things_of(ours.web.services, made)
        assert taint(made) > 40
        yield found


def can_hold(column: Any) -> bool:
    """Tell whether a column can be overwritten with the word: a text that nothing hangs on."""
    keys = {
        name
        for constraint in column.table.constraints
        if isinstance(constraint, UniqueConstraint)
        for name in constraint.columns.keys()  # noqa: SIM118 - a collection of columns, no dict
    } | {name for index in column.table.indexes if index.unique for name in index.columns.keys()}  # noqa: SIM118
    return (
        isinstance(column.type, String)
        and not isinstance(column.type, Enum)
        and (column.type.length or 100) >= len(CANARY)
        and not column.foreign_keys
        and column.key not in keys
        and column.key not in KEPT
    )


def taint(made: Conference) -> int:
    """Write the canary into each text column of the tenant's rows; return into how many."""
    tainted = 0
    with made.database.tenant_session(made.tenant.id) as session:
        for mapper in Base.registry.mappers:
            model, table = mapper.class_, str(mapper.local_table)
            if not issubclass(model, TENANT_MIXINS) or table == "audit_log":
                continue
            names = [column.key for column in mapper.columns if can_hold(column)]
            if names and table != "ticket_types":
                session.execute(
                    update(model)
                    .values(dict.fromkeys(names, CANARY))
                    .execution_options(synchronize_session=False)
                )
                tainted += len(names)
        session.commit()
    return tainted


def ask(admin: Program, operation: Operation, things: dict[str, str]) -> Any:
    """Return the answer to an operation with these things."""
    path = operation.rule
    for name in operation.path_names:
        path = path.replace(f"<{name}>", things.get(name, "0" * UID_LENGTH))
    options: dict[str, Any] = {}
    if operation.takes_file:
        options = {
            "data": b"Name;Ticket\nA;B\n",
            "content_type": "text/csv",
            "query_string": {"event": things.get("event_uid", "0" * UID_LENGTH)},
        }
    elif operation.body is not None:
        options = {"json": BODIES.get(operation.name, {})}
    return admin.ask(operation.method, path, **options)


def test_another_organisation_s_things_are_like_things_that_do_not_exist(
    ours: Stage, theirs: dict[str, str]
) -> None:
    admin, looked_at = program(ours.web, ours.conference.tenant, "owner"), 0
    for operation in OPERATIONS:
        if not operation.path_names and not operation.takes_file:
            continue
        answers = [ask(admin, operation, things) for things in (theirs, NOTHING)]
        told = [{**each.get_json(), "request_id": ""} for each in answers]
        for each, things in zip(told, (theirs, NOTHING), strict=True):
            for uid in (*things.values(), "0" * UID_LENGTH):
                each["detail"] = each["detail"].replace(uid, "")
        assert answers[0].status_code == answers[1].status_code == 404, operation.name
        assert told[0] == told[1], operation.name
        looked_at += 1
    assert looked_at >= 40
    assert UID_SCHEMA["maxLength"] == UID_LENGTH


def test_no_answer_of_ours_holds_a_word_of_theirs(ours: Stage, theirs: dict[str, str]) -> None:
    admin, mine = program(ours.web, ours.conference.tenant, "owner"), api_things(ours)
    for operation in OPERATIONS:
        answers = [ask(admin, operation, theirs)]
        if operation.is_safe:
            answers.append(ask(admin, operation, mine))
        for answer in answers:
            told = answer.get_data(as_text=True) + str(answer.headers)
            assert CANARY not in told, operation.name
            assert answer.status_code < 500, operation.name
    foreign = [uid for name, uid in theirs.items() if name != "run_uid"]
    for path in ("/webhook-deliveries?endpoint=", "/exports?event="):
        for uid in foreign:
            answer = admin.ask("GET", path + uid)
            assert answer.status_code == 404 or answer.get_json()["data"] == [], path


def test_their_own_token_sees_the_canaries(ours: Stage, theirs: dict[str, str]) -> None:
    """The words above are there to be found: without this the tests could not fail."""
    from meet2be.events.models import Event
    from meet2be.tenancy.models import Tenant

    with ours.web.services.database.system_session("tests: find the other") as session:
        event = session.query(Event).filter(Event.uid == theirs["event_uid"]).one()
        tenant = session.get_one(Tenant, event.tenant_id)
    other = program(ours.web, tenant, "owner")
    seen = 0
    for operation in OPERATIONS:
        if operation.is_safe:
            answer = ask(other, operation, theirs)
            assert answer.status_code < 500, operation.name
            seen += CANARY in answer.get_data(as_text=True)
    assert seen >= 12


@pytest.mark.parametrize("role", ["viewer", "organiser"])
def test_who_may_less_gets_less(ours: Stage, tmp_path: Path, role: str) -> None:
    person, things = program(ours.web, ours.conference.tenant, role), api_things(ours)
    scopes = set(person.get("/me")["scopes"])
    for operation in OPERATIONS:
        if operation.scope is not None and operation.scope not in scopes:
            answer = ask(person, operation, things)
            assert answer.status_code == 403, operation.name
            assert answer.get_json()["scope"] == operation.scope
    least = program(ours.web, ours.conference.tenant, role, ["events:read"])
    allowed = [each.name for each in OPERATIONS if each.scope in {None, "events:read"}]
    for operation in OPERATIONS:
        refused = ask(least, operation, things).status_code == 403
        assert refused == (operation.name not in allowed), operation.name
