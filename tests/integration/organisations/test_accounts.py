"""A lost password, one's own account, and where one is logged in."""

from sqlalchemy import select

from meet2be.accounts.models import AccountToken, User
from meet2be.accounts.tokens import issue
from meet2be.accounts.welcome import VALID
from support.factories import make_user
from support.house import NEW, House
from support.mailed import link_in, mails_of
from support.web import PASSWORD, Person


def send(person: Person, path: str, **fields: str) -> int:
    data = {"csrf_token": person.token(), **fields}
    return person.client.post(path, data=data).status_code


def test_a_lost_password_is_replaced_once_and_every_browser_is_logged_out(house: House) -> None:
    assert house.admin.user is not None
    email, guest = house.admin.user.email, house.web.anybody()
    assert guest.post("/password", email=email.upper()).status_code == 200
    link = link_in(house.database, "password_reset")
    assert send(guest, link, password=NEW, again="something else 9") == 422
    assert send(guest, link, password="short", again="short") == 422
    assert send(guest, link, password=NEW, again=NEW) == 303
    assert send(guest, link, password=NEW, again=NEW) == 404
    assert send(guest, link, password=NEW, again="something else 9") == 404
    assert house.admin.get("/events").status_code == 302
    assert guest.log_in(email, PASSWORD).status_code == 401
    assert guest.log_in(email, NEW).status_code == 302
    assert len(mails_of(house.database, "password_changed")) == 1


def test_an_unknown_address_gets_the_same_answer_and_no_mail(house: House) -> None:
    assert house.admin.user is not None
    guest, answers = house.web.anybody(), []
    for email in (house.admin.user.email, "nobody@example.org"):
        page = guest.post("/password", email=email)
        answers.append((page.status_code, page.text.replace(email, "")))
    assert answers[0] == answers[1]
    assert len(mails_of(house.database, "password_reset")) == 1


def test_asking_again_and_again_is_braked_for_addresses_of_nobody_too(house: House) -> None:
    guest = house.web.anybody()
    codes = [guest.post("/password", email="nobody@example.org").status_code for _ in range(7)]
    assert codes[:5] == [200] * 5
    assert codes[5:] == [429, 429]


def test_a_link_is_good_for_an_hour_and_only_its_hash_is_kept(house: House) -> None:
    assert house.admin.user is not None
    guest = house.web.anybody()
    guest.post("/password", email=house.admin.user.email)
    link = link_in(house.database, "password_reset")
    with house.database.system_session("tests") as session:
        token = session.scalars(select(AccountToken)).one()
    assert token.token_hash not in link
    house.clock.advance(3601)
    assert guest.get(link).status_code == 404


def test_a_welcomed_person_chooses_a_password_and_is_in(house: House) -> None:
    user = make_user(house.database, house.tenant, "viewer", status="invited", locale="de-DE")
    with house.database.tenant_session(house.tenant.id) as session:
        secret = issue(session, user.id, "welcome", VALID, house.clock.now(), house.tenant.id)
        session.commit()
    guest = house.web.anybody()
    assert "Passwort" in guest.page(f"/welcome/{secret}")
    assert send(guest, f"/welcome/{secret}", password=NEW, again=NEW) == 303
    assert guest.get("/events").status_code == 200
    with house.database.system_session("tests") as session:
        assert session.get_one(User, user.id).status == "active"


def test_people_change_their_name_language_and_time_zone(house: House) -> None:
    fields = {"name": "Ada Lovelace", "language": "de", "timezone": "Asia/Tokyo"}
    assert house.admin.post("/account", **fields).status_code == 303
    page = house.admin.page("/account")
    assert '<html lang="de">' in page
    assert "Asia/Tokyo" in page
    assert house.admin.post("/account", **{**fields, "timezone": "Nowhere"}).status_code == 422
    assert house.admin.post("/account", **{**fields, "name": " "}).status_code == 422


def test_a_changed_password_logs_the_other_browsers_out_and_tells_by_mail(house: House) -> None:
    assert house.admin.user is not None
    other = house.web.anybody()
    other.log_in(house.admin.user.email)
    wrong = {"present": "not mine at all", "password": NEW, "again": NEW}
    assert house.admin.post("/account/password", **wrong).status_code == 422
    right = {**wrong, "present": PASSWORD}
    assert house.admin.post("/account/password", **right).status_code == 303
    assert house.admin.get("/events").status_code == 200
    assert other.get("/events").status_code == 302
    mail = mails_of(house.database, "password_changed")[-1]
    assert mail.to_addr == house.admin.user.email


def test_a_browser_of_mine_can_be_logged_out_and_nobody_else_s(house: House) -> None:
    assert house.admin.user is not None
    other = house.web.anybody()
    other.log_in(house.admin.user.email)
    page = house.admin.page("/account")
    number = page.split('name="session" value="')[1].split('"')[0]
    house.owner.post("/account/sessions/end", session=number)
    assert other.get("/events").status_code == 200
    house.admin.post("/account/sessions/end", session=number)
    assert other.get("/events").status_code == 302
    assert house.admin.get("/events").status_code == 200
