"""The reference pages of the queue core say what its code says."""

from collections.abc import Callable
from pathlib import Path

import pytest

from onqueue import errors
from onqueue.options import OPTIONS
from support.core_reference import PAGES
from support.core_words import ERRORS, OPTION_WORDS


@pytest.mark.parametrize(("path", "page"), PAGES.items(), ids=[path.stem for path in PAGES])
def test_the_page_is_what_the_code_says(path: Path, page: Callable[[], str]) -> None:
    assert path.read_text("utf-8") == page(), "write it anew: make catalogue"


def test_nothing_is_told_that_is_not_there() -> None:
    assert list(OPTION_WORDS) == list(OPTIONS)
    assert [name for name in ERRORS if not hasattr(errors, name)] == []
