"""docs/reference/api.md, made from the API's own description."""

from collections.abc import Iterator

from meet2be.web.api import application
from meet2be.web.api.readable import Field, Shown, readable
from support.pages import ROOT

PAGE = ROOT / "docs/reference/api.md"
HEAD = """# API reference

Made from the API's description by `make catalogue`; the same description is served as OpenAPI 3.1
at `/api/v1/openapi.json` and as a page at `/api/docs`. How it is used:
[Use the API](../how-to/use-the-api.md).
"""


def write() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """Return the page's text."""
    assert application.AREAS
    api = readable()
    lines = [HEAD]
    for area, operations in api.areas:
        lines.append(f"## {area}\n")
        for operation in operations:
            lines.extend(_operation(operation))
    lines.append(
        "## Permissions\n\n| Permission | What for | Its person is at least |\n| --- | --- | --- |"
    )
    lines.extend(f"| `{key}` | {words} | {role} |" for key, words, role in api.scopes)
    lines.append("\n## Problems\n\n| Code | Status | What it says |\n| --- | --- | --- |")
    lines.extend(f"| `{code}` | {status} | {title} |" for code, status, title in api.problems)
    lines.append("\n## Models\n")
    for name, words, fields in api.things:
        lines.append(f"### {name}\n\n{words}\n\n| Field | What |\n| --- | --- |")
        lines.extend(_row(each) for each in fields)
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _operation(it: Shown) -> Iterator[str]:
    yield f"### `{it.method} {it.path}`\n"
    text = f"{it.summary}. {it.details}".strip()
    needs = f" Permission `{it.scope}`." if it.scope else ""
    files = f" Files: {', '.join(it.file_types)}." if it.file_types else ""
    gives = f" with `{it.answer}`" if it.answer else ""
    codes = ", ".join(f"`{code}`" for _status, code in it.problems)
    yield f"{text}{needs} Answers {it.status}{gives}.{files} Problems: {codes}.\n"
    rows = [(each, each.place) for each in it.parameters] + [(each, "body") for each in it.body]
    if rows:
        yield "| Name | Where | What | Needed |\n| --- | --- | --- | --- |"
        for each, place in rows:
            needed = "yes" if each.is_needed else ""
            yield f"| `{each.name}` | {place} | {_what(each)} | {needed} |"
        yield ""


def _row(each: Field) -> str:
    return f"| `{each.name}` | {_what(each)} |"


def _what(each: Field) -> str:
    words = f": {each.words}" if each.words else ""
    return f"{each.kind}{words}".replace("|", "or")
