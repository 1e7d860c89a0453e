"""What every request is told and written down as, whoever asked before."""

from sqlalchemy import select

from meet2be.audit.models import AuditEntry
from support.factories import make_tenant
from support.house import House
from support.web import PASSWORD


def test_a_refused_form_speaks_the_language_of_its_reader_not_of_the_last_one(
    house: House,
) -> None:
    german = house.web.person(house.tenant, "viewer", locale="de-DE", email="d@example.org")
    assert '<html lang="de">' in german.page("/events")
    answer = house.web.anybody().client.post("/login", data={})
    assert answer.status_code == 400
    assert "This form is too old" in answer.text
    assert '<html lang="en">' in answer.text
    answer = german.client.post("/account", data={})
    assert answer.status_code == 400
    assert "Dieses Formular ist zu alt" in answer.text


def test_a_next_page_that_no_header_may_hold_leads_to_the_first_page(house: House) -> None:
    for target in ("//[", "/a\r\nSet-Cookie: x=1"):
        answer = house.web.anybody().log_in("ada@example.org", PASSWORD, next=target)
        assert (answer.status_code, answer.location) == (302, "/events")
    changed = house.web.anybody().post("/language", language="de", next="//[")
    assert (changed.status_code, changed.location) == (303, "/")


def test_an_operator_is_logged_as_one_also_where_they_have_a_role(house: House) -> None:
    both = house.web.person(house.tenant, "viewer", is_operator=True, email="op@example.org")
    other = make_tenant(house.database)
    assert both.post(f"/operator/tenants/{other.uid}/lift").status_code == 303
    assert both.post("/settings/sender", name="A", email="a@aurora.example").status_code == 303
    assert both.post(f"/operator/tenants/{other.uid}/limits", members="7").status_code == 303
    with house.database.system_session("tests", read_only=True) as session:
        wanted = select(AuditEntry.actor_kind).where(
            AuditEntry.action.in_(("sender.asked", "tenant.limits_changed"))
        )
        assert list(session.scalars(wanted)) == ["operator", "operator"]
