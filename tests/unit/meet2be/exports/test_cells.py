"""Text that files can hold: properties over any text, and the examples that matter."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meet2be.exports.cells import cut_to, utf16_length, without_command, without_commands, writable

TEXTS = st.text(st.characters(codec=None), max_size=40)


@given(st.lists(st.none() | TEXTS, max_size=20))
def test_a_whole_column_is_mended_as_its_cells_are(texts: list[str | None]) -> None:
    expected = [text and without_command(text) for text in texts]
    assert list(without_commands(texts)) == expected


@given(st.lists(st.none() | TEXTS, max_size=20))
def test_what_is_writable_is_utf_8_and_xml(texts: list[str | None]) -> None:
    for text in writable(texts):
        assert text is None or text.encode() is not None
        assert not set(text or "") & {"\x00", "\x0b", "\ufffe", "\uffff"}


@given(st.text(max_size=60), st.integers(0, 40))
def test_a_cut_is_a_beginning_within_the_limit(text: str, most: int) -> None:
    cut = cut_to(text, most)
    assert text.startswith(cut)
    assert utf16_length(cut) <= most
    assert utf16_length(text) == len(text.encode("utf-16-le")) // 2


@pytest.mark.parametrize("text", ["-5", "-5.30", "+49 30 123", "+1 (555) 010-99", "- 7"])
def test_numbers_and_phones_are_unharmed(text: str) -> None:
    """B1."""
    assert without_command(text) == text


@pytest.mark.parametrize("text", ["=1", " =1", "\u00a0=1", "-1+cmd", "+A1", "@x", "\t1", "\uff1d1"])
def test_commands_are_not_commands_any_more(text: str) -> None:
    """B1."""
    file = io.StringIO()
    csv.writer(file).writerow([without_command(text)])
    assert next(csv.reader([file.getvalue()]))[0] == f"'{text}"
