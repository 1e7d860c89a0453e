"""Keys of attendees: what their names, companies and addresses are found by."""

import pytest

from meet2be.attendees.keys import LONGEST_KEY, keys_of, name_keys


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("Anna Schmidt", ("anna schmidt", "schmidt", None)),
        ("  Zoé   MÜLLER ", ("zoe muller", "muller", None)),
        ("Ada Meier-Groß", ("ada meier-gross", "meier-gross", "gross")),
        ("Dr. Ida von Berg", ("dr. ida von berg", "ida von berg", "berg")),
        ("Plato", ("plato", "", None)),
        ("李小龍", ("李小龍", "", None)),
    ],
)
def test_a_name_is_found_by_its_first_second_and_last_word(
    name: str, keys: tuple[str, str, str | None]
) -> None:
    assert tuple(name_keys(name).values()) == keys


def test_no_key_is_longer_than_its_column() -> None:
    assert len(name_keys("ﷺ" * LONGEST_KEY)["name_key"] or "") == LONGEST_KEY


def test_keys_are_made_of_what_is_given_only() -> None:
    assert keys_of({"email_norm": "é@fass.de"}) == {
        "email_key": "é@fass.de",
        "domain_key": "fass.de",
    }
    assert keys_of({"email_norm": None, "status": "active", "company": " "}) == {
        "email_key": "", "domain_key": "", "company_key": None,
    }  # fmt: skip
