"""Lists: paged both ways, searched, filtered, and clear when there is nothing."""

import re

import pytest
from sqlalchemy import select, update

from meet2be.attendees.models import Attendee
from meet2be.mailings.models import Mail
from meet2be.payments.models import Refund
from support.factories import Sale, Ticket
from support.stage import Stage

LEAD = re.compile(r'<td class="lead"><a [^>]+>([^<]+)</a>')


def step(page: str, direction: str) -> str | None:
    found = re.search(rf'rel="{direction}" href="([^"]+)"', page)
    return found[1].replace("&amp;", "&") if found else None


def test_attendees_are_paged_forth_and_back_without_loss_or_repeat(stage: Stage) -> None:
    same = Ticket(name="Same Name")
    stage.conference.sell_all(
        *(Sale([same, Ticket(name=f"Pat {number:02}")]) for number in range(60)),
        at_provider=False,
    )
    path: str | None = f"{stage.event_path}/attendees"
    pages: list[list[str]] = []
    tickets: list[str] = []
    last = ""
    while path:
        last = stage.admin.page(path)
        pages.append(LEAD.findall(last))
        tickets += re.findall(r'<span class="sub mono">(\S+)</span>', last)
        path = step(last, "next")
    assert [len(page) for page in pages] == [50, 50, 28]
    assert len(set(tickets)) == len(tickets) == 128
    everybody = [name for page in pages for name in page]
    assert everybody == sorted(everybody)
    back = step(last, "prev")
    assert back is not None
    assert LEAD.findall(stage.admin.page(back)) == pages[1]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=arden", {"Ada Arden", "Abe Arden"}),
        ("q=ADA@EXAMPLE", {"Ada Arden"}),
        ("q=%25", set()),
        ("q=_", set()),
        ("q=ölaf", {"Ölaf Öst"}),
        ("q=ost+OLA", {"Ölaf Öst"}),
        ("q=ada+ard", {"Ada Arden"}),
        ("q=%40x.org", {"Ölaf Öst"}),
        ("q=flo&state=refunded&sort=-email", {"Flo Part"}),
        ("state=no_address", {"Bea Nomail"}),
        ("state=checked_in", {"Gus Here"}),
        ("state=refunded", {"Flo Part"}),
        ("state=nonsense&q=flo", {"Flo Part"}),
        ("after=nobody&q=flo", {"Flo Part"}),
    ],
)
def test_attendees_are_searched_and_filtered(stage: Stage, query: str, found: set[str]) -> None:
    stage.conference.sell(Ticket(name="Ölaf Öst", email="o@x.org"), at_provider=False)
    with stage.conference.database.tenant_session(stage.conference.tenant.id) as session:
        for attendee in session.scalars(select(Attendee)):
            if attendee.email == "ada@example.org" and attendee.name != "Ada Arden":
                attendee.email = attendee.email_norm = "x@y.org"
        session.commit()
    page = stage.admin.page(f"{stage.event_path}/attendees?{query}")
    assert set(LEAD.findall(page)) == found
    if not found:
        assert "Nobody matches" in page


def test_the_list_of_attendees_is_sorted_by_its_headers_and_keeps_what_was_searched(
    stage: Stage,
) -> None:
    page = stage.admin.page(f"{stage.event_path}/attendees?state=active&q=a")
    assert page.count("aria-sort") == 1
    assert 'aria-sort="ascending"' in page
    backwards = re.search(r'class="sort" href="([^"]+sort=-name[^"]*)"', page)
    assert backwards is not None
    path = backwards[1].replace("&amp;", "&")
    assert {"state=active", "q=a"} <= set(path.partition("?")[2].split("&"))
    turned = stage.admin.page(path)
    assert 'aria-sort="descending"' in turned
    assert LEAD.findall(turned) == LEAD.findall(page)[::-1] != []


def test_one_attendee_shows_ticket_order_payment_and_cancellation(stage: Stage) -> None:
    stage.conference.cancel()
    page = stage.admin.page(f"/attendees/{stage.conference.orders[0].attendee.uid}")
    for words in ("Ada Arden", "€399.00", "T-", "Cancellation", "read it", "details"):
        assert words in page, words


def test_uncertain_refunds_and_mails_stand_first_and_say_so(stage: Stage) -> None:
    stage.conference.cancel()
    with stage.conference.database.tenant_session(stage.conference.tenant.id) as session:
        for model, rows in ((Refund, stage.conference.refunds()), (Mail, stage.conference.mails())):
            session.execute(
                update(model)
                .where(model.id == rows[0].id)
                .values(status="uncertain")
                .execution_options(synchronize_session=False)
            )
        session.commit()
    refunds, mails = stage.admin.page("/refunds"), stage.admin.page("/mail")
    assert refunds.index("Nobody knows yet") < refunds.index('aria-label="Refunds"')
    assert mails.index("Waiting for a decision") < mails.index('aria-label="Mails"')


def test_the_ledger_is_found_by_order_key_and_provider_s_id(stage: Stage) -> None:
    stage.conference.cancel()
    refund = stage.conference.refunds()[0]
    order = stage.conference.orders[0].order.code
    for word in (order, refund.idempotency_key, refund.provider_refund_id):
        assert LEAD.findall(stage.admin.page(f"/refunds?q={word}")) == [order], word
    assert "No refund fits" in stage.admin.page("/refunds?status=failed")


def test_empty_lists_say_what_to_do(stage: Stage) -> None:
    assert "Nothing was paid back yet" in stage.admin.page("/refunds")
    assert "No mail yet" in stage.admin.page("/mail")
    assert "No cancellations yet" in stage.admin.page("/cancellations")
    assert "Nothing to tell you" in stage.admin.page("/notifications")


def test_notices_are_read_one_by_one_or_all(stage: Stage) -> None:
    assert stage.admin.user is not None
    stage.conference.admin = stage.admin.user.id  # who confirms is told of the end
    stage.conference.cancel()
    page = stage.admin.page("/notifications")
    notice = re.search(r'name="notice" value="(\w+)"', page)
    assert notice is not None
    stage.admin.post("/notifications/read", notice=notice[1])
    assert notice[1] not in stage.admin.page("/notifications")
    stage.admin.post("/notifications/read")
    assert "Nothing unread" in stage.admin.page("/notifications?state=unread")


def test_the_audit_log_names_who_confirmed(stage: Stage) -> None:
    admin = stage.admin
    assert admin.user is not None
    stage.conference.admin = admin.user.id
    stage.conference.confirm()
    page = admin.page("/audit?action=cancellation.")
    assert "cancellation.confirmed" in page
    assert "Admin Example" in page
    assert "Nothing matches" in admin.page("/audit?action=nothing")


@pytest.mark.parametrize("path", ["/mail/templates", "/mail/suppressions", "/webhooks"])
def test_a_page_that_the_settings_lead_to_leads_back_to_them(stage: Stage, path: str) -> None:
    tabs = re.search(r'<nav class="tabs".*?</nav>', stage.admin.page(path), re.DOTALL)
    assert tabs is not None
    assert f'<a href="{path}" aria-current="page">' in tabs[0]
    assert '<a href="/settings">' in tabs[0]
