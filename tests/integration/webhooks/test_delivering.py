import json
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import standardwebhooks
import svix
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import select

from meet2be.db import Database
from meet2be.integrations.guarded_http import CallLimits
from meet2be.notifications.models import Notification
from meet2be.tenancy.models import Tenant
from meet2be.webhooks.endpoints import (
    EndpointDraft,
    change_endpoint,
    check_address,
    delete_endpoint,
    live_keys,
    pause,
    revoke_former_key,
    revoke_former_secret,
    rotate_key,
    rotate_secret,
    switch_on,
)
from meet2be.webhooks.errors import NotNowError
from meet2be.webhooks.ledger import Aside
from meet2be.webhooks.models import WebhookSecret
from meet2be.webhooks.replaying import (
    Filters,
    ask_for_replay,
    cancel_delivery,
    count_replayable,
    replay_one,
    replay_slice,
    resume_slice,
    send_test,
)
from meet2be.webhooks.speeds import Speeds
from meet2be.webhooks.vault import Vault
from meet2be.webhooks.verdicts import BACKOFF, Verdict
from onqueue.clock import SystemClock
from onqueue.testing.clock import FakeClock
from support.hooks import Stage, deliveries_of, staged
from support.receivers import Received, after, in_turn, receiving, status


def verified(secret: str, request: Received) -> dict[str, object]:
    """Verify a request as receivers do, with both libraries."""
    standardwebhooks.Webhook(secret).verify(request.body, request.headers)
    svix.Webhook(secret).verify(request.body, request.headers)
    found: dict[str, object] = json.loads(request.body)
    return found


@pytest.fixture
def clock() -> FakeClock:
    """Stands still at the wall's time: the libraries refuse what is older than five minutes."""
    return FakeClock(SystemClock().now().replace(microsecond=0))


def test_a_delivery_is_signed_and_booked(database: Database, clock: FakeClock) -> None:
    """W12: any 2xx is a success. W24: what is secret is not in the log."""
    answer = status(202, "Set-Cookie: id=7", "X-Echo: token-1234", body=b"token-1234 \0 ok")
    with receiving(answer) as receiver:
        stage = staged(
            database, clock, receiver.url("/hook?key=1"), headers="Authorization: token-1234"
        )
        delivery = stage.announced()
        found = stage.deliver(delivery)
    assert isinstance(found, Verdict) and found.outcome == "succeeded"
    (request,) = receiver.received
    told = verified(stage.secret, request)
    assert request.headers["webhook-id"] == told["id"]
    assert request.headers["webhook-timestamp"] == str(int(clock.now().timestamp()))
    assert request.headers["authorization"] == "token-1234"
    depth = stage.deliveries.depths.told(stage.tenant_id, 1, clock.now())
    assert request.headers["meet2be-webhook-depth"] == depth
    row = stage.row(delivery)
    assert (row.status, row.attempts, row.settled_at) == ("succeeded", 1, clock.now())
    (attempt,) = stage.attempts(delivery)
    assert (attempt.n, attempt.status_code, attempt.address) == (1, 202, "127.0.0.1")
    assert attempt.request_headers["Authorization"] == "•••"
    assert attempt.request_headers["Meet2Be-Webhook-Depth"] == "1"
    assert attempt.headers["set-cookie"] == attempt.headers["x-echo"] == "•••"
    assert attempt.body_excerpt == "••• \ufffd ok"
    health = stage.health()
    assert (health.recent, health.fails_in_row, health.last_success_at) == ("s", 0, clock.now())
    assert isinstance(stage.deliver(delivery), Aside), "what is settled is not sent again"


def test_what_the_receiver_cannot_do_now_comes_again_six_times_in_all(
    sqlite_database: Database, clock: FakeClock
) -> None:
    """W7, W17: each attempt is signed anew, with its own time and the same id."""
    with receiving(status(503)) as receiver:
        stage = staged(sqlite_database, clock, receiver.url())
        delivery = stage.announced()
        found = stage.deliver(delivery)
        delays: list[float] = []
        while isinstance(found, Verdict) and found.outcome == "again":
            row, delays = stage.row(delivery), [*delays, found.delay]
            assert (row.status, row.next_at) == (
                "waiting", clock.now() + timedelta(seconds=found.delay),
            )  # fmt: skip
            found = stage.deliver(delivery)
    assert delays == list(BACKOFF) == [30, 60, 120, 300, 600]
    row = stage.row(delivery)
    assert (row.status, row.attempts, row.final_reason) == ("failed", 6, "server_error")
    ids = {request.headers["webhook-id"] for request in receiver.received}
    assert len(receiver.received) == 6 and len(ids) == 1
    for request in receiver.received:
        verified(stage.secret, request)


def test_a_retry_that_comes_after_something_newer_tells_that_it_is_older(
    sqlite_database: Database, clock: FakeClock
) -> None:
    """W22: the order stands in the body, the time of the attempt in the headers."""
    with receiving(in_turn(status(503), status(200))) as receiver:
        stage = staged(sqlite_database, clock, receiver.url())
        older = stage.announced(1)
        stage.deliver(older)
        clock.advance(BACKOFF[0])
        stage.deliver(stage.announced(2))
        stage.deliver(older)
    _, newer, again = receiver.received
    told, retold = verified(stage.secret, newer), verified(stage.secret, again)
    assert int(str(retold["sequence"])) < int(str(told["sequence"]))
    assert retold["id"] != told["id"]
    assert again.headers["webhook-timestamp"] == str(int(clock.now().timestamp()))


def test_what_a_receiver_sends_back_of_secrets_is_kept_nowhere(
    database: Database, clock: FakeClock
) -> None:
    """W24: also in what is said of the endpoint; PostgreSQL would refuse the NUL."""
    with receiving() as receiver:
        stage = staged(database, clock, receiver.url(), headers="Authorization: Bearer tok-56789")
        bare = stage.secret.removeprefix("whsec_")
        receiver.answer = status(
            302, f"Location: https://a.example/?key=tok-56789&sign={bare}", "X-Odd: a\0b",
            body=stage.secret.encode() + b" " + b"x" * 16_370 + b"tok-56789",
        )  # fmt: skip
        delivery = stage.announced()
        stage.deliver(delivery)
    (attempt,) = stage.attempts(delivery)
    said = stage.health().last_failure
    kept = f"{attempt.headers} {attempt.body_excerpt} {attempt.error_text} {said}"
    assert "•••" in kept
    for secret in ("tok-5", bare, "\0"):
        assert secret not in kept
    assert attempt.headers["x-odd"] == "a\ufffdb"


@pytest.mark.parametrize(
    ("answer", "code", "outcome"),
    [
        (status(400), "refused", "failed"),
        (status(408), "refused", "failed"),
        (status(429, "Retry-After: 7"), "refused", "failed"),
        (status(301, "Location: http://10.0.0.1/"), "moved", "failed"),
        (status(999), "odd_status", "failed"),
        (status(500), "server_error", "again"),
        (status(599), "server_error", "again"),
        (b"junk\r\n\r\n", "unparsable", "again"),
        (lambda *_: None, "reset", "again"),
        (after(120), "timeout", "again"),
    ],
)
def test_what_an_answer_comes_to(
    sqlite_database: Database, clock: FakeClock, answer: bytes, code: str, outcome: str
) -> None:
    """W3, W7, W10, W12: 4xx and 3xx fail at once, 5xx and the network come again."""
    limits = CallLimits(connect=30, total=1 if code == "timeout" else 60)
    with receiving(answer) as receiver:
        stage = staged(sqlite_database, clock, receiver.url(), limits=limits)
        delivery = stage.announced()
        found = stage.deliver(delivery)
    assert isinstance(found, Verdict)
    assert (found.code, found.outcome) == (code, outcome)
    (attempt,) = stage.attempts(delivery)
    assert (attempt.error_class, attempt.outcome) == (code, outcome)


def test_an_endpoint_can_have_its_refusals_tried_again(
    sqlite_database: Database, clock: FakeClock
) -> None:
    """W10."""
    answers = in_turn(status(429, "Retry-After: 3600"), status(400))
    with receiving(answers) as receiver:
        stage = staged(sqlite_database, clock, receiver.url(), retry_refusals=True)
        delivery = stage.announced()
        first, second = stage.deliver(delivery), stage.deliver(delivery)
    assert isinstance(first, Verdict) and isinstance(second, Verdict)
    assert (first.outcome, first.delay, second.outcome) == ("again", 3600, "failed")


def test_who_is_gone_is_switched_off_and_the_admins_are_told(
    database: Database, clock: FakeClock
) -> None:
    """W11."""
    with receiving(status(410)) as receiver:
        stage = staged(database, clock, receiver.url())
        stage.deliver(stage.announced(1))
        late = stage.announced(2)
    assert stage.health().status == "disabled_gone"
    assert (late.status, late.final_reason) == ("cancelled", "endpoint_disabled")
    with database.tenant_session(stage.tenant_id) as session:
        (notice,) = session.scalars(select(Notification)).all()
    assert (notice.kind, notice.link) == ("webhook.disabled", f"/webhooks/{stage.endpoint.uid}")


def test_who_fails_long_enough_is_warned_of_and_then_switched_off(
    sqlite_database: Database, clock: FakeClock
) -> None:
    with receiving(status(500)) as receiver:
        stage = staged(sqlite_database, clock, receiver.url())
        stage.change(fails_in_row=19)
        stage.deliver(stage.announced(1))
        assert (stage.health().status, stage.health().fails_in_row) == ("enabled", 20)
        stage.deliver(stage.announced(2))
        stage.change(fails_in_row=99)
        stage.deliver(stage.announced(3))
        assert stage.health().status == "enabled", "a hundred fails, but within a day"
        clock.advance(86_400)
        stage.deliver(stage.announced(4))
    assert stage.health().status == "disabled_failing"
    with sqlite_database.tenant_session(stage.tenant_id) as session:
        kinds = session.scalars(select(Notification.kind).order_by(Notification.id)).all()
    assert kinds == ["webhook.failing", "webhook.disabled"]


def test_a_rotated_secret_signs_beside_the_new_one_until_it_is_revoked(
    sqlite_database: Database, clock: FakeClock
) -> None:
    """W18."""
    with receiving() as receiver, sqlite_database.tenant_session(1) as session:
        stage = staged(sqlite_database, clock, receiver.url())
        uid = stage.endpoint.uid
        second = rotate_secret(session, stage.bench, uid)
        with pytest.raises(NotNowError, match="former secret is still in use"):
            rotate_secret(session, stage.bench, uid)
        session.commit()
        stage.deliver(stage.announced(1))
        revoke_former_secret(session, stage.bench, uid)
        session.commit()
        stage.deliver(stage.announced(2))
        third = rotate_secret(session, stage.bench, uid)
        session.commit()
        clock.advance(86_401)
        stage.deliver(stage.announced(3))
        sealed = session.scalars(select(WebhookSecret.secret_enc)).all()
    both, new, last = receiver.received
    verified(stage.secret, both)
    verified(second, both)
    verified(second, new)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        verified(stage.secret, new)
    assert len(last.headers["webhook-signature"].split()) == 1
    assert len({stage.secret, second, third}) == 3
    assert all(third not in (text or "") for text in sealed)


def fits(public_key: str, request: Received) -> list[bool]:
    """Tell of each token of a key pair whether it is right, by what is in the request alone."""
    key = Ed25519PublicKey.from_public_bytes(b64decode(public_key.removeprefix("whpk_")))
    found = []
    for token in request.headers["webhook-signature"].split():
        kind, _, signature = token.partition(",")
        if kind != "v1a":
            continue
        named = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}."
        try:
            key.verify(b64decode(signature, validate=True), named.encode() + request.body)
        except InvalidSignature:
            found.append(False)
        else:
            found.append(True)
    return found


def test_a_key_pair_signs_beside_the_secret_and_is_rotated_and_revoked_like_it(
    sqlite_database: Database, clock: FakeClock
) -> None:
    """W18: v1a of Standard Webhooks 1.0.0; whoever knows only the secret verifies as before."""
    with receiving() as receiver, sqlite_database.tenant_session(1) as session:
        stage = staged(sqlite_database, clock, receiver.url(), signs_ed25519=True)
        uid = stage.endpoint.uid
        (first,) = (each.public_key or "" for each in live_keys(session, stage.endpoint))
        session.commit()
        stage.deliver(stage.announced(1))
        second = rotate_key(session, stage.bench, uid)
        with pytest.raises(NotNowError, match="former key is still in use"):
            rotate_key(session, stage.bench, uid)
        session.commit()
        stage.deliver(stage.announced(2))
        revoke_former_key(session, stage.bench, uid)
        with pytest.raises(NotNowError, match="no former key"):
            revoke_former_key(session, stage.bench, uid)
        session.commit()
        stage.deliver(stage.announced(3))
        draft = EndpointDraft(receiver.url(), all_types=True, signs_ed25519=False)
        address = check_address(stage.bench, draft.url)
        change_endpoint(session, stage.bench, uid, draft, address)
        with pytest.raises(NotNowError, match="No key pair signs"):
            rotate_key(session, stage.bench, uid)
        session.commit()
        stage.deliver(stage.announced(4))
        pairs = select(WebhookSecret.secret_enc).where(WebhookSecret.public_key.is_not(None))
        assert session.scalars(pairs).all() == [None, None], "ended pairs are kept nowhere"
    assert [fits(first, each) for each in receiver.received] == [[True], [False, True], [False], []]
    assert [fits(second, each) for each in receiver.received] == [
        [False], [True, False], [True], [],
    ]  # fmt: skip
    for request in receiver.received:
        verified(stage.secret, request)
        assert request.headers["webhook-signature"].startswith("v1,"), "secrets come first"


def test_secrets_open_with_former_app_keys_and_in_their_place_only() -> None:
    sealed = Vault(["a" * 40]).close("whsec_x", "secret:1")
    assert Vault(["b" * 40, "a" * 40]).open(sealed, "secret:1") == "whsec_x"
    for vault, place in ((Vault(["b" * 40]), "secret:1"), (Vault(["a" * 40]), "secret:2")):
        with pytest.raises(Exception, match="PREVIOUS_APP_KEYS"):
            vault.open(sealed, place)


def test_paused_holds_back_edited_goes_to_the_new_address_deleted_cancels(
    database: Database, clock: FakeClock
) -> None:
    """W20."""
    with (
        receiving() as old,
        receiving() as new,
        database.tenant_session(1) as session,
    ):
        stage = staged(database, clock, old.url())
        uid, first = stage.endpoint.uid, stage.announced(1)
        pause(session, stage.bench, uid)
        session.commit()
        assert stage.deliver(first) == Aside("paused")
        assert (stage.row(first).status, stage.announced(2).status) == ("held", "held")
        address = check_address(stage.bench, new.url())
        draft = EndpointDraft(address, all_types=True)
        change_endpoint(session, stage.bench, uid, draft, address)
        switch_on(session, stage.bench, uid)
        session.commit()
        assert not resume_slice(session, stage.endpoint.id)
        session.commit()
        assert isinstance(stage.deliver(first), Verdict)
        assert (len(old.received), len(new.received)) == (0, 1)
        delete_endpoint(session, stage.bench, uid)
        session.commit()
        second = deliveries_of(database, stage.tenant_id)[-1]
        assert (second.status, second.final_reason) == ("cancelled", "endpoint_deleted")
        assert isinstance(stage.deliver(second), Aside)


def test_a_replay_is_a_delivery_of_its_own_with_the_same_id_to_the_present_address(
    database: Database, clock: FakeClock
) -> None:
    """W25."""
    with (
        receiving(in_turn(status(400), status(200))) as receiver,
        database.tenant_session(1) as session,
    ):
        stage = staged(database, clock, receiver.url())
        failed = stage.announced()
        stage.deliver(failed)
        stage.change(url=receiver.url("/new"))
        again = replay_one(session, stage.bench, failed.uid)
        with pytest.raises(NotNowError, match="on its way already"):
            replay_one(session, stage.bench, failed.uid)
        session.commit()
        assert (again.replay_no, again.unique_key == failed.unique_key) == (1, False)
        assert isinstance(stage.deliver(again), Verdict)
        first, second = receiver.received
        assert (first.headers["webhook-id"], first.body) == (
            second.headers["webhook-id"], second.body,
        )  # fmt: skip
        assert (second.target, second.headers["meet2be-replay"]) == ("/new", "1")
        filters = Filters(stage.endpoint.id, statuses=("failed",), since=clock.now())
        assert count_replayable(session, filters) == 1
        ask_for_replay(session, stage.bench, filters)
        assert replay_slice(session, filters, None, 0, 10_000) is None
        session.commit()
    assert [each.replay_no for each in deliveries_of(database, stage.tenant_id)] == [0, 1, 2]


def test_a_test_is_tried_once_and_says_nothing_of_health(
    sqlite_database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed: list[int] = []
    monkeypatch.setattr(Speeds, "note", lambda _self, endpoint, _seconds: timed.append(endpoint))
    with receiving(status(500)) as receiver, sqlite_database.tenant_session(1) as session:
        stage = staged(sqlite_database, clock, receiver.url())
        send_test(session, stage.bench, stage.endpoint.uid)
        session.commit()
        with pytest.raises(NotNowError, match="on its way already"):
            send_test(session, stage.bench, stage.endpoint.uid)
        session.rollback()
        (delivery,) = deliveries_of(sqlite_database, stage.tenant_id)
        found = stage.deliver(delivery)
        assert isinstance(found, Verdict) and found.outcome == "failed"
        with pytest.raises(NotNowError, match="not replayed"):
            replay_one(session, stage.bench, delivery.uid)
        assert send_test(session, stage.bench, stage.endpoint.uid) != delivery.uid
    assert timed == []
    assert (stage.health().recent, stage.health().fails_in_row) == ("", 0)
    assert json.loads(receiver.received[0].body)["test"] is True


def test_what_waits_can_be_cancelled_and_a_suspended_tenant_waits(
    sqlite_database: Database, clock: FakeClock
) -> None:
    with receiving() as receiver, sqlite_database.tenant_session(1) as session:
        stage = staged(sqlite_database, clock, receiver.url())
        first, second = stage.announced(1), stage.announced(2)
        cancel_delivery(session, stage.bench, first.uid)
        session.commit()
        assert isinstance(stage.deliver(first), Aside)
        with sqlite_database.system_session("tests: suspend") as system:
            system.get_one(Tenant, stage.tenant_id).status = "suspended"
            system.commit()
        assert stage.deliver(second) == Aside("suspended", 600.0)
        assert stage.deliveries.deliver(stage.tenant_id + 1, second.id) == Aside("unknown")
    assert receiver.received == []


def test_many_threads_share_their_commits_and_each_gets_its_own_answer(
    database: Database, clock: FakeClock
) -> None:
    with receiving(after(0.02)) as receiver:
        stage: Stage = staged(database, clock, receiver.url())
        made = [stage.announced(number) for number in range(1, 25)]
        with ThreadPoolExecutor(12) as pool:
            found = list(pool.map(stage.deliver, made))
    assert {type(each) for each in found} == {Verdict}
    assert {each.status for each in deliveries_of(database, stage.tenant_id)} == {"succeeded"}
    assert stage.health().recent == "s" * 24
