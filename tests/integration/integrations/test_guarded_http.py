import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from meet2be.integrations.guarded_addresses import AddressRules
from meet2be.integrations.guarded_dns import LookUpFailed, Resolver
from meet2be.integrations.guarded_http import CallLimits, GuardedHttp, HookCallFailed
from meet2be.integrations.guarded_urls import RefusedUrl, UrlRules
from onqueue.testing import FakeClock
from support.receivers import OK, Answering, drip, receiving, status

HERE = AddressRules(allowed=["127.0.0.0/8"])
ANYTHING = UrlRules(allow_http=True, ports=frozenset())
AMPLE = CallLimits(connect=30, total=60)
SHORT = CallLimits(connect=0.5, total=0.6)


def names(**known: Sequence[str]) -> Resolver:
    """A resolver that knows these names only."""

    def look_up(host: str, _port: int) -> Sequence[str]:
        if host.replace(".", "_") not in known:
            raise OSError(-2, "Name or service not known")
        return known[host.replace(".", "_")]

    return Resolver(look_up)


def caller(limits: CallLimits = AMPLE, **options: object) -> GuardedHttp:
    given = {"urls": ANYTHING, "addresses": HERE, "limits": limits, **options}
    return GuardedHttp(**given)  # type: ignore[arg-type]


def failure(guarded: GuardedHttp, url: str) -> HookCallFailed:
    with pytest.raises(HookCallFailed) as caught:
        guarded.post(url, {}, b"{}")
    return caught.value


def test_the_connection_goes_to_the_checked_address_and_keeps_the_name() -> None:
    """W2."""
    guarded = caller(resolver=names(receiver_example=["127.0.0.3"]))
    with receiving() as receiver:
        receiver_url = receiver.url("/a?b=%20c", host="receiver.example")
        receiver.close()
        assert failure(guarded, receiver_url).address == "127.0.0.3"
    guarded = caller(resolver=names(receiver_example=["127.0.0.1"]))
    with receiving() as receiver:
        answer = guarded.post(
            receiver.url("/a?b=%20c", host="receiver.example"), {"X-Own": "1"}, b'{"a":1}'
        )
    assert (answer.status, answer.body, answer.address) == (200, b"ok", "127.0.0.1")
    (request,) = receiver.received
    assert (request.target, request.body) == ("/a?b=%20c", b'{"a":1}')
    assert request.headers["host"] == f"receiver.example:{receiver.port}"
    assert request.headers["x-own"] == "1"
    assert request.headers["accept-encoding"] == "identity"


def test_a_name_that_leads_elsewhere_after_the_check_is_refused_at_the_connection() -> None:
    """W1, W2: public when the endpoint was saved, an inner address when it is called."""
    answers = iter([["93.184.216.34"], ["127.0.0.1"], ["169.254.169.254"]])
    guarded = caller(
        addresses=AddressRules(), resolver=Resolver(lambda _host, _port: next(answers))
    )
    with receiving() as receiver:
        url = receiver.url(host="rebinding.example")
        assert guarded.check(url).host == "rebinding.example"
        for address in ("127.0.0.1", "169.254.169.254"):
            error = failure(guarded, url)
            assert (error.code, error.address) == ("refused", address)
    assert receiver.received == []


def test_many_rebinding_races_reach_nothing_inside() -> None:
    """W2."""
    turn = count()
    flips = Resolver(
        lambda _host, _port: ["127.0.0.1"] if next(turn) % 2 else ["192.0.2.1", "127.0.0.1"]
    )
    guarded = caller(addresses=AddressRules(), resolver=flips)
    with receiving() as receiver:
        url = receiver.url(host="rebinding.example")
        assert {failure(guarded, url).code for _ in range(60)} == {"refused"}
    assert receiver.received == []


def test_an_answer_that_is_kept_for_a_moment_is_checked_at_each_call() -> None:
    """W1, W2."""
    clock, asked = FakeClock(), count()
    kept = Resolver(lambda *_: [f"127.0.0.{next(asked) + 1}"], kept=5, monotonic=clock.monotonic)
    open_, shut = caller(resolver=kept), caller(resolver=kept, addresses=AddressRules())
    with receiving() as receiver:
        url = receiver.url(host="receiver.example")
        assert open_.post(url, {}, b"").address == "127.0.0.1"
        clock.advance(4.9)
        assert open_.post(url, {}, b"").address == "127.0.0.1"
        error = failure(shut, url)
        assert (error.code, error.address) == ("refused", "127.0.0.1")
        with pytest.raises(RefusedUrl, match="not on the public network"):
            shut.check(url)
        assert failure(open_, url).address == "127.0.0.2", "who checks an address looks it up anew"
        clock.advance(5.1)
        assert failure(open_, url).address == "127.0.0.3"
    assert len(receiver.received) == 2


def test_one_inner_address_among_several_refuses_all() -> None:
    """W5."""
    guarded = caller(resolver=names(mixed_example=["127.0.0.1", "10.0.0.1"]))
    with receiving() as receiver:
        error = failure(guarded, receiver.url(host="mixed.example"))
        assert (error.code, receiver.received) == ("refused", [])
        with pytest.raises(RefusedUrl, match="not on the public network"):
            guarded.check(receiver.url(host="mixed.example"))


def test_the_next_address_of_a_name_is_tried_when_one_does_not_answer() -> None:
    guarded = caller(resolver=names(two_example=["127.0.0.9", "127.0.0.1"]))
    with receiving() as receiver:
        assert guarded.post(receiver.url(host="two.example"), {}, b"").address == "127.0.0.1"


def test_an_address_that_swallows_packets_leaves_time_for_the_next() -> None:
    limits = CallLimits(connect=1.0, total=60)
    guarded = caller(limits, resolver=names(two_example=["127.0.0.9", "127.0.0.1"]))
    with receiving() as receiver, ExitStack() as stack:
        full, *waiting = [stack.enter_context(socket.socket()) for _ in range(4)]
        full.bind(("127.0.0.9", receiver.port))
        full.listen(0)
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.9", receiver.port))
        assert guarded.post(receiver.url(host="two.example"), {}, b"").address == "127.0.0.1"


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_no_redirect_is_followed(code: int) -> None:
    """W3."""
    with receiving() as inner, receiving(status(code, f"Location: {inner.url()}")) as receiver:
        answer = caller().post(receiver.url(), {}, b"")
    assert (answer.status, answer.headers["location"], inner.received) == (code, inner.url(), [])


@pytest.mark.parametrize(
    "answer",
    [
        drip(b"X-More: 1\r\n", first=b"HTTP/1.1 200 OK\r\n"),
        drip(b"x", first=b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        drip(b"1\r\nx\r\n", first=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        drip(b"", first=b""),
        drip(b"y", first=b"HTTP/1.1 200 O"),
    ],
)
def test_a_receiver_that_drips_is_given_up_in_time(answer: Answering) -> None:
    """W7: it goes on for ever, so a call that is not given up never ends."""
    with receiving(answer) as receiver:
        assert failure(caller(SHORT), receiver.url()).code == "timeout"


def test_a_large_answer_is_read_in_part_and_nothing_is_unpacked() -> None:
    """W8."""
    bomb = gzip.compress(bytes(20_000_000))
    packed = status(200, "Content-Encoding: gzip", body=bomb)
    with receiving(packed) as receiver:
        answer = caller(CallLimits(total=60, most_read=1000)).post(receiver.url(), {}, b"")
    assert (answer.body, answer.truncated) == (bomb[:1000], True)
    with receiving(drip(bytes(60_000), every=0, first=b"HTTP/1.1 200 OK\r\n\r\n")) as receiver:
        answer = caller().post(receiver.url(), {}, b"")
    assert (len(answer.body), answer.truncated) == (65_536, True)


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """W9."""
    with receiving() as receiver, receiving() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url(""))
        assert caller().post(receiver.url(), {}, b"").status == 200
    assert proxy.received == []


def test_interim_answers_are_passed_over_and_odd_ones_told_as_they_are() -> None:
    """W12."""
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
    with receiving(early + status(204)) as receiver:
        assert caller().post(receiver.url(), {}, b"").status == 204
    for code in (599, 999):
        with receiving(status(code)) as receiver:
            assert caller().post(receiver.url(), {}, b"").status == code
    for junk in (b"hello\r\n\r\n", early * 9 + OK, b"HTTP/1.1 20x OK\r\n\r\n"):
        with receiving(junk) as receiver:
            assert failure(caller(), receiver.url()).code == "unparsable"
    with receiving(lambda *_: None) as receiver:
        assert failure(caller(), receiver.url()).code == "reset"


def test_a_name_that_is_not_found_and_a_port_that_is_closed_are_told_apart() -> None:
    guarded = caller(resolver=names())
    assert failure(guarded, "http://nowhere.example/").code == "dns"
    with pytest.raises(RefusedUrl, match=r"'nowhere\.example' cannot be found"):
        guarded.check("http://nowhere.example/")
    assert failure(guarded, "http://127.0.0.1:1/").code == "connect"
    assert failure(guarded, "gopher://127.0.0.1/").code == "refused"


def test_a_name_server_that_does_not_answer_holds_up_its_own_name_only() -> None:
    release = threading.Event()

    def look_up(host: str, _port: int) -> Sequence[str]:
        if host == "hangs.example":
            release.wait(60)
        return ["127.0.0.1"]

    resolver = Resolver(look_up, most_threads=2)
    guarded = caller(CallLimits(connect=0.1, total=0.6), resolver=resolver)
    with receiving() as receiver:
        for _ in range(3):
            error = failure(guarded, receiver.url(host="hangs.example"))
            assert (error.code, str(error)) == (
                "timeout", "no name server answered for 'hangs.example' in time",
            )  # fmt: skip
        patient = caller(resolver=resolver)
        assert patient.post(receiver.url(host="other.example"), {}, b"").status == 200
    release.set()
    with pytest.raises(LookUpFailed, match="no address"):
        Resolver(lambda *_: ["what"]).addresses("odd.example", 1, 1)


Certified = Callable[..., ssl.SSLContext]


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Certified:
    """Makes a server's TLS for a name; `ca.pem` beside it is what to trust."""
    folder = tmp_path_factory.mktemp("tls")

    def make(name: str, *, is_expired: bool = False) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        end = datetime(2020, 1, 2, tzinfo=UTC) if is_expired else datetime(2090, 1, 1, tzinfo=UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC) - timedelta(days=1))
            .not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (folder / "ca.pem").write_bytes(pem)
        (folder / "server.pem").write_bytes(secret + pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem")
        return context

    make.folder = folder  # type: ignore[attr-defined]
    return make


def test_the_certificate_must_be_valid_and_the_names_own(certified: Certified) -> None:
    """W2, W13."""
    folder: Path = certified.folder  # type: ignore[attr-defined]
    known = {"own_example": ["127.0.0.1"], "other_example": ["127.0.0.1"]}
    asked: list[str | None] = []
    context = certified("own.example")
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    with receiving(context=context) as receiver:
        trusting = caller(resolver=names(**known), ca_file=str(folder / "ca.pem"))
        assert trusting.post(receiver.url(host="own.example"), {}, b"{}").body == b"ok"
        assert asked == ["own.example"]
        wrong = failure(trusting, receiver.url(host="other.example"))
        assert (wrong.code, wrong.address) == ("tls", "127.0.0.1")
        assert "Hostname mismatch" in str(wrong)
        assert failure(caller(resolver=names(**known)), receiver.url(host="own.example")).code == (
            "tls"
        )
    with receiving(context=certified("own.example", is_expired=True)) as receiver:
        trusting = caller(resolver=names(**known), ca_file=str(folder / "ca.pem"))
        assert "certificate has expired" in str(failure(trusting, receiver.url(host="own.example")))


def test_each_call_has_a_connection_of_its_own() -> None:
    guarded = caller()
    with receiving() as receiver:
        assert [guarded.post(receiver.url(), {}, b"{}").status for _ in range(20)] == [200] * 20
    assert len(receiver.received) == 20
