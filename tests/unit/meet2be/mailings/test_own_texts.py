"""Texts that organisations write: what they may say, and what is caught before it leaves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from markupsafe import escape

from meet2be.language import LANGUAGES
from meet2be.mailings.addresses import normal_form, one_address
from meet2be.mailings.choosing import Chosen, OwnTexts, languages
from meet2be.mailings.errors import BadAddress, BadTemplate
from meet2be.mailings.kinds import KINDS, kind_of
from meet2be.mailings.own_texts import MissingValue, OwnText, check, fill_in, html_of
from meet2be.mailings.rendering import render, source_of
from meet2be.mailings.template_services import editable_kinds

SAMPLES = {
    "name": "Ada",
    "event_title": "Aurora",
    "amount_minor": 39_900,
    "currency": "EUR",
    "starts_at": datetime(2027, 5, 14, tzinfo=UTC),
    "message": "",
}


def text(body: str, subject: str = "Hello {{ name }}", html: str | None = None) -> OwnText:
    return OwnText(subject, body, html)


def test_a_text_is_filled_in_for_its_reader_in_both_parts() -> None:
    """D12. The HTML is made from the text when there is none."""
    own = text(
        "Dear {{ name }},\n\n{{ format.money(amount_minor, currency) }} on "
        "{{ format.day(starts_at) }}.\n{% if message %}Note: {{ message }}{% endif %}\n\n"
        "https://aurora.example/a?b=1&c=2."
    )
    made = fill_in(own, {**SAMPLES, "name": "<b>Ada</b>"}, "de-DE")
    assert made.subject == "Hello <b>Ada</b>"
    assert "399,00\xa0€ on 14. Mai 2027" in made.text
    assert "Dear <b>Ada</b>," in made.text
    assert "Dear &lt;b&gt;Ada&lt;/b&gt;," in made.html
    assert '<a href="https://aurora.example/a?b=1&amp;c=2">' in made.html


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("{{ nmae }}", "'nmae' is not known here"),
        ("{% for a in name %}x{% endfor %}", "'for' is not allowed"),
        ("{{ name.__class__ }}", "'.__class__' is not allowed"),
        ("{{ name|attr('x') }}", "'|attr' is not allowed"),
        ("{{ range(9) }}", "is not allowed"),
        ("{{ format.money.__globals__ }}", "'.__globals__' is not allowed"),
        ("{% set x = 1 %}", "'assign' is not allowed"),
        ("{% include 'layout.html' %}", "'include' is not allowed"),
        ("{{ name", "line 1"),
        ("{{ 'a' * 999999999 }}", "'mul' is not allowed"),
        ("   ", "it is empty"),
        ("x" * 70_000, "more than 65536 characters"),
    ],
)
def test_what_a_text_must_not_do_is_caught_when_it_is_saved(body: str, problem: str) -> None:
    """D10."""
    with pytest.raises(BadTemplate) as caught:
        check(text(body), SAMPLES, "en")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        "{{ format.day(name) }}",
        "{{ format.money(amount_minor, name) }}",
        "{{ format.money(name, currency) }}",
        "{{ format.day() }}",
        "{{ name is divisibleby(0) }}",
    ],
)
def test_whatever_a_text_does_to_a_value_is_said_of_the_text(body: str) -> None:
    """D10. One mail that cannot be made must not take down the commit it is made in."""
    own = text("{% if message %}" + body + "{% endif %}")
    check(own, SAMPLES, "en")
    with pytest.raises(BadTemplate):
        fill_in(own, {**SAMPLES, "message": "x"}, "en")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("{{ format.day('x') }}", "'x' is no day: "),
        ("{{ format.money('x', currency) }}", "'x' is no amount: "),
    ],
)
def test_what_is_no_day_or_amount_is_said_in_a_sentence(body: str, problem: str) -> None:
    with pytest.raises(BadTemplate, match=problem):
        check(text(body), SAMPLES, "en-GB")


def test_a_day_that_is_not_there_is_not_written_as_today() -> None:
    with pytest.raises(MissingValue, match="'starts_at' has no value"):
        fill_in(text("{{ format.day(starts_at) }}"), {**SAMPLES, "starts_at": None}, "en-GB")


@pytest.mark.parametrize(
    "body",
    [
        "(" * 3_000 + "name" + ")" * 3_000,
        "not " * 3_000 + "name",
        "not " * 300 + "name",
        "9" * 5_000,
    ],
)
def test_a_text_that_is_nested_too_deep_is_refused_when_it_is_saved(body: str) -> None:
    with pytest.raises(BadTemplate):
        check(text("{{ " + body + " }}"), SAMPLES, "en")


@pytest.mark.parametrize(
    "html",
    [
        "<script>1</script>",
        "<img src=x onerror=alert(1)>",
        "<a href='javascript:alert(1)'>x</a>",
        "<a href=' JaVaScRiPt:alert(1)'>x</a>",
        "<a href='data:text/html,x'>x</a>",
        "<img src='//track.example/x.png'>",
        "<iframe srcdoc=x></iframe>",
        "<meta http-equiv=refresh content=0>",
        "<form action='https://x.example'></form>",
        "<![x[",
    ],
)
def test_html_that_reaches_out_is_refused(html: str) -> None:
    """D12. Links are http or https."""
    with pytest.raises(BadTemplate):
        check(text("Hi", html=html), SAMPLES, "en")


def test_a_link_made_of_a_value_is_looked_at_when_the_mail_is_made() -> None:
    own = text("Hi", html='<a href="{{ message }}">x</a>')
    with pytest.raises(BadTemplate, match="neither http nor https"):
        fill_in(own, {**SAMPLES, "message": "javascript:alert(1)"}, "en")


@pytest.mark.parametrize("values", [{"name": None}, {}])
def test_a_value_that_is_not_there_is_named_and_never_sent_as_none(values: dict[str, None]) -> None:
    """D10."""
    given = {key: value for key, value in SAMPLES.items() if key != "name"} | values
    with pytest.raises(MissingValue, match="'name' has no value") as caught:
        fill_in(text("Dear {{ name }}"), given, "en")
    assert caught.value.name == "name"


def test_line_breaks_make_no_headers() -> None:
    """D11."""
    with pytest.raises(BadTemplate, match="more than one line"):
        check(text("Hi", subject="Hi\nBcc: all@firma.example"), SAMPLES, "en")
    made = fill_in(text("Hi"), {**SAMPLES, "name": "Ada\r\nBcc: x@y.example"}, "en")
    assert made.subject == "Hello Ada Bcc: x@y.example"


def test_only_web_addresses_become_links() -> None:
    made = html_of("a\nb javascript:x ftp://y.example (https://z.example/q).\n\n<i>c</i>")
    assert str(made) == (
        '<p>a<br>\nb javascript:x ftp://y.example (<a href="https://z.example/q">'
        "https://z.example/q</a>).</p>\n<p>&lt;i&gt;c&lt;/i&gt;</p>"
    )


def chosen(locale: str, version: int = 1) -> Chosen:
    return Chosen(text(locale), locale, version)


@pytest.mark.parametrize(
    ("locale", "event", "found"),
    [
        ("de-AT", 7, "event de"),
        ("de-AT", None, "de-AT"),
        ("de-DE", None, "de"),
        ("de_CH", 8, "de"),
        ("fr-FR", None, "en"),
    ],
)
def test_the_nearest_language_comes_before_the_nearest_place(
    locale: str, event: int | None, found: str
) -> None:
    """D9."""
    texts = OwnTexts(
        "en-GB",
        {
            ("k", 7, "de"): chosen("event de"),
            ("k", None, "de"): chosen("de"),
            ("k", None, "en"): chosen("en"),
            **({("k", None, "de-AT"): chosen("de-AT")} if event is None else {}),
        },
    )
    best = texts.best("k", event, locale)
    assert best is not None
    assert best.locale == found
    assert texts.best("another", event, locale) is None


def test_a_locale_leads_to_its_language() -> None:
    assert (languages("de_AT"), languages("de")) == (("de-AT", "de"), ("de",))


@pytest.mark.parametrize("kind", [kind.key for kind in editable_kinds()])
@pytest.mark.parametrize("locale", ["en-GB", "de-DE"])
def test_every_kind_that_can_be_changed_has_samples_for_all_its_text_says(
    kind: str, locale: str
) -> None:
    rendered = render(kind, locale, KINDS[kind].samples)
    assert rendered.subject
    assert "None" not in rendered.text


def variants(kind: str) -> list[dict[str, Any]]:
    """Return the samples of a kind, with each way that its text may turn."""
    samples = dict(KINDS[kind].samples)
    turns: dict[str, list[Any]] = {
        "outcome": ["pending", "nothing_charged", "already_refunded", "organiser"],
        "why": ["event_closed", "cancelled", "paid_late", "else"],
        "ships": [True],
        "message": [""],
        "link": [""],
        "tickets": [["Ada <b>Lovelace</b> – Regular & more"], []],
    }
    return [samples] + [
        samples | {name: value} for name in samples for value in turns.get(name, ())
    ]


@pytest.mark.parametrize("kind", [kind.key for kind in editable_kinds()])
@pytest.mark.parametrize("locale", list(LANGUAGES))
def test_the_text_that_people_start_from_can_be_kept_and_says_what_ours_says(
    kind: str, locale: str
) -> None:
    """D10."""
    shown = OwnText(*source_of(kind, locale))
    check(shown, KINDS[kind].samples, locale)
    for values in variants(kind):
        own, ours = fill_in(shown, values, locale), render(kind, locale, values)
        assert own.text == ours.text
        assert own.subject.split() == ours.subject.split()
        for said in values.get("tickets", ()):
            assert f"- {said}" in own.text
            assert all(str(escape(said)) in made.html for made in (own, ours))


def test_a_value_of_several_parts_is_written_as_a_list() -> None:
    values = SAMPLES | {"tickets": ["<Ada>\n\n- x", "Grace"]}
    own = text("{{ tickets }}", html="{{ tickets }}{% if tickets %}!{% endif %}")
    made = fill_in(own, values, "en")
    assert made.text == "- <Ada> - x\n- Grace"
    assert "<ul><li>&lt;Ada&gt; - x</li><li>Grace</li></ul>!" in made.html
    assert fill_in(own, values | {"tickets": []}, "en").text == ""


def test_a_day_is_written_by_its_name_alone() -> None:
    made = fill_in(text("{{ starts_at }}", html="{{ starts_at }}"), SAMPLES, "de-DE")
    assert made.text == "14. Mai 2027"
    assert "14. Mai 2027" in made.html


def test_an_unknown_kind_is_nobodys_to_change() -> None:
    assert not kind_of("something_new").is_editable


@pytest.mark.parametrize(
    "address",
    ["a@b.example, c@d.example", "a@b.example.", "Ada <a@b.example>", "a@b", "a\nb@c.example", ""],
)
def test_what_is_not_one_address_is_refused(address: str) -> None:
    """D14."""
    with pytest.raises(BadAddress):
        one_address(address)


def test_an_address_is_kept_as_it_is_and_compared_without_case() -> None:
    """D2, D14. Dots and plus signs mean something to somebody."""
    assert one_address("\u00a0Ada.L+x@Firma.example\u200b") == "Ada.L+x@Firma.example"
    assert one_address('"odd one"@firma.example') == '"odd one"@firma.example'
    assert normal_form(" Ada.L+x@Firma.example ") == "ada.l+x@firma.example"
