"""Tickets as a file in the mail of an order that is complete."""

import os
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import segno
from pypdf import PdfReader
from sqlalchemy.orm import Session

from meet2be.attendees.models import Attendee
from meet2be.checkout import completing, tidying
from meet2be.checkout.cancelling import cancel_order, mail_again, refund_tickets, retry_step
from meet2be.checkout.completing import PRINT_AGAIN
from meet2be.checkout.giving_up import give_up_tx
from meet2be.checkout.steps import Wait
from meet2be.checkout.tickets import QUIET, Sheets, Ticket, TicketPrinter, code_of, page_of
from meet2be.checkout.tidying import GOING, PRINTED, tidy_tickets_tx
from meet2be.events.models import Event, TicketType
from meet2be.exports import pdf_children
from meet2be.exports.pdf_children import Children, LayOutFailed
from meet2be.integrations.storage import StoreFailed
from meet2be.integrations.storage_local import LocalStore
from meet2be.language import Message
from meet2be.orders.models import NAMES_FILES, Order, OrderStep
from support.ordering import Shop


class QuickPrinter(TicketPrinter):
    """Writes the page itself in the place of what a child makes of it."""

    fails = 0
    made = 0

    def make(self, key: str, sheets: Sheets) -> None:
        if self.fails:
            self.fails -= 1
            raise LayOutFailed("its child ended with -9")
        self.made += 1
        with self._store.write(key, content_type="application/pdf") as file:
            file.write(page_of(sheets).encode())


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "files")


@pytest.fixture
def printer(shop: Shop, store: LocalStore) -> QuickPrinter:
    made = QuickPrinter(store)
    shop.printer = made
    return made


def files(shop: Shop) -> list[list[dict[str, Any]]]:
    """Return what of the store each confirmation carries."""
    return [
        [file for file in mail.attachments if "key" in file]
        for mail in shop.of.mails("order_confirmation")
    ]


def buy(shop: Shop, *names: str) -> Order:
    ticket = shop.ticket(name=f"Kind {len(shop.of.payments())}")
    return shop.buy(shop.wish(ticket, names or ("Ada Arden",), locale="de-DE"))


def test_the_confirmation_brings_a_page_for_each_ticket(
    shop: Shop, store: LocalStore, request: pytest.FixtureRequest
) -> None:
    shop.printer = TicketPrinter(store)
    request.addfinalizer(shop.printer.close)
    with shop.of.database.tenant_session(shop.of.tenant.id) as session:
        event = session.get_one(Event, shop.of.event.id)
        event.title, event.place = "Größe & <Kunst>\x01", "Halle 3"
        session.commit()
    order = buy(shop, "Ada Arden", "日本 太郎")
    (((file),),) = files(shop)
    assert file["filename"] == f"{order.code}.pdf"
    assert file["key"].startswith(f"tenants/{shop.of.tenant.uid}/tickets/{order.uid}/")
    with store.open(file["key"]) as content:
        pages = [page.extract_text() for page in PdfReader(content).pages]
    assert len(pages) == 2
    for number, (page, name) in enumerate(zip(pages, ("Ada Arden", "日本 太郎"), strict=True), 1):
        assert "Größe & <Kunst>" in page
        assert name in page
        assert f"{order.code}-{number}" in page
        assert f"Bestellung {order.code}, Ticket {number} von 2" in page
        assert "Test:" not in page


def test_tickets_that_were_printed_before_a_kill_are_not_printed_again(
    shop: Shop, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheets = Sheets("en", "Aurora", "Gala", "today", "", "ABC", True, (Ticket("A", "B", "ABC-1"),))
    made: list[Path] = []

    def lay_out(_children: Children, source: Path) -> Path:
        made.append(source)
        return source

    monkeypatch.setattr(Children, "lay_out", lay_out)
    key = sheets.key(shop.of.tenant.uid, "ORDER")
    for _ in range(2):
        TicketPrinter(store).make(key, sheets)
    assert len(made) == 1
    with store.open(key) as content:
        assert "Test: this ticket is not good." in content.read().decode()


def test_a_process_keeps_the_child_that_lays_its_tickets_out(
    shop: Shop, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fork has one of its own, and its close leaves the parent's alone."""
    child = (
        "import json, os, pathlib, sys\n"
        "for line in sys.stdin:\n"
        "    pathlib.Path(json.loads(line)[1]).write_text(str(os.getpid()))\n"
        "    print(json.dumps(''), flush=True)\n"
    )
    monkeypatch.setattr(pdf_children, "_COMMAND", (sys.executable, "-S", "-c", child))
    printer = TicketPrinter(store)

    def laid_out_by(code: str) -> int:
        sheets = Sheets("en", "Aurora", "Gala", "today", "", code, True, ())
        key = sheets.key(shop.of.tenant.uid, "ORDER")
        printer.make(key, sheets)
        with store.open(key) as content:
            return int(content.read())

    first = laid_out_by("A")
    assert laid_out_by("B") == first
    copy = os.fork()
    if not copy:
        is_its_own = laid_out_by("C") != first
        printer.close()
        os._exit(0 if is_its_own else 1)
    assert os.waitpid(copy, 0)[1] == 0
    assert laid_out_by("D") == first
    printer.close()
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


def test_a_mail_waits_for_its_tickets_and_then_leaves_without(
    shop: Shop, printer: QuickPrinter
) -> None:
    printer.fails = PRINT_AGAIN + 1
    order = shop.run(shop.place(shop.wish(shop.ticket())), upto="update_inventory")
    send = shop.links(order)["send_confirmation"]
    for _ in range(PRINT_AGAIN):
        outcome = send()
        assert isinstance(outcome, Wait)
        assert files(shop) == []
        shop.of.pass_time(outcome.seconds + 1)
    assert send() == "go"
    assert files(shop) == [[]]
    printer.fails = 1
    buy(shop)
    assert [len(each) for each in files(shop)] == [0, 1]


def test_a_confirmation_that_is_sent_again_brings_tickets_that_are_still_good(
    shop: Shop, printer: QuickPrinter, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = buy(shop, "Ada Arden", "Abe Arden")
    with monkeypatch.context() as patched:
        patched.setattr(LocalStore, "size", "nobody asks the store while others wait to write")
        shop.act(mail_again, order.uid, shop.of.admin)
    assert [len(each) for each in files(shop)] == [1, 1]
    assert files(shop)[0] == files(shop)[1]
    first, _ = shop.of.rows(Attendee, Attendee.order_id == order.id)

    def cancel(session: Session, *given: Any) -> int:
        return refund_tickets(session, *given, cancel=True)

    shop.act(cancel, order.uid, [first.uid], shop.of.admin, "Ill.")
    shop.of.pass_time(1)
    shop.act(mail_again, order.uid, shop.of.admin)
    assert [len(each) for each in files(shop)] == [1, 1, 0]
    assert printer.made == 1


@pytest.mark.parametrize("end", ["another ticket", "cancelled", "given up"])
def test_a_file_that_no_mail_came_to_carry_is_deleted(
    any_shop: Shop, store: LocalStore, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Killed after it was printed, and then all came to be otherwise."""
    shop = any_shop
    shop.printer = QuickPrinter(store)
    order = shop.run(
        shop.place(shop.wish(shop.ticket(), ("Ada Arden", "Abe Arden"))), upto="update_inventory"
    )
    send = shop.links(order)["send_confirmation"]
    with monkeypatch.context() as patched:
        patched.setattr(completing, "post", killed)
        with pytest.raises(KeyboardInterrupt):
            send()
    (step,) = shop.of.rows(OrderStep, OrderStep.step == "send_confirmation")
    (first,) = step.result[PRINTED]
    assert store.size(first) is not None
    shop.of.pass_time(3601)
    assert tidy_tickets_tx(shop.desk) == 0, "its step can still come to its end"
    if end == "another ticket":
        attendee = shop.of.rows(Attendee, Attendee.order_id == order.id)[0]
        given = (order.uid, [attendee.uid], shop.of.admin, "Ill.")
        shop.act(partial(refund_tickets, cancel=True), *given)
        assert send() == "go"
    elif end == "cancelled":
        shop.act(cancel_order, order.uid, shop.of.admin, "Rain.")
    else:
        give_up_tx(shop.desk, shop.of.tenant.id, order.uid, "send_confirmation", "tired")
    shop.of.pass_time(3601)
    assert tidy_tickets_tx(shop.desk) == 1
    assert store.size(first) is None
    carried = [file["key"] for mail in files(shop) for file in mail]
    assert len(carried) == (end == "another ticket")
    assert all(store.size(key) for key in carried)
    assert tidy_tickets_tx(shop.desk) == 0


class StoreThatIsAway(LocalStore):
    """Does not answer when it is to delete."""

    asked = 0

    def delete(self, key: str) -> bool:
        self.asked += 1
        raise StoreFailed(Message("The store does not answer"), detail=key)


class MeanwhilePrinter(QuickPrinter):
    """Has something else happen just before it deletes."""

    def __init__(self, store: LocalStore, meanwhile: Callable[[], object]) -> None:
        super().__init__(store)
        self._meanwhile = meanwhile

    def delete(self, key: str) -> None:
        self._meanwhile()
        super().delete(key)


def printed_for_no_mail(
    shop: Shop, ticket: TicketType, monkeypatch: pytest.MonkeyPatch
) -> tuple[Order, str]:
    """Return an order whose confirmation was given up after its tickets were printed, and these."""
    order = shop.run(shop.place(shop.wish(ticket)), upto="update_inventory")
    with monkeypatch.context() as patched:
        patched.setattr(completing, "post", killed)
        with pytest.raises(KeyboardInterrupt):
            shop.links(order)["send_confirmation"]()
    give_up_tx(shop.desk, shop.of.tenant.id, order.uid, "send_confirmation", "tired")
    mine = (OrderStep.order_id == order.id, OrderStep.step == "send_confirmation")
    (step,) = shop.of.rows(OrderStep, *mine)
    (key,) = step.result[PRINTED]
    return order, key


def test_tickets_that_are_printed_again_while_their_old_file_is_deleted_stay(
    any_shop: Shop, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person has the step tried again between the decision to delete and the deletion."""
    shop = any_shop
    shop.printer = QuickPrinter(store)
    order, key = printed_for_no_mail(shop, shop.ticket(), monkeypatch)
    shop.of.pass_time(3601)

    def try_again() -> None:
        shop.act(retry_step, order.uid, "send_confirmation", shop.of.admin)
        assert shop.links(order)["send_confirmation"]() == "go"

    shop.printer = MeanwhilePrinter(store, try_again)
    assert tidy_tickets_tx(shop.desk) == 1
    ((file,),) = files(shop)
    assert store.size(file["key"]) is not None, "the mail's own file is there"
    assert (file["key"] == key, store.size(key)) == (False, None)
    (step,) = shop.of.rows(OrderStep, OrderStep.step == "send_confirmation")
    assert not {PRINTED, GOING} & set(step.result)


def test_no_file_has_the_name_of_one_that_was_deleted(
    any_shop: Shop, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever was to delete that and has slept meanwhile does it now."""
    shop = any_shop
    shop.printer = QuickPrinter(store)
    order, key = printed_for_no_mail(shop, shop.ticket(), monkeypatch)
    shop.of.pass_time(3601)
    assert tidy_tickets_tx(shop.desk) == 1
    shop.act(retry_step, order.uid, "send_confirmation", shop.of.admin)
    assert shop.links(order)["send_confirmation"]() == "go"
    store.delete(key)
    ((file,),) = files(shop)
    assert store.size(file["key"]) is not None


def test_a_store_that_is_away_is_asked_once_and_nothing_is_forgotten_however_long_it_takes(
    any_shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    monkeypatch.setattr(tidying, "A_TIME", 2)
    away = StoreThatIsAway(tmp_path / "files")
    shop.printer = QuickPrinter(away)
    ticket = shop.ticket()
    keys = [printed_for_no_mail(shop, ticket, monkeypatch)[1] for _ in range(3)]
    shop.of.pass_time(30 * 86_400)
    for runs in (1, 2):
        assert (tidy_tickets_tx(shop.desk), away.asked) == (0, runs)
    store = LocalStore(tmp_path / "files")
    shop.printer = QuickPrinter(store)
    assert tidy_tickets_tx(shop.desk) == 3
    assert [store.size(key) for key in keys] == [None] * 3


def test_only_steps_that_name_files_are_looked_at(any_shop: Shop) -> None:
    database = any_shop.of.database
    words = "EXPLAIN QUERY PLAN" if database.engine.dialect.name == "sqlite" else "EXPLAIN"
    named = NAMES_FILES[database.engine.dialect.name]
    with database.system_session("tests: read a plan", read_only=True) as session:
        connection = session.connection()
        if words == "EXPLAIN":
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        found = connection.exec_driver_sql(
            f"{words} SELECT id FROM order_steps WHERE {named} AND id > 0 ORDER BY id LIMIT 500"  # noqa: S608
        )
        plan = " ".join(str(row[-1]) for row in found)
    assert "ix_order_steps_files" in plan


def killed(*_given: object) -> None:
    raise KeyboardInterrupt


def test_the_drawn_code_is_the_code() -> None:
    """Read back module by module: nothing is lost or moved between the table and the drawing."""
    drawn = code_of("ABCD1234-1")
    dark = {
        (int(x) + step - QUIET, int(y) - QUIET)
        for x, y, length in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\d+z", drawn)
        for step in range(int(length))
    }
    matrix = segno.make_qr("ABCD1234-1", error="m").matrix
    assert dark == {(x, y) for y, row in enumerate(matrix) for x, on in enumerate(row) if on}
    assert f'viewBox="0 0 {len(matrix) + 8} {len(matrix) + 8}"' in drawn
