import pytest

from meet2be.integrations.guarded_urls import LONGEST, RefusedUrl, UrlRules, target_of

ANY_PORT = UrlRules(allow_http=True, ports=frozenset())


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://Example.ORG", "https://example.org/"),
        ("  https://example.org:443/a?b=c ", "https://example.org/a?b=c"),
        ("https://example.org./x", "https://example.org/x"),
        ("https://bücher.example/ü?q=ä", "https://xn--bcher-kva.example/%C3%BC?q=%C3%A4"),
        ("https://[2a00:1450:0:0::1]/", "https://[2a00:1450::1]/"),
        ("https://example.org/%7e%2F", "https://example.org/%7e%2F"),
        ("HTTPS://example.org/{id}", "https://example.org/%7Bid%7D"),
        ("https://a_b.example.org/", "https://a_b.example.org/"),
    ],
)
def test_an_address_has_one_form(given: str, kept: str) -> None:
    target = target_of(given, UrlRules())
    assert target.url == kept
    assert target_of(kept, UrlRules()) == target


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("", "Give an address"),
        ("https://example.org/" + "x" * LONGEST, "up to 2000 characters"),
        ("example.org", "begin with https://"),
        ("http://example.org/", "begin with https://"),
        ("ftp://example.org/", "begin with https://"),
        ("file:///etc/passwd", "begin with https://"),
        ("gopher://example.org:70/_x", "begin with https://"),
        ("javascript:alert(1)", "begin with https://"),
        ("https:///path", "not a valid host name"),
        ("https://user@example.org/", "user or password"),
        ("https://user:secret@example.org/", "user or password"),
        ("https://example.org@10.0.0.1/", "user or password"),
        ("https://example.org#@10.0.0.1/", "fragment"),
        ("https://example.org/x#y", "fragment"),
        ("https://example.org\\@10.0.0.1/", "backslash"),
        ("https://exa mple.org/", "blanks"),
        ("https://example.org/\r\nHost: x", "blanks or control"),
        ("https://example.org/\x00", "blanks or control"),
        ("https://example.org:22/", "Port 22"),
        ("https://example.org:25/", "Port 25"),
        ("https://example.org:6379/", "Port 6379"),
        ("https://example.org:99999/", "not an address"),
        ("https://[::1/", "not an address"),
        ("https://[fe80::1%25eth0]/", "a zone"),
        ("https://127.1/", "not a valid host name"),
        ("https://0x7f000001/", "not a valid host name"),
        ("https://2130706433/", "not a valid host name"),
        ("https://0177.0.0.1/", "not a valid host name"),
        ("https://-a.example/", "not a valid host name"),
        ("https://a..b/", "not a valid host name"),
        ("https://" + "a" * 64 + ".example/", "not a valid host name"),
        ("https://ex%61mple.org/", "not a valid host name"),
        ("https://\u2488.example/", "not a valid host name"),
    ],
)
def test_what_parsers_could_read_differently_is_refused(given: str, why: str) -> None:
    """W6: other schemes, credentials, ports; odd hosts."""
    with pytest.raises(RefusedUrl, match=why) as caught:
        target_of(given, UrlRules())
    assert "secret" not in str(caught.value)


def test_what_is_allowed_is_a_matter_of_settings() -> None:
    assert target_of("http://example.org/", UrlRules(allow_http=True)).port == 80
    assert target_of("http://example.org:8081/", ANY_PORT).port == 8081
    assert target_of("https://example.org:8443/", UrlRules(ports=frozenset((443, 8443)))).port
    with pytest.raises(RefusedUrl):
        target_of("http://example.org:443/", UrlRules())


def test_what_is_shown_of_an_address_has_no_query() -> None:
    assert target_of("https://example.org/a?token=x", UrlRules()).shown == "https://example.org/a"
