"""The edge cases of imports, numbered as in docs/reference/import-edge-cases.md.

One file, however long: the table there names its tests by their numbers.
"""

import csv
import io
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from meet2be.accounts.models import User, WebSession
from meet2be.attendees.models import Attendee
from meet2be.audit.services import SYSTEM
from meet2be.imports import services as verbs
from meet2be.imports.closing import end_step, first_failure
from meet2be.imports.errors import UnreadableUpload, WrongState, words_for
from meet2be.imports.limits import CHUNK_ROWS, LARGEST_UPLOAD
from meet2be.imports.listing import progress_of
from meet2be.imports.report import rejected_lines
from meet2be.imports.steps import chunk_failed, work_chunk
from meet2be.imports.tidying import tidy_imports, wake_imports
from meet2be.language import speaking
from meet2be.mailings.models import Mail
from meet2be.notifications.models import Notification
from meet2be.orders.models import Order
from meet2be.payments.models import Payment
from meet2be.payments.provider import OUTSIDE
from meet2be.tenancy.models import Membership, Tenant
from onqueue.testing.clock import FakeClock
from support.factories import make_event, make_tenant, make_user
from support.importing import PEOPLE, Importing

ADA = "Ada,ada@example.org,Analytical\r\n"


def members(rig: Importing) -> dict[str, str]:
    """Return who has which role in the organisation."""
    with rig.database.tenant_session(rig.tenant.id) as session:
        found = session.execute(
            select(User.email_norm, Membership.role).join(User, User.id == Membership.user_id)
        )
        return {email: role for email, role in found}  # noqa: C416 -- rows are no tuples


@pytest.mark.parametrize(
    ("encoding", "lines"),
    [("utf-8-sig", "\r\n"), ("utf-16", "\r\n"), ("cp1252", "\r\n"), ("cp1252", "\n"),
     ("mac-roman", "\r"), ("utf-8", "\r")],
)  # fmt: skip
def test_01_encodings_and_line_ends_are_found(rig: Importing, encoding: str, lines: str) -> None:
    text = lines.join(["Name;E-Mail", "Jürgen Groß;j@example.org", "Åsa Öst;a@example.org", ""])
    uid = rig.imported(text.encode(encoding))
    assert [each.name for each in rig.attendees()] == ["Jürgen Groß", "Åsa Öst"]
    assert rig.row(uid).state == "done"


def test_01_a_wrong_guess_can_be_changed(rig: Importing) -> None:
    uid = rig.upload("Name,E-mail\r\nMüller,m@example.org\r\n".encode("cp850"))
    rig.layout(uid, encoding="cp850")
    rig.map(uid)
    rig.check(uid)
    assert rig.rows(uid)[2].label == "Müller"
    with pytest.raises(UnreadableUpload, match="is not UTF-8"):
        rig.layout(uid, encoding="utf-8")


def test_01_a_wrong_choice_that_shows_late_is_told_and_nothing_is_written(rig: Importing) -> None:
    rows = "".join(f"P{n},p{n}@example.org,Company\r\n" for n in range(1_000))
    uid = rig.upload((PEOPLE + rows + "Müller,m@example.org,\r\n").encode("cp1252"))
    assert rig.row(uid).layout["encoding"] == "cp1252"
    rig.layout(uid, encoding="utf-8")
    rig.map(uid)
    assert rig.check(uid) == "failed"
    assert "row 1002" in rig.error(uid)
    assert "is not UTF-8" in rig.error(uid)


def test_what_was_not_checked_is_not_written(rig: Importing) -> None:
    uid = rig.upload(PEOPLE + ADA)
    with pytest.raises(WrongState):
        rig.start(uid)


def test_02_a_file_of_one_column_is_a_list(rig: Importing) -> None:
    uid = rig.imported("E-mail\nada@example.org\nbob@example.org\n", "users")
    assert rig.states(uid) == {2: "created", 3: "created"}


@pytest.mark.parametrize("mark", ["\t", "|", ";"])
def test_03_delimiters_are_found_also_where_cells_hold_others(rig: Importing, mark: str) -> None:
    rows = [["Name", "E-mail", "Notes"], ["Ada", "ada@example.org", '"a, b; c, d; e"']]
    uid = rig.imported("\n".join(mark.join(row) for row in rows))
    assert rig.states(uid) == {2: "created"}
    assert rig.attendees()[0].notes == "a, b; c, d; e"


def test_04_an_unclosed_quote_is_told_with_its_row_and_nothing_is_written(rig: Importing) -> None:
    rows = "".join(f"P{n},p{n}@example.org,x\n" for n in range(100))
    uid = rig.checked(PEOPLE + rows + 'Q,"q@example.org,x\n' + rows)
    assert rig.row(uid).state == "failed"
    assert "row 102" in rig.error(uid)
    assert "quotes do not match" in rig.error(uid)
    assert rig.count() == 0


def test_05_endless_cells_and_nul_bytes_are_refused(rig: Importing) -> None:
    uid = rig.checked(PEOPLE + ADA + f'B,b@example.org,"{"x" * 140_000}"\r\n')
    assert "131,072 characters" in rig.error(uid)
    with pytest.raises(UnreadableUpload, match="NUL"):
        rig.upload(b"Name,E-mail\r\nA\0da,ada@example.org\r\n")


def test_06_missing_repeated_and_blank_names_of_columns_can_be_mapped(rig: Importing) -> None:
    uid = rig.upload("Wer,,Wer\nAda,ada@example.org,X\n")
    assert rig.row(uid).header == ["Wer", "B", "Wer (2)"]
    rig.map(uid, {"name": {"column": 0}, "email": {"column": 1}, "ticket": {"fixed": "Gast"}})
    assert rig.check(uid) == "validated"
    headless = rig.upload("Ada,ada@example.org\nBob,bob@example.org\n")
    assert rig.row(headless).layout["header_row"] == 0
    assert rig.row(headless).header == ["A", "B"]


def test_06_a_mapping_is_remembered_for_lists_with_the_same_names(rig: Importing) -> None:
    first = rig.upload("Wer;Wo\nAda;ada@example.org\n")
    assert "name" not in rig.row(first).mapping
    mapping = {"name": {"column": 0}, "email": {"column": 1}, "ticket": {"fixed": "VIP"}}
    rig.map(first, mapping)
    assert rig.row(rig.upload("WER;wo\nBob;bob@example.org\n")).mapping == mapping


def test_07_ragged_empty_and_sum_rows_are_errors_of_their_own(rig: Importing) -> None:
    uid = rig.imported(
        PEOPLE + "Ada,ada@example.org,X,,,\r\n"
        "Bob,bob@example.org,Y,too much\r\n\r\n,,\r\nCy,cy@example.org\r\nDi\r\nTotal,,4\r\n"
    )
    assert rig.states(uid) == {2: "created", 3: "invalid", 6: "created", 7: "invalid", 8: "invalid"}
    assert "has 4 values where the first row names 3 columns" in rig.why(uid, 3)
    assert "has 1 value where the first row names 3 columns" in rig.why(uid, 7)
    assert "total" in rig.why(uid, 8)


def test_08_the_first_of_an_address_wins_in_a_chunk_and_across_chunks(any_rig: Importing) -> None:
    rows = "".join(f"P{n},p{n}@example.org,\r\n" for n in range(CHUNK_ROWS + 50))
    again = "Late,P7@EXAMPLE.org,\r\nLater,p540@example.org,\r\n"
    uid = any_rig.checked(PEOPLE + "Twin,p3@example.org,\r\n" + rows + again)
    found = any_rig.rows(uid)
    repeats = {number: row.repeats for number, row in found.items() if row.state == "dup_in_file"}
    last = CHUNK_ROWS + 50 + 3
    assert repeats == {6: 2, last: 10, last + 1: 543}
    assert "repeats row 2" in any_rig.why(uid, 6)
    any_rig.start(uid)
    assert any_rig.work(uid, "write") == "done"
    assert any_rig.count() == CHUNK_ROWS + 50
    assert any_rig.counts(uid) == {"created": CHUNK_ROWS + 50, "dup_in_file": 3}


def test_08_several_people_may_share_an_address_when_wanted(rig: Importing) -> None:
    uid = rig.imported(
        PEOPLE + ADA + "Bob,ada@example.org,\r\nADA,ada@example.org,\r\n", shared=True
    )
    assert rig.states(uid) == {2: "created", 3: "created", 4: "dup_in_file"}


def test_10_an_address_known_elsewhere_gets_a_place_and_reveals_nothing(any_rig: Importing) -> None:
    other = make_tenant(any_rig.database)
    known = make_user(
        any_rig.database, other, "owner", email="known@example.org", name="Secret Name"
    )
    uid = any_rig.imported("Name,E-mail\nK,KNOWN@example.org\nN,new@example.org\n", "users")
    rows = any_rig.rows(uid)
    assert {row.state for row in rows.values()} == {"created"}
    assert [row.label for row in rows.values()] == ["K", "N"]
    assert members(any_rig)["known@example.org"] == "viewer"
    with any_rig.database.system_session("test: look at the account") as session:
        assert session.get_one(User, known.id).name == "Secret Name"
    any_rig.undo(uid)
    with any_rig.database.system_session("test: look at the account") as session:
        assert session.get_one(User, known.id).status == "active"
        emails = set(session.scalars(select(User.email_norm)))
    assert "new@example.org" not in emails


def test_11_two_imports_of_the_same_people_at_once_write_them_once(any_rig: Importing) -> None:
    text = "Name,E-mail,Order\n" + "".join(f"P{n},p{n}@example.org,O{n}\n" for n in range(20))
    mapping = {"name": {"column": 0}, "email": {"column": 1}, "order": {"column": 2},
               "ticket": {"fixed": "R"}}  # fmt: skip
    both = [any_rig.checked(text, mapping=mapping) for _ in range(2)]
    for uid in both:
        any_rig.start(uid)
    states = [any_rig.work(uid, "write") for uid in both]
    assert states == ["done", "done"]
    assert any_rig.count() == 20
    assert any_rig.counts(both[1]) == {"skipped": 20}


@pytest.mark.parametrize(
    ("duplicates", "state"),
    [("skip", "skipped"), ("report", "dup_existing"), ("update", "updated")],
)
def test_11_who_is_here_is_skipped_reported_or_updated(
    rig: Importing, duplicates: str, state: str
) -> None:
    rig.imported(PEOPLE + ADA)
    uid = rig.imported(PEOPLE + "Ada King,ADA@example.org,Engines\r\n", duplicates=duplicates)
    assert rig.states(uid) == {2: state}
    assert rig.count() == 1
    assert rig.attendees()[0].company == ("Engines" if duplicates == "update" else "Analytical")
    if duplicates == "update":
        rig.desk.clock.advance(5)  # type: ignore[attr-defined]
        assert rig.undo(uid) == "undone"
        assert (rig.attendees()[0].name, rig.attendees()[0].company) == ("Ada", "Analytical")


def test_17_formulas_are_kept_as_text_and_harmless_in_the_report(rig: Importing) -> None:
    bad = '=HYPERLINK("http://x")'
    name = '"' + bad.replace('"', '""') + '"'
    uid = rig.imported(f"Name,E-mail,Role\n{name},a@example.org,boss\n", "users")
    with rig.database.tenant_session(rig.tenant.id) as session, speaking("de"):
        lines = list(rejected_lines(session, rig.found(session, uid)))
    rows = list(csv.reader(io.StringIO("".join(lines).lstrip("\ufeff"))))
    assert rows[1][0] == f"'{bad}"
    assert rows[1][3] == "2"
    assert rows[0][3] == "Zeile"


def test_18_nobody_gives_more_than_they_have(rig: Importing) -> None:
    uid = rig.imported(
        "E-mail,Role\na@example.org,owner\nb@example.org,Administrator\nc@example.org,Leser\n",
        "users",
    )
    assert rig.states(uid) == {2: "invalid", 3: "created", 4: "created"}
    assert "above your own role" in rig.why(uid, 2)
    assert members(rig)["b@example.org"] == "admin"


def test_18_whoever_maps_or_starts_gives_what_they_have_not_what_the_uploader_has(
    rig: Importing,
) -> None:
    admin, owner = rig.user, make_user(rig.database, rig.tenant, "owner")
    text = f"E-mail,Role\n{admin.email},owner\na@example.org,owner\n"
    rig.user = owner
    uploaded, checked = rig.upload(text, "users"), rig.checked(text, "users", duplicates="update")
    rig.user = admin
    rig.map(uploaded, duplicates="update")
    rig.check(uploaded)
    rig.start(uploaded)
    rig.work(uploaded, "write")
    rig.start(checked)
    rig.work(checked, "write")
    assert "above your own role" in rig.why(checked, 3)
    assert rig.row(uploaded).uploaded_by == rig.row(checked).uploaded_by == admin.id
    assert members(rig)[admin.email] == "admin"
    assert "a@example.org" not in members(rig)


def test_18_owners_and_oneself_are_not_changed_by_a_list(rig: Importing) -> None:
    make_user(rig.database, rig.tenant, "owner", email="boss@example.org")
    text = f"E-mail,Role\nboss@example.org,viewer\n{rig.user.email},viewer\n"
    uid = rig.imported(text, "users", duplicates="update")
    assert rig.states(uid) == {2: "skipped", 3: "skipped"}
    assert members(rig)["boss@example.org"] == "owner"


def test_20_a_cancelled_import_keeps_what_is_written_and_welcomes_nobody(rig: Importing) -> None:
    text = "E-mail\n" + "".join(f"p{n}@example.org\n" for n in range(CHUNK_ROWS + 20))
    uid = rig.checked(text, "users", welcome=True)
    rig.start(uid)
    rig.work(uid, "write", [1])
    rig.cancel(uid)
    rig.work(uid, "write", [2])
    assert rig.work(uid, "write") == "cancelled"
    assert rig.counts(uid) == {"created": CHUNK_ROWS, "valid": 20}
    with rig.database.tenant_session(rig.tenant.id) as session:
        assert session.scalar(select(func.count(Mail.id))) == 0
        assert len(session.scalars(select(Notification)).all()) == 1
    rig.retry(uid)
    assert rig.work(uid, "write") == "done"
    assert len(members(rig)) == CHUNK_ROWS + 21


def test_23_an_undo_refuses_what_was_changed_since(any_rig: Importing, clock: FakeClock) -> None:
    uid = any_rig.imported(PEOPLE + ADA + "Bob,bob@example.org,B\r\nCy,cy@example.org,C\r\n")
    clock.advance(60)
    with any_rig.database.tenant_session(any_rig.tenant.id) as session:
        session.execute(
            update(Attendee).where(Attendee.name == "Bob").values(company="Changed"),
            execution_options={"synchronize_session": False},
        )
        session.commit()
    assert any_rig.undo(uid) == "undone"
    assert any_rig.states(uid) == {2: "undone", 3: "kept", 4: "undone"}
    assert "changed after the import" in any_rig.why(uid, 3)
    assert [each.name for each in any_rig.attendees()] == ["Bob"]
    with any_rig.database.tenant_session(any_rig.tenant.id) as session:
        assert session.scalar(select(func.count(Order.id))) == 1


def test_23_somebody_who_has_logged_in_keeps_the_place(rig: Importing, clock: FakeClock) -> None:
    uid = rig.imported("E-mail\nada@example.org\nbob@example.org\n", "users")
    with rig.database.system_session("test: log in") as session:
        ada = session.scalars(select(User).where(User.email_norm == "ada@example.org")).one()
        now = clock.now()
        session.add(
            WebSession(token_hash="x", user_id=ada.id, tenant_id=rig.tenant.id, created_at=now,
                       last_seen_at=now, expires_at=now + timedelta(hours=1))
        )  # fmt: skip
        session.commit()
    rig.undo(uid)
    assert rig.states(uid) == {2: "kept", 3: "undone"}


def test_23_an_undo_ends_after_a_week(rig: Importing, clock: FakeClock) -> None:
    uid = rig.imported(PEOPLE + ADA)
    clock.advance(7 * 24 * 3600 + 1)
    with pytest.raises(WrongState):
        rig.undo(uid)


@pytest.mark.parametrize("what", ["suspended", "removed", "demoted", "closed"])
def test_24_an_import_stops_with_its_reason(rig: Importing, what: str) -> None:
    uid = rig.checked(PEOPLE + ADA)
    rig.start(uid)
    with rig.database.system_session("test: something happens") as session:
        statement = {
            "suspended": update(Tenant).values(status="suspended"),
            "removed": update(User).where(User.id == rig.user.id).values(status="disabled"),
            "demoted": update(Membership).values(role="viewer"),
            "closed": update(type(rig.event)).values(status="cancelled"),
        }[what]
        session.execute(statement, execution_options={"synchronize_session": False})
        session.commit()
    assert rig.work(uid, "write") == "failed"
    words = {"suspended": "suspended", "removed": "no member", "demoted": "role has changed",
             "closed": "takes no attendees"}  # fmt: skip
    assert words[what] in rig.error(uid)
    assert rig.count() == 0


def test_24_a_file_that_is_gone_is_told(rig: Importing) -> None:
    uid = rig.upload(PEOPLE + ADA)
    rig.map(uid)
    rig.desk.store.delete(rig.row(uid).storage_key or "")
    assert rig.check(uid) == "failed"
    assert "not there any more" in rig.error(uid)


def test_further_blanks_nobody_sees_around_addresses_are_taken_away(rig: Importing) -> None:
    uid = rig.imported("E-mail\n\u00a0ada+list@example.org\u200b\n", "users")
    assert rig.states(uid) == {2: "created"}
    assert "ada+list@example.org" in members(rig)


def test_further_a_row_with_an_empty_order_code_is_an_order_of_its_own(rig: Importing) -> None:
    lines = "Name,E-mail,Order code\nAda,a@example.org,\nBob,b@example.org,\nCy,c@example.org,X1\n"
    uid = rig.imported(lines)
    assert set(rig.states(uid).values()) == {"created"}
    with rig.database.tenant_session(rig.tenant.id) as session:
        codes = session.scalars(select(Order.code).order_by(Order.id)).all()
    prefix = f"L{uid[:8].upper()}"
    assert sorted(codes) == sorted([f"{prefix}-2", f"{prefix}-3", "X1"])
    again = rig.imported(lines)
    assert set(rig.states(again).values()) == {"skipped"}


def test_further_lookalikes_are_different_people(rig: Importing) -> None:
    uid = rig.imported("E-mail\nada@example.org\n\u0430da@example.org\n", "users")
    assert rig.states(uid) == {2: "created", 3: "created"}


def test_further_days_and_numbers_as_they_are_written_here(rig: Importing) -> None:
    uid = rig.imported(
        "Name;E-Mail;Betrag;Anmeldedatum\nAda;ada@example.org;1.234,50 €;01.03.2026 10:00\n"
    )
    assert rig.states(uid) == {2: "created"}
    attendee = rig.attendees()[0]
    assert attendee.price_minor == 123_450
    assert attendee.registered_at is not None
    assert attendee.registered_at.isoformat() == "2026-03-01T09:00:00+00:00"


def test_further_the_same_file_is_recognised(rig: Importing) -> None:
    first = rig.imported(PEOPLE + ADA)
    second = rig.upload(PEOPLE + ADA)
    with rig.database.tenant_session(rig.tenant.id) as session:
        earlier = verbs.same_file(session, rig.found(session, second))
        assert earlier is not None
        assert earlier.uid == first
        assert verbs.same_file(session, rig.found(session, first)) is None


def test_further_too_large_a_file_is_refused_unread(rig: Importing) -> None:
    class Endless(io.BytesIO):
        def seek(self, offset: int, whence: int = 0) -> int:
            super().seek(0)
            return LARGEST_UPLOAD + 1 if whence == 2 else 0

    with rig.database.tenant_session(rig.tenant.id) as session:
        given = verbs.Upload("attendees", Endless(b"Name\nAda\n"), "l.csv", rig.user.id, rig.event)
        with pytest.raises(UnreadableUpload, match="50 MB"):
            verbs.upload(session, rig.desk.store, given, SYSTEM)


def test_rows_of_an_order_go_together_however_far_apart(any_rig: Importing) -> None:
    rows = [f"P{n},p{n}@example.org,A{n},10.00" for n in range(CHUNK_ROWS)]
    rows.insert(0, "First,first@example.org,FAR,10.00")
    rows.append("Last,last@example.org,FAR,10.00")
    uid = any_rig.imported("Name,E-mail,Order code,Price paid\n" + "\n".join(rows))
    with any_rig.database.tenant_session(any_rig.tenant.id) as session:
        order = session.scalars(select(Order).where(Order.code == "FAR")).one()
    assert order.total_minor == 2_000
    assert any_rig.counts(uid) == {"created": CHUNK_ROWS + 2}


def test_another_organisations_event_cannot_be_imported_into(rig: Importing) -> None:
    stranger = make_event(rig.database, make_tenant(rig.database))
    with rig.database.tenant_session(rig.tenant.id) as session:
        given = verbs.Upload(
            "attendees", io.BytesIO(b"Name\nAda\n"), "l.csv", rig.user.id, stranger
        )
        with pytest.raises(Exception, match=r"(?i)foreign key"):
            verbs.upload(session, rig.desk.store, given, SYSTEM)


def test_21_a_chunk_that_fails_for_ever_holds_up_no_other(rig: Importing, clock: FakeClock) -> None:
    text = "E-mail\n" + "".join(f"p{n}@example.org\n" for n in range(CHUNK_ROWS + 20))
    uid = rig.checked(text, "users")
    rig.start(uid)
    turn = rig.row(uid).turn
    chunk_failed(rig.desk, rig.tenant.id, uid, turn, 1, words_for(OSError("the disk is full")))
    first_failure(rig.desk, rig.tenant.id, uid, turn)
    first_failure(rig.desk, rig.tenant.id, uid, turn)
    rig.work(uid, "write", [2])
    assert end_step(rig.desk, rig.tenant.id, uid, turn, "write")
    assert rig.row(uid).state == "done_with_errors"
    assert rig.counts(uid) == {"created": 20, "valid": CHUNK_ROWS}
    with rig.database.tenant_session(rig.tenant.id) as session:
        kinds = sorted(session.scalars(select(Notification.kind)))
    assert kinds == ["import.done", "import.failed"]
    rig.retry(uid)
    assert rig.work(uid, "write") == "done"
    assert len(members(rig)) == CHUNK_ROWS + 21


def test_22_a_chunk_that_is_delivered_again_counts_once(rig: Importing) -> None:
    uid = rig.checked(PEOPLE + ADA)
    rig.start(uid)
    turn = rig.row(uid).turn
    assert work_chunk(rig.desk, rig.tenant.id, uid, turn, "write", 1)
    assert not work_chunk(rig.desk, rig.tenant.id, uid, turn, "write", 1)
    assert end_step(rig.desk, rig.tenant.id, uid, turn, "write")
    assert not end_step(rig.desk, rig.tenant.id, uid, turn, "write")
    assert not work_chunk(rig.desk, rig.tenant.id, uid, turn - 1, "check", 1)
    assert rig.counts(uid) == {"created": 1}
    with rig.database.tenant_session(rig.tenant.id, read_only=True) as session:
        progress = progress_of(session, rig.found(session, uid))
    assert progress.percent == 100


def test_old_imports_keep_no_data_of_persons(rig: Importing, clock: FakeClock) -> None:
    old = rig.imported(PEOPLE + ADA)
    clock.advance(31 * 24 * 3600)
    young = rig.checked(PEOPLE + "Bob,bob@example.org,\r\n")
    assert tidy_imports(rig.desk) == 1
    assert tidy_imports(rig.desk) == 0
    assert rig.rows(old) == {}
    assert rig.row(old).storage_key is None
    assert rig.row(old).state == "done"
    assert rig.count() == 1
    assert set(rig.states(young).values()) == {"valid"}


def test_an_import_whose_jobs_are_lost_is_begun_again(rig: Importing, clock: FakeClock) -> None:
    uid = rig.checked(PEOPLE + ADA)
    rig.start(uid)
    turn = rig.row(uid).turn
    assert wake_imports(rig.desk) == 0
    clock.advance(46 * 60)
    assert wake_imports(rig.desk) == 1
    assert rig.row(uid).turn == turn + 1
    assert wake_imports(rig.desk) == 0
    assert not work_chunk(rig.desk, rig.tenant.id, uid, turn, "write", 1)
    assert rig.work(uid, "write") == "done"
    stopped = rig.checked(PEOPLE + "Bob,bob@example.org,\r\n")
    rig.start(stopped)
    rig.cancel(stopped)
    clock.advance(46 * 60)
    assert wake_imports(rig.desk) == 1
    assert rig.row(stopped).state == "cancelled"


def test_an_order_paid_with_and_without_an_invoice_has_two_payments(rig: Importing) -> None:
    uid = rig.imported(
        "Name,E-mail,Order code,Ticket,Price paid,Invoice number\r\n"
        "Ada,ada@example.org,A-1,Regular,10.00,INV-1\r\nBob,bob@example.org,A-1,Regular,5.00,\r\n"
    )
    assert rig.row(uid).state == "done"
    with rig.database.tenant_session(rig.tenant.id) as session:
        payments = session.scalars(select(Payment).order_by(Payment.amount_minor)).all()
    assert [payment.amount_minor for payment in payments] == [500, 1_000]
    assert len({payment.key for payment in payments}) == 2
    assert {(each.provider, each.provider_ref) for each in payments} == {(OUTSIDE, None)}


def test_what_a_database_says_is_not_what_people_read() -> None:
    error = IntegrityError("INSERT INTO payments …", {"email": "ada@example.org"}, Exception("x"))
    assert str(words_for(error)) == (
        "Something went wrong on our side (IntegrityError). We have kept the details; try again."
    )
    assert str(words_for(WrongState("done"))).startswith("This import is 'done' by now")
