"""Opening an organisation, what it says about itself, and from where its mail comes."""

import re

from sqlalchemy import select, update

from meet2be.accounts.models import User
from meet2be.integrations.dns_advice import advice_for
from meet2be.mailings.addresses import normal_form
from meet2be.mailings.services import Sender, sender_of
from meet2be.tenancy.models import Membership, Tenant
from support.factories import make_user
from support.house import NEW, House
from support.mailed import link_in, mails_of
from support.web import PASSWORD, Person

PLATFORM = Sender("Meet2Be", "events@meet2be.example")
WISH = {
    "name": "Nordlicht", "slug": "nordlicht", "email": "boss@nordlicht.example",
    "language": "de", "timezone": "Europe/Berlin", "currency": "EUR",
}  # fmt: skip
SETTINGS = {
    "name": "Aurora Ltd", "language": "de", "timezone": "Europe/Vienna", "currency": "CHF",
    "confirm_limit": "12,50", "reply_to": "hello@aurora.example",
}  # fmt: skip


def confirm(house: House, person: Person, **fields: str) -> int:
    path = link_in(house.database, "sign_up")
    return person.client.post(path, data={"csrf_token": person.token(), **fields}).status_code


def tenants(house: House) -> dict[str, Tenant]:
    with house.database.system_session("tests") as session:
        return {tenant.slug: tenant for tenant in session.scalars(select(Tenant))}


def test_an_organisation_is_made_when_its_owner_opens_the_mailed_link(house: House) -> None:
    guest = house.web.anybody()
    assert guest.post("/signup", **WISH).status_code == 200
    assert "nordlicht" not in tenants(house)
    assert mails_of(house.database, "sign_up")[-1].tenant_id is None
    new = {"name": "Bo Boss", "password": NEW, "again": NEW}
    assert confirm(house, guest, **new) == 303
    assert confirm(house, house.web.anybody(), **new) == 404
    made = tenants(house)["nordlicht"]
    assert (made.name, made.locale, made.timezone) == ("Nordlicht", "de-DE", "Europe/Berlin")
    with house.database.tenant_session(made.id) as session:
        assert [each.role for each in session.scalars(select(Membership))] == ["owner"]
    assert "Bo Boss" in guest.page("/settings/members")


def test_somebody_with_an_account_opens_a_second_organisation_with_their_password(
    house: House,
) -> None:
    guest = house.web.anybody()
    guest.post("/signup", **{**WISH, "email": "ada@example.org"})
    assert confirm(house, guest, password="a guess of somebody") == 422
    assert confirm(house, guest, password=PASSWORD) == 303
    assert "Nordlicht" in guest.page("/events")


def test_whoever_owns_a_lookalike_domain_takes_no_account_over(house: House) -> None:
    theirs = {"anna@fass.de": "anna@faß.de", "niko\u03c3@x.gr": "nikoς@x.gr"}
    for number, (email, lookalike) in enumerate(theirs.items()):
        invited = make_user(house.database, house.tenant, "viewer", status="invited", email=email)
        guest = house.web.anybody()
        wish = {**WISH, "email": lookalike, "slug": f"nordlicht-{number}"}
        assert guest.post("/signup", **wish).status_code == 200
        assert confirm(house, guest, name="Mallory", password=NEW, again=NEW) == 303
        with house.database.system_session("tests") as session:
            kept = session.get_one(User, invited.id)
            assert (kept.status, kept.password_hash) == ("invited", None)
    assert normal_form(" Anna@FASS.de ") == "anna@fass.de"
    assert normal_form("Niko\u03c3@x.gr") != normal_form("Nikoς@x.gr")


def test_a_wish_that_cannot_be_is_refused_at_its_field(house: House) -> None:
    guest = house.web.anybody()
    for field, value, words in (
        ("slug", "A", "3 to 40"),
        ("slug", "admin", "taken"),
        ("slug", house.tenant.slug, "taken"),
        ("email", "nobody", "not one e-mail address"),
        ("name", "  ", "needs a name"),
        ("timezone", "Mars/Olympus", "time zone"),
        ("currency", "XYZW", "three letters"),
    ):
        answer = guest.post("/signup", **{**WISH, "language": "en", field: value})
        assert answer.status_code == 422, field
        assert words in answer.text
    assert not mails_of(house.database, "sign_up")


def test_the_settings_are_saved_and_what_changed_is_told(house: House) -> None:
    assert house.admin.post("/settings", **SETTINGS).status_code == 303
    found = house.fresh_tenant()
    assert (found.name, found.currency, found.confirm_limit_minor) == ("Aurora Ltd", "CHF", 1250)
    assert found.reply_to == "hello@aurora.example"
    assert "tenant.changed" in house.admin.page("/audit")
    for field, value in (("confirm_limit", "much"), ("reply_to", "x"), ("currency", "QQQ")):
        answer = house.admin.post("/settings", **{**SETTINGS, field: value})
        assert answer.status_code == 422, field
        assert f'id="{field}-problem"' in answer.text or field == "currency"


def test_a_currency_that_is_no_money_any_more_holds_nothing_else_up(house: House) -> None:
    with house.database.tenant_session(house.tenant.id) as session:
        session.execute(update(Tenant).values(currency="HRK"))
        session.commit()
    present = {**SETTINGS, "currency": "HRK"}
    assert house.admin.post("/settings", **present).status_code == 303
    assert (house.fresh_tenant().name, house.fresh_tenant().currency) == ("Aurora Ltd", "HRK")
    assert house.admin.post("/settings", **{**present, "currency": "DEM"}).status_code == 422


def test_a_sender_counts_once_its_code_was_entered(house: House) -> None:
    answer = house.admin.post("/settings/sender", name="Aurora", email="tickets@aurora.example")
    assert answer.status_code == 303
    assert sender_of(house.fresh_tenant(), PLATFORM).address == PLATFORM.address
    mail = mails_of(house.database, "sender_check")[-1]
    assert mail.to_addr == "tickets@aurora.example"
    found = re.search(r"\d{8}", mail.subject or "")
    assert found is not None
    wrong = "00000000" if found[0] != "00000000" else "00000001"
    assert house.admin.post("/settings/sender/confirm", code=wrong).status_code == 422
    assert house.admin.post("/settings/sender/confirm", code=found[0]).status_code == 303
    assert sender_of(house.fresh_tenant(), PLATFORM).address == "tickets@aurora.example"
    assert house.admin.post("/settings/sender/remove").status_code == 303
    assert sender_of(house.fresh_tenant(), PLATFORM).address == PLATFORM.address


def test_five_wrong_codes_end_it_and_codes_are_not_mailed_one_after_the_other(
    house: House,
) -> None:
    given = {"name": "Aurora", "email": "tickets@aurora.example"}
    house.admin.post("/settings/sender", **given)
    assert house.admin.post("/settings/sender", **given).status_code == 422
    assert house.admin.post("/settings/sender/remove").status_code == 303
    assert house.admin.post("/settings/sender", **given).status_code == 422
    house.clock.advance(121)
    assert house.admin.post("/settings/sender", **given).status_code == 303
    found = re.search(r"\d{8}", mails_of(house.database, "sender_check")[-1].subject or "")
    assert found is not None
    for _ in range(5):
        house.admin.post("/settings/sender/confirm", code="x")
    assert house.admin.post("/settings/sender/confirm", code=found[0]).status_code == 422
    assert house.fresh_tenant().sender_verified_at is None


def test_what_the_dns_says_is_advice_and_silence_is_told_as_such() -> None:
    records = {"aurora.example": ["v=spf1 include:meet2be.example -all"]}
    found = {
        each.key: each.found
        for each in advice_for("aurora.example", lambda name: records.get(name, []))
    }
    assert found == {"spf": "there", "dmarc": "missing"}

    def silent(name: str) -> list[str]:
        raise OSError(name)

    assert {each.found for each in advice_for("aurora.example", silent)} == {"unknown"}
