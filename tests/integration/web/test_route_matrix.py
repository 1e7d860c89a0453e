"""Who may use which page, for every route there is: a new one without an entry here fails.

Each row: what each role gets with its own organisation's things. With another organisation's, and
with names that do not exist, every role gets 404 and the same page.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from sqlalchemy import select
from werkzeug.routing import Rule

from meet2be.db import Database
from meet2be.tenancy.models import Tenant
from onqueue.testing.clock import FakeClock
from simulators.processes import ProviderProcess
from support.cancelling import conference
from support.page_things import CANARY, UNKNOWN, Things, export_things, people, taint, things_of
from support.stage import Stage, fill

ROLES = ("viewer", "organiser", "admin", "owner", "operator")
LOGIN, OK, GONE, NO = 302, 200, 404, 403


@dataclass(frozen=True)
class Access:
    """What a route answers: to nobody, to roles below ``from_role``, and to those from it on."""

    answer: int
    from_role: str = "viewer"
    anonymous: int = LOGIN
    fields: dict[str, str] = field(default_factory=dict)

    def expected(self, role: str) -> int:
        return self.answer if ROLES.index(role) >= ROLES.index(self.from_role) else NO


READ = Access(200)
MATRIX: dict[tuple[str, str], Access] = {
    ("GET", "/"): Access(302),
    ("GET", "/login"): Access(302, anonymous=200),
    ("POST", "/login"): Access(401, anonymous=401, fields={"email": "x", "password": "y"}),
    ("POST", "/language"): Access(303, anonymous=303, fields={"language": "none"}),
    ("POST", "/logout"): Access(302),
    ("POST", "/organisation"): Access(302, fields={"tenant": "nobody"}),
    ("GET", "/health"): Access(503, anonymous=503),
    ("POST", "/hooks/stripe"): Access(400, anonymous=400),
    ("GET", "/events"): READ,
    ("GET", "/events/<uid>"): READ,
    ("GET", "/events/<event_uid>/attendees"): READ,
    ("GET", "/attendees/<uid>"): READ,
    ("GET", "/events/new"): Access(200, "organiser"),
    ("POST", "/events/new"): Access(422, "organiser"),
    ("GET", "/events/<uid>/edit"): Access(200, "organiser"),
    ("POST", "/events/<uid>/edit"): Access(422, "organiser"),
    ("POST", "/events/<uid>/publish"): Access(303, "organiser"),
    ("POST", "/events/<uid>/unpublish"): Access(303, "organiser"),
    ("POST", "/events/<uid>/archive"): Access(303, "organiser"),
    ("POST", "/events/<uid>/restore"): Access(303, "organiser"),
    ("GET", "/events/<uid>/tickets"): READ,
    ("GET", "/events/<uid>/tickets/new"): Access(200, "organiser"),
    ("POST", "/events/<uid>/tickets/new"): Access(422, "organiser"),
    ("GET", "/ticket-types/<uid>"): Access(200, "organiser"),
    ("POST", "/ticket-types/<uid>"): Access(422, "organiser"),
    ("POST", "/ticket-types/<uid>/close"): Access(303, "organiser"),
    ("POST", "/ticket-types/<uid>/reopen"): Access(303, "organiser"),
    ("POST", "/ticket-types/<uid>/move"): Access(303, "organiser"),
    ("GET", "/events/<uid>/cancel"): Access(409, "organiser"),
    ("POST", "/events/<uid>/cancel"): Access(409, "organiser"),
    ("GET", "/events/<uid>/figures"): READ,
    ("POST", "/events/<uid>/figures"): Access(303, "organiser"),
    ("GET", "/events/<uid>/box-office"): Access(302),
    ("GET", "/orders"): READ,
    ("GET", "/orders/<uid>"): READ,
    ("POST", "/orders/<uid>/confirmation"): Access(409, "organiser"),
    ("POST", "/orders/<uid>/steps/<step>"): Access(409, "organiser"),
    ("POST", "/orders/<uid>/refund"): Access(422, "organiser"),
    ("POST", "/orders/<uid>/cancel"): Access(422, "organiser"),
    ("GET", "/t/<tenant>/<event>"): Access(404, anonymous=404),
    ("POST", "/t/<tenant>/<event>"): Access(404, anonymous=404),
    ("GET", "/t/<tenant>/<event>/orders/<key>"): Access(404, anonymous=404),
    ("GET", "/t/<tenant>/<event>/orders/<key>/state"): Access(404, anonymous=404),
    ("POST", "/t/<tenant>/<event>/orders/<key>/pay"): Access(404, anonymous=404),
    ("GET", "/exports"): Access(200, "organiser"),
    ("GET", "/events/<event_uid>/export"): Access(200, "organiser"),
    ("POST", "/events/<event_uid>/export"): Access(422, "organiser"),
    ("GET", "/exports/<uid>"): Access(200, "organiser"),
    ("GET", "/exports/<uid>/progress"): Access(200, "organiser"),
    ("GET", "/exports/<uid>/download/<token>"): Access(404, "organiser"),
    ("POST", "/exports/<uid>/cancel"): Access(303, "organiser"),
    ("POST", "/exports/<uid>/again"): Access(303, "organiser"),
    ("POST", "/exports/<uid>/delete"): Access(303, "organiser"),
    ("POST", "/exports/presets/<uid>/delete"): Access(303, "organiser"),
    ("GET", "/exports/schedules"): Access(200, "organiser"),
    ("GET", "/exports/schedules/<uid>"): Access(200, "organiser"),
    ("POST", "/exports/schedules/<uid>"): Access(422, "organiser"),
    ("POST", "/exports/schedules/<uid>/pause"): Access(303, "organiser"),
    ("POST", "/exports/schedules/<uid>/resume"): Access(303, "organiser"),
    ("POST", "/exports/schedules/<uid>/run"): Access(303, "organiser"),
    ("POST", "/exports/schedules/<uid>/delete"): Access(303, "organiser"),
    ("GET", "/cancellations"): READ,
    ("GET", "/cancellations/<uid>"): READ,
    ("GET", "/cancellations/<uid>/progress"): READ,
    ("GET", "/cancellations/<uid>/progress.json"): READ,
    ("GET", "/cancellations/<uid>/report.csv"): READ,
    ("GET", "/cancellations/<uid>/preview"): Access(302, "organiser"),
    ("GET", "/cancellations/<uid>/preview.csv"): Access(200, "organiser"),
    ("POST", "/cancellations/<uid>/code"): Access(303, "admin"),
    ("POST", "/cancellations/<uid>/confirm"): Access(303, "admin"),
    ("POST", "/cancellations/<uid>/pause"): Access(303, "admin"),
    ("POST", "/cancellations/<uid>/resume"): Access(303, "admin"),
    ("POST", "/cancellations/<uid>/abort"): Access(422, "admin"),
    ("POST", "/cancellations/<uid>/retry"): Access(303, "admin"),
    ("POST", "/cancellations/<uid>/paid-all"): Access(303, "admin", fields={"number": "0"}),
    ("POST", "/cancellations/<uid>/paid"): Access(422, "admin", fields={"item": "{item}"}),
    ("GET", "/refunds"): READ,
    ("GET", "/refunds/<uid>"): READ,
    ("POST", "/refunds/<uid>/lookup"): Access(303, "admin"),
    ("POST", "/refunds/<uid>/retry"): Access(303, "admin"),
    ("POST", "/refunds/<uid>/mark-paid"): Access(422, "admin"),
    ("GET", "/mail"): READ,
    ("GET", "/mail/<uid>"): READ,
    ("POST", "/mail/<uid>/mark"): Access(422, "admin"),
    ("POST", "/mail/<uid>/cancel"): Access(303, "organiser"),
    ("POST", "/mail/<uid>/resend"): Access(409, "organiser"),
    ("GET", "/mail/templates"): Access(200, "admin"),
    ("GET", "/mail/templates/<key>/<locale>"): Access(404, "admin"),
    ("POST", "/mail/templates/<key>/<locale>"): Access(404, "admin"),
    ("POST", "/mail/templates/<key>/<locale>/revert"): Access(404, "admin"),
    ("GET", "/mail/suppressions"): Access(200, "admin"),
    ("POST", "/mail/suppressions"): Access(422, "admin"),
    ("POST", "/mail/suppressions/bring"): Access(303, "admin"),
    ("POST", "/mail/suppressions/<number>/remove"): Access(404, "admin"),
    ("POST", "/hooks/mail/ses"): Access(400, anonymous=400),
    ("POST", "/hooks/mail/generic"): Access(404, anonymous=404),
    ("GET", "/unsubscribe/<token>"): Access(404, anonymous=404),
    ("POST", "/unsubscribe/<token>"): Access(404, anonymous=404),
    ("GET", "/imports"): Access(200, "organiser"),
    ("GET", "/imports/new"): Access(200, "organiser"),
    ("POST", "/imports/new"): Access(422, "organiser", fields={"kind": "none"}),
    ("GET", "/imports/sample/<kind>.csv"): Access(404, "organiser"),
    ("GET", "/imports/<uid>"): Access(302, "organiser"),
    ("GET", "/imports/<uid>/progress"): Access(286, "organiser"),
    ("GET", "/imports/<uid>/layout"): Access(200, "organiser"),
    ("GET", "/imports/<uid>/preview"): Access(200, "organiser"),
    ("POST", "/imports/<uid>/layout"): Access(422, "organiser"),
    ("GET", "/imports/<uid>/mapping"): Access(200, "organiser"),
    ("POST", "/imports/<uid>/mapping"): Access(422, "organiser"),
    ("POST", "/imports/<uid>/start"): Access(409, "organiser"),
    ("POST", "/imports/<uid>/cancel"): Access(409, "organiser"),
    ("POST", "/imports/<uid>/retry"): Access(409, "organiser"),
    ("POST", "/imports/<uid>/undo"): Access(422, "organiser"),
    ("GET", "/imports/<uid>/rejected.csv"): Access(200, "organiser"),
    ("GET", "/imports/<uid>/warned.csv"): Access(200, "organiser"),
    ("GET", "/webhooks"): Access(200, "admin"),
    ("GET", "/webhooks/new"): Access(200, "admin"),
    ("POST", "/webhooks/new"): Access(422, "admin"),
    ("GET", "/webhooks/tester"): Access(200, "admin"),
    ("POST", "/webhooks/tester"): Access(200, "admin"),
    ("GET", "/webhooks/deliveries"): Access(200, "admin"),
    ("GET", "/webhooks/deliveries/replay"): Access(200, "admin"),
    ("POST", "/webhooks/deliveries/replay"): Access(303, "admin"),
    ("GET", "/webhooks/deliveries/<uid>"): Access(200, "admin"),
    ("POST", "/webhooks/deliveries/<uid>/replay"): Access(303, "admin"),
    ("POST", "/webhooks/deliveries/<uid>/cancel"): Access(303, "admin"),
    ("GET", "/webhooks/<uid>"): Access(200, "admin"),
    ("GET", "/webhooks/<uid>/edit"): Access(200, "admin"),
    ("POST", "/webhooks/<uid>/edit"): Access(422, "admin"),
    ("POST", "/webhooks/<uid>/rotate"): Access(200, "admin"),
    ("POST", "/webhooks/<uid>/test"): Access(303, "admin"),
    ("POST", "/webhooks/<uid>/delete"): Access(303, "admin"),
    ("POST", "/webhooks/<uid>/pause"): Access(303, "admin"),
    ("POST", "/webhooks/<uid>/on"): Access(303, "admin"),
    ("POST", "/webhooks/<uid>/off"): Access(303, "admin"),
    ("POST", "/webhooks/<uid>/revoke"): Access(303, "admin"),
    ("POST", "/webhooks/<uid>/rotate-key"): Access(303, "admin"),
    ("POST", "/webhooks/<uid>/revoke-key"): Access(303, "admin"),
    ("GET", "/notifications"): READ,
    ("POST", "/notifications/read"): Access(303),
    ("GET", "/notifications/preferences"): READ,
    ("POST", "/notifications/preferences"): Access(303),
    ("GET", "/notifications/channels"): Access(200, "admin"),
    ("POST", "/notifications/channels"): Access(422, "admin"),
    ("POST", "/notifications/channels/<uid>/<verb>"): Access(404, "admin"),
    ("GET", "/audit"): Access(200, "admin"),
    ("GET", "/audit.csv"): Access(200, "admin"),
    ("GET", "/account"): READ,
    ("POST", "/account"): Access(422),
    ("POST", "/account/here"): Access(204),
    ("POST", "/account/password"): Access(422, fields={"password": "x", "again": "y"}),
    ("POST", "/account/sessions/end"): Access(303, fields={"session": "0"}),
    ("GET", "/password"): Access(200, anonymous=200),
    ("POST", "/password"): Access(422, anonymous=422),
    ("GET", "/password/<secret>"): Access(404, anonymous=404),
    ("POST", "/password/<secret>"): Access(404, anonymous=404),
    ("GET", "/welcome/<secret>"): Access(404, anonymous=404),
    ("POST", "/welcome/<secret>"): Access(404, anonymous=404),
    ("GET", "/invitation/<secret>"): Access(404, anonymous=404),
    ("POST", "/invitation/<secret>"): Access(404, anonymous=404),
    ("GET", "/signup"): Access(200, anonymous=200),
    ("POST", "/signup"): Access(422, anonymous=422),
    ("GET", "/signup/<secret>"): Access(404, anonymous=404),
    ("POST", "/signup/<secret>"): Access(404, anonymous=404),
    ("GET", "/operator/tenants"): Access(200, "operator"),
    ("GET", "/operator/tenants/<uid>"): Access(404, "operator"),
    ("POST", "/operator/tenants/<uid>/suspend"): Access(404, "operator"),
    ("POST", "/operator/tenants/<uid>/lift"): Access(404, "operator"),
    ("POST", "/operator/tenants/<uid>/limits"): Access(404, "operator"),
    ("GET", "/operator/messages"): Access(200, "operator"),
    ("GET", "/operator/messages/<number>"): Access(404, "operator"),
    ("POST", "/operator/messages/<number>/again"): Access(404, "operator"),
    ("POST", "/operator/messages/<number>/seen"): Access(404, "operator"),
    ("GET", "/settings"): Access(200, "admin"),
    ("POST", "/settings"): Access(422, "admin"),
    ("GET", "/settings/limits"): Access(200, "admin"),
    ("GET", "/settings/test-mode"): Access(200, "admin"),
    ("POST", "/settings/test-mode"): Access(303, "admin"),
    ("GET", "/settings/sender"): Access(200, "admin"),
    ("POST", "/settings/sender"): Access(422, "admin"),
    ("POST", "/settings/sender/confirm"): Access(422, "admin"),
    ("POST", "/settings/sender/remove"): Access(303, "admin"),
    ("GET", "/settings/warehouse"): Access(200, "admin"),
    ("POST", "/settings/warehouse"): Access(303, "admin"),
    ("GET", "/settings/postage"): Access(200, "admin"),
    ("POST", "/settings/postage"): Access(303, "admin"),
    ("GET", "/settings/members"): Access(200, "admin"),
    ("POST", "/settings/members/invite"): Access(422, "admin"),
    ("POST", "/settings/members/invitations/<uid>/resend"): Access(303, "admin"),
    ("POST", "/settings/members/invitations/<uid>/withdraw"): Access(303, "admin"),
    ("POST", "/settings/members/<uid>/role"): Access(303, "admin", fields={"role": "organiser"}),
    ("POST", "/settings/members/<uid>/remove"): Access(303, "admin"),
    ("GET", "/settings/api-tokens"): Access(200, "admin"),
    ("POST", "/settings/api-tokens"): Access(422, "admin"),
    ("POST", "/settings/api-tokens/<uid>/revoke"): Access(303, "admin"),
}
SHARED = {"static"}
# Programs show tokens: their matrix is in api/test_api_matrix.py.
FOR_PROGRAMS = {"api"}


@pytest.fixture
def ours(any_stage: Stage) -> Stage:
    """Our conference, half cancelled: every page about it has something to show."""
    any_stage.conference.confirm()
    any_stage.conference.work(0, chunks=1)
    any_stage.conference.work(1, chunks=1)
    return any_stage


@pytest.fixture
def theirs(
    ours: Stage, database: Database, clock: FakeClock, provider: ProviderProcess, tmp_path: Path
) -> Iterator[Things]:
    """Another organisation's things, with canaries in them."""
    with conference(database, clock, provider, title="Borealis") as made:
        fill(made)
        made.confirm()
        made.work(0, chunks=1)
        made.work(1, chunks=1)
        more = export_things(made, made.admin, CANARY) | people(made, CANARY)
        things = replace(things_of(made), more=more)
        for make in people(made, CANARY).values():
            make()
        taint(made)
        yield things


def rules(stage: Stage) -> Iterator[tuple[str, Rule]]:
    """Yield (method, rule) of every route."""
    for rule in stage.web.app.url_map.iter_rules():
        if rule.endpoint not in SHARED and rule.endpoint.partition(".")[0] not in FOR_PROGRAMS:
            for method in sorted(
                (rule.methods or set()) & {"GET", "POST", "PUT", "PATCH", "DELETE"}
            ):
                yield method, rule


def test_every_route_has_an_entry_and_every_entry_a_route(stage: Stage) -> None:
    assert {(method, rule.rule) for method, rule in rules(stage)} == set(MATRIX)


# Who may do what is decided in the pages; only what the database holds back is asked of both kinds.
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_each_role_gets_what_the_matrix_says(ours: Stage) -> None:
    things = things_of(ours.conference)
    for role in ("anonymous", "viewer", "organiser"):
        go_through_the_matrix(ours, things, role)
    assert ours.conference.run().state == "running", "somebody without the right changed the run"
    for role in ("admin", "owner", "operator"):
        go_through_the_matrix(ours, things, role)


def go_through_the_matrix(ours: Stage, things: Things, role: str) -> None:
    """Use every route as that role."""
    person = ours.web.anybody() if role == "anonymous" else ours.as_a(role)
    if person.user is not None:
        mine = export_things(ours.conference, person.user.id) | people(ours.conference)
        things = replace(things, more=mine)
    for (method, rule), access in MATRIX.items():
        if rule in {"/logout", "/login", "/organisation"} and role != "anonymous":
            continue  # would end the session the others need; tested with the log-in
        fields = {name: value.format(item=things.item) for name, value in access.fields.items()}
        path = things.path(rule)
        answer = person.get(path) if method == "GET" else person.post(path, **fields)
        wanted = access.anonymous if role == "anonymous" else access.expected(role)
        answer.close()  # as servers do; files are sent while they are read
        assert answer.status_code == wanted, f"{role}: {method} {path}"
        if wanted == LOGIN and role == "anonymous":
            assert answer.location.startswith("/login"), path


def test_another_organisation_s_things_are_like_things_that_do_not_exist(
    ours: Stage, theirs: Things
) -> None:
    # The database knows tenants, not roles: one of them is enough to try its row security with.
    roles = ROLES if ours.web.services.database.engine.dialect.name == "sqlite" else ("admin",)
    for role in roles:
        assert compare_with_nothing(ours, theirs, role) >= 70


def compare_with_nothing(ours: Stage, theirs: Things, role: str) -> int:
    """Use every route about one thing with theirs and with none; return how many there were."""
    person = ours.as_a(role)
    nothing = Things(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, 10**9, UNKNOWN)
    looked_at = 0
    for (method, rule), access in MATRIX.items():
        if "<" not in rule:
            continue
        answers = []
        for things in (theirs, nothing):
            fields = {name: value.format(item=things.item) for name, value in access.fields.items()}
            path = things.path(rule)
            found = person.get(path) if method == "GET" else person.post(path, **fields)
            answers.append((found.status_code, found.text))
            found.close()
        expected = GONE if access.expected(role) != NO else NO
        assert answers[0] == answers[1], f"{role}: {method} {rule}"
        assert answers[0][0] == expected, f"{role}: {method} {rule}"
        looked_at += 1
    return looked_at


def test_no_page_of_ours_holds_a_word_of_theirs(ours: Stage, theirs: Things) -> None:
    mine, person = things_of(ours.conference), ours.as_a("owner")
    queries = [""]
    if ours.web.services.database.engine.dialect.name == "sqlite":  # which has no row security
        queries += ["?q=Canary", f"?after={theirs.attendee}", f"?before={theirs.refund}",
                    f"?after={theirs.item}", f"?after={theirs.mail}"]  # fmt: skip
    for method, rule in MATRIX:
        if method != "GET":
            continue
        for query in queries:
            with person.get(mine.path(rule) + query) as answer:
                assert CANARY not in answer.get_data(as_text=True).replace("?q=Canary", ""), rule


def test_our_button_with_their_item_changes_nothing(ours: Stage, theirs: Things) -> None:
    answer = ours.admin.post(f"{ours.run_path}/paid", item=str(theirs.item), reason="mine")
    assert answer.status_code == GONE


def test_an_operator_turns_to_another_organisation_and_sees_it(ours: Stage, theirs: Things) -> None:
    person = ours.as_a("operator")
    page = person.page("/events")
    assert CANARY not in page
    other = re.search(r'name="tenant" value="(\w+)"', page)
    assert other is not None
    person.post("/organisation", tenant=other[1])
    assert CANARY in person.page("/events")
    assert person.get(f"/cancellations/{theirs.run}").status_code == OK


def test_a_member_cannot_turn_to_an_organisation_that_is_not_theirs(
    ours: Stage, theirs: Things
) -> None:
    with ours.conference.database.system_session("tests: find the other") as session:
        foreign = session.scalars(
            select(Tenant.uid).where(Tenant.id != ours.conference.tenant.id)
        ).one()
    answer = ours.admin.post("/organisation", tenant=foreign)
    assert answer.status_code == 302
    assert "no access" in ours.admin.page("/events")
    assert ours.admin.get(f"/events/{theirs.event}").status_code == GONE
