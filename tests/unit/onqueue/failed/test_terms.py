"""What words an error has, and which ones find it."""

import pytest

from onqueue.failed.terms import (
    LONGEST_TERM,
    MOST_WANTED,
    MOST_WORDS,
    tag_term,
    tells,
    terms_of,
    wanted_words,
)


@pytest.mark.parametrize(
    ("error_type", "error", "words"),
    [
        ("KeyError", "'mail'", {"keyerror", "error", "mail"}),
        ("HTTPError", "403", {"httperror", "error", "403"}),
        ("E", "timeout after 3.5 s", {"e", "timeout", "after", "3", "5", "s"}),
        ("E", "/srv/7/list_of.csv", {"e", "srv", "7", "list", "of", "csv"}),
        ("E", "ann@example.org: Äpfel", {"e", "ann", "example", "org", "äpfel"}),
        ("E", "", {"e"}),
    ],
)  # fmt: skip
def test_words_are_runs_of_letters_and_digits_and_the_parts_of_names(
    error_type: str, error: str, words: set[str]
) -> None:
    assert terms_of(error_type, error, ()) == words


def test_words_are_bounded_in_number_and_length() -> None:
    terms = terms_of("E", " ".join(f"w{number}" for number in range(1_000)) + "x" * 500, ())
    assert len(terms) == MOST_WORDS
    assert {"e", "w0", f"w{MOST_WORDS - 2}"} <= terms
    (long,) = terms_of("L" * 500, "", ())
    assert long == "l" * LONGEST_TERM
    assert tells("L" * 500, "", "l" * 500)


def test_a_tag_is_the_term_of_no_other_tag_and_of_no_word() -> None:
    tags = ("vip", "VIP", "#vip", "", "x" * 63, "x" * 64, "x" * 500, "x" * 499 + "y", "a\x00b")
    terms = {tag_term(tag) for tag in tags}
    assert len(terms) == len(tags)
    assert all(len(term) <= LONGEST_TERM for term in terms)
    assert not terms & terms_of("vip", " ".join(tags), ())
    assert terms_of("E", "", ("vip",)) == {"e", tag_term("vip")}


@pytest.mark.parametrize(
    ("text", "is_told"),
    [
        ("timeout", True), ("TIME", True), ("exceeded Timeout", True), ("10.0", True),
        ("sql after", False), ("imeout", False), ("after 4", False), ("%", False), ("_", False),
    ],
)  # fmt: skip
def test_each_word_that_is_looked_for_begins_one_of_the_error(text: str, is_told: bool) -> None:
    assert tells("TimeoutExceeded", "after 3.5 s at 10.0.0.7", text) is is_told


def test_what_is_looked_for_may_be_any_text() -> None:
    assert wanted_words("Mail \x00 mail \ud800 7%") == ["mail", "x00", "ud800", "7"]


def test_no_more_words_are_looked_for_than_a_statement_has_room_for() -> None:
    most = " ".join(f"w{number}" for number in range(MOST_WANTED))
    assert len(wanted_words(f"{most} W0 {most}")) == MOST_WANTED
    with pytest.raises(ValueError, match="17 words are looked for at once: 16 are the most"):
        wanted_words(f"{most} another")
