"""Which addresses are gone on to: pages of ours, and nothing that only looks so."""

import pytest

from meet2be.web.security import page_of_ours


@pytest.mark.parametrize("address", ["/", "/events?q=a%20b", "/[", "/refunds?status=failed#top"])
def test_pages_of_ours_are_gone_on_to(address: str) -> None:
    assert page_of_ours(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "", "events", "//evil.example", "/\\evil.example", "https://evil.example/", "//[", "//[::1",
        "/\t/evil.example", "/a\r\nSet-Cookie: x=1", "/\x00", "/\x1b[0m", "/\u2028x", "/\ud800",
    ],
)  # fmt: skip
def test_other_sites_and_what_is_no_address_are_not(address: str) -> None:
    assert page_of_ours(address) is None
