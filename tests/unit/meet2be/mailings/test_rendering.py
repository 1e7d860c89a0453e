"""Mail texts: the same whether a mail is rendered by itself or filled into its wave's form."""

from datetime import UTC, datetime
from typing import Any

import pytest
from jinja2 import UndefinedError

from meet2be.cancellations.letters import PERSONAL
from meet2be.mailings import rendering
from meet2be.mailings.rendering import render

WAVE_TEMPLATES = ("event_cancelled", "refund_failed", "refund_made")
OUTCOMES = ("refunded", "pending", "nothing_charged", "already_refunded", "organiser")


def _context(**changes: Any) -> dict[str, Any]:
    return {
        "event_title": "Aurora & Friends",
        "starts_at": datetime(2026, 12, 1, 9, tzinfo=UTC),
        "name": "Zoë <b>O'Neill</b>",
        "ticket_code": "T-1",
        "ticket_name": "Early bird",
        "order_code": "C1",
        "tenant_name": "Aurora",
        "currency": "EUR",
        "outcome": "refunded",
        "amount_minor": 24_900,
        "message": "See you <soon>",
        **changes,
    }


@pytest.mark.parametrize("locale", ["en", "de-DE", "vi-VN", "en-GB"])
@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("key", WAVE_TEMPLATES)
def test_a_mail_of_a_wave_reads_as_if_it_were_rendered_by_itself(
    key: str, outcome: str, locale: str
) -> None:
    for name in ("Zoë <b>O'Neill</b>", "Ann", "{{ name }}", r"\1 \g<name>", ""):
        context = _context(name=name, outcome=outcome)
        assert render(key, locale, context, PERSONAL) == render(key, locale, context)


def test_the_forms_of_a_wave_are_rendered_once() -> None:
    render("event_cancelled", "de-DE", _context(), PERSONAL)
    before = rendering._form.cache_info()
    render("event_cancelled", "de-DE", _context(name="Ann", ticket_code="T-2"), PERSONAL)
    after = rendering._form.cache_info()
    assert (after.hits, after.misses) == (before.hits + 1, before.misses)


def test_names_are_escaped_in_html_only() -> None:
    made = render("event_cancelled", "en", _context(), PERSONAL)
    assert "Zoë <b>O'Neill</b>" in made.text
    assert "Zoë &lt;b&gt;O&#39;Neill&lt;/b&gt;" in made.html
    assert "<b>O" not in made.html


def test_a_form_without_one_of_its_values_is_refused() -> None:
    context = _context()
    del context["ticket_code"]
    with pytest.raises(UndefinedError, match="ticket_code"):
        render("event_cancelled", "en", context, PERSONAL)


def test_what_is_not_there_is_left_to_the_template() -> None:
    context = _context(ticket_code=None)
    assert render("event_cancelled", "en", context, PERSONAL) == render(
        "event_cancelled", "en", context
    )
