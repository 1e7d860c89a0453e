"""What a program leaves out of its wish for an export is as usual in the file's language."""

from types import SimpleNamespace
from typing import Any

import pytest

from meet2be.web.api.exports import ExportWish, spec_of


@pytest.mark.parametrize(
    ("organisation", "given", "delimiter"),
    [
        ("en-GB", {}, "comma"),
        ("en-GB", {"language": "de"}, "semicolon"),
        ("de-DE", {}, "semicolon"),
        ("de-DE", {"language": "en"}, "comma"),
        ("en-GB", {"language": "de", "delimiter": "comma"}, "comma"),
    ],
)
def test_columns_are_parted_as_spreadsheets_of_the_files_language_like_it(
    organisation: str, given: dict[str, Any], delimiter: str
) -> None:
    call: Any = SimpleNamespace(caller=SimpleNamespace(tenant_locale=organisation))
    spec = spec_of(call, ExportWish(format="csv", **given), "Europe/Berlin")
    assert spec.delimiter == delimiter
