"""Who joins an organisation, who leaves it, and what nobody may give."""

from sqlalchemy import select, update

from meet2be.audit.models import AuditEntry
from meet2be.tenancy.models import Invitation, Membership
from support.factories import make_tenant
from support.house import NEW, House
from support.mailed import link_in, mails_of
from support.web import PASSWORD


def roles(house: House) -> dict[int, str]:
    with house.database.tenant_session(house.tenant.id) as session:
        return {each.user_id: each.role for each in session.scalars(select(Membership))}


def member_path(person: object, verb: str) -> str:
    return f"/settings/members/{person.user.uid}/{verb}"  # type: ignore[attr-defined]


def test_somebody_new_is_invited_sets_name_and_password_and_is_in(house: House) -> None:
    assert house.invite("nora@example.org", language="de").status_code == 303
    assert "nora@example.org" in house.admin.page("/settings/members")
    mail = mails_of(house.database, "invitation")[-1]
    assert mail.subject == "Ada Admin lädt Sie zu Aurora ein"
    nora = house.web.anybody()
    assert "Ihr Konto wird nora@example.org sein" in nora.page(
        link_in(house.database, "invitation")
    )
    answer = house.accept(nora, name="Nora Neu", password=NEW, again=NEW)
    assert answer.status_code == 303
    assert "Nora Neu" in nora.page("/events")
    assert house.accept(house.web.anybody(), name="X", password=NEW, again=NEW).status_code == 404
    with house.database.tenant_session(house.tenant.id) as session:
        acts = set(session.scalars(select(AuditEntry.action)))
    assert {"member.invited", "member.joined"} <= acts


def test_somebody_known_logs_in_with_the_password_they_have(house: House) -> None:
    other = make_tenant(house.database)
    known = house.web.person(other, "viewer", email="kim@example.org")
    house.invite("Kim@example.org")
    guest = house.web.anybody()
    assert "You have an account already" in guest.page(link_in(house.database, "invitation"))
    assert house.accept(guest, password="not theirs at all").status_code == 422
    assert house.accept(guest, password=PASSWORD).status_code == 303
    assert known.user is not None
    assert roles(house)[known.user.id] == "organiser"


def test_a_link_is_no_use_to_somebody_else_who_is_logged_in(house: House) -> None:
    stranger = house.web.person(make_tenant(house.database), "owner", email="s@example.org")
    house.invite("kim@example.org")
    assert "You are logged in as s@example.org" in stranger.page(
        link_in(house.database, "invitation")
    )
    assert house.accept(stranger).status_code == 404
    assert len(roles(house)) == 2


def test_whoever_asks_is_told_the_same_for_known_and_unknown_addresses(house: House) -> None:
    house.web.person(make_tenant(house.database), "viewer", email="known@example.org")
    answers = []
    for name in ("known", "unknown"):
        assert house.invite(f"{name}@example.org").status_code == 303
        text = house.admin.page("/settings/members")
        answers.append(text.count(f"{name}@example.org"))
    assert answers[0] == answers[1]


def test_withdrawn_resent_and_late_links_end(house: House) -> None:
    house.invite("kim@example.org")
    first = link_in(house.database, "invitation")
    page = house.admin.page("/settings/members")
    uid = page.split("/settings/members/invitations/")[1].split("/")[0]
    house.clock.advance(200)
    path = f"/settings/members/invitations/{uid}"
    assert house.admin.post(f"{path}/resend").status_code == 303
    second = link_in(house.database, "invitation")
    guest = house.web.anybody()
    assert guest.get(first).status_code == 404
    assert guest.get(second).status_code == 200
    assert house.admin.post(f"{path}/withdraw").status_code == 303
    assert guest.get(second).status_code == 404
    assert house.admin.post(f"{path}/withdraw").status_code == 404
    house.invite("lou@example.org")
    late = link_in(house.database, "invitation")
    house.clock.advance(15 * 86_400)
    assert guest.get(late).status_code == 404


def test_nobody_gives_changes_or_removes_more_than_they_have(house: House) -> None:
    assert house.invite("kim@example.org", "owner").status_code == 422
    assert house.admin.post(member_path(house.admin, "role"), role="owner").status_code == 409
    assert house.admin.post(member_path(house.owner, "role"), role="viewer").status_code == 409
    assert house.admin.post(member_path(house.owner, "remove")).status_code == 409
    assert sorted(roles(house).values()) == ["admin", "owner"]


def test_the_last_owner_stays(house: House) -> None:
    for verb, fields in (("role", {"role": "admin"}), ("remove", {})):
        answer = house.owner.post(member_path(house.owner, verb), **fields)
        assert answer.status_code == 409
        assert "last owner" in answer.text
    assert house.owner.post(member_path(house.admin, "role"), role="owner").status_code == 303
    assert house.owner.post(member_path(house.owner, "role"), role="viewer").status_code == 303


def test_whoever_is_removed_is_out_at_once(house: House) -> None:
    helper = house.web.person(house.tenant, "organiser", name="Hal Helper")
    assert helper.get("/events").status_code == 200
    assert house.admin.post(member_path(helper, "remove")).status_code == 303
    assert helper.get("/events").status_code == 302
    with house.database.tenant_session(house.tenant.id) as session:
        entry = session.scalars(
            select(AuditEntry).where(AuditEntry.action == "member.removed")
        ).one()
    assert entry.ip == "127.0.0.1"
    assert entry.before == {"role": "organiser", "name": "Hal Helper"}


def test_another_organisation_s_member_does_not_exist(house: House) -> None:
    foreign = house.web.person(make_tenant(house.database), "viewer")
    for verb in ("role", "remove"):
        assert house.owner.post(member_path(foreign, verb), role="viewer").status_code == 404
    assert foreign.get("/events").status_code == 200


def test_what_is_no_single_address_is_not_invited(house: House) -> None:
    for address in ("", "no address", "a@b.example, c@d.example"):
        assert house.invite(address).status_code == 422
    assert not mails_of(house.database, "invitation")


def test_a_full_organisation_is_refused_in_words(house: House) -> None:
    operator = house.web.operator()
    operator.post(f"/operator/tenants/{house.tenant.uid}/limits", members="3")
    assert house.invite("kim@example.org").status_code == 303
    answer = house.invite("lou@example.org")
    assert answer.status_code == 422
    assert "limit is reached (Members: 3)" in answer.text


def test_an_invitation_that_was_too_late_takes_a_seat_again(house: House) -> None:
    operator = house.web.operator()
    operator.post(f"/operator/tenants/{house.tenant.uid}/limits", members="3")
    house.invite("kim@example.org")
    page = house.admin.page("/settings/members")
    uid = page.split("/settings/members/invitations/")[1].split("/")[0]
    with house.database.tenant_session(house.tenant.id) as session:
        session.execute(update(Invitation).values(expires_at=house.clock.now()))
        session.commit()
    house.clock.advance(1)
    assert house.invite("lou@example.org").status_code == 303
    answer = house.admin.post(f"/settings/members/invitations/{uid}/resend")
    assert answer.status_code == 409
    assert "limit is reached (Members: 3)" in answer.text
