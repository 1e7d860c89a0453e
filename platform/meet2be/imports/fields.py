"""The fields that a list can fill, and the words by which columns for them are recognised."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from meet2be.attendees import csv_rows as columns
from meet2be.imports.errors import BadMapping
from meet2be.language import N_, Message
from meet2be.tenancy.models import ROLES

FIRST_NAME, LAST_NAME = "First name", "Last name"
ROLE = "Role"
LONGEST_FIXED: Final = 200
_NOISE: Final = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Field:
    """Something to be known about each row. `key` is its name in mappings, `words` on pages.

    `known_as` are the beginnings of columns' names, in English and German, letters and digits only.
    """

    key: str
    words: str
    known_as: tuple[str, ...]
    column: str
    is_needed: bool = False
    can_be_fixed: bool = True
    choices: tuple[str, ...] = ()


_NAME = Field(
    "name", N_("Name"),
    ("name", "fullname", "attendeename", "attendee", "participant", "guest", "teilnehmer",
     "teilnehmername", "vollstandigername", "person", "besucher", "displayname"),
    columns.NAME, can_be_fixed=False,
)  # fmt: skip
_FIRST = Field(
    "first_name", N_("First name"),
    ("firstname", "givenname", "forename", "vorname", "rufname"), FIRST_NAME, can_be_fixed=False,
)  # fmt: skip
_LAST = Field(
    "last_name", N_("Last name"),
    ("lastname", "surname", "familyname", "nachname", "familienname", "zuname"), LAST_NAME,
    can_be_fixed=False,
)  # fmt: skip
_LANGUAGE = Field(
    "language", N_("Language"),
    ("language", "lang", "locale", "sprache", "preferredlanguage"), columns.LANGUAGE,
)  # fmt: skip

ATTENDEE_FIELDS: Final = (
    _NAME, _FIRST, _LAST,
    Field("email", N_("E-mail address"),
          ("email", "emailaddress", "mail", "mailaddress", "emailadresse", "mailadresse"),
          columns.EMAIL, can_be_fixed=False),
    Field("company", N_("Company"),
          ("company", "organisation", "organization", "firma", "unternehmen", "institution",
           "employer", "arbeitgeber"), columns.COMPANY),
    Field("ticket", N_("Ticket"),
          ("ticket", "tickettype", "tickettyp", "ticketart", "category", "kategorie", "product",
           "produkt"), columns.TICKET, is_needed=True),
    Field("order", N_("Order code"),
          ("ordercode", "order", "ordernumber", "orderid", "bestellnummer", "bestellung",
           "auftragsnummer", "buchung", "buchungsnummer", "bookingcode", "booking"),
          columns.ORDER, can_be_fixed=False),
    Field("price", N_("Price paid"),
          ("pricepaid", "price", "amount", "paid", "preis", "betrag", "bezahlterpreis", "total"),
          columns.PRICE),
    Field("currency", N_("Currency"), ("currency", "wahrung", "waehrung"), columns.CURRENCY),
    Field("invoice", N_("Invoice number"),
          ("invoiceno", "invoice", "invoicenumber", "rechnungsnummer", "rechnung", "rechnungsnr"),
          columns.INVOICE, can_be_fixed=False),
    Field("state", N_("Payment state"),
          ("paymentstate", "paymentstatus", "status", "state", "zahlungsstatus", "zahlstatus"),
          columns.STATE),
    Field("refunded", N_("Refunded so far"),
          ("refundedsofar", "refunded", "refund", "erstattet", "erstattung"), columns.REFUNDED),
    _LANGUAGE,
    Field("registered", N_("Registered at"),
          ("registeredat", "registered", "registrationdate", "orderdate", "angemeldetam",
           "anmeldedatum", "anmeldung", "datum", "date", "created", "createdat"),
          columns.REGISTERED),
    Field("checked_in", N_("Checked in"),
          ("checkedin", "checkin", "attended", "eingecheckt", "anwesend"), columns.CHECKED_IN),
    Field("notes", N_("Notes"),
          ("notes", "note", "comment", "comments", "remarks", "notizen", "notiz", "bemerkung",
           "bemerkungen", "kommentar", "anmerkung", "anmerkungen"), columns.NOTES),
)  # fmt: skip
USER_FIELDS: Final = (
    Field("email", N_("E-mail address"),
          ("email", "emailaddress", "mail", "mailaddress", "emailadresse", "mailadresse"),
          columns.EMAIL, is_needed=True, can_be_fixed=False),
    _NAME, _FIRST, _LAST,
    Field("role", N_("Role"), ("role", "rolle", "permission", "berechtigung", "access"), ROLE,
          is_needed=True, choices=ROLES),
    _LANGUAGE,
)  # fmt: skip
FIELDS: Final[Mapping[str, tuple[Field, ...]]] = {
    "attendees": ATTENDEE_FIELDS,
    "users": USER_FIELDS,
}
FIXED_AT_FIRST: Final[Mapping[str, Mapping[str, str]]] = {
    "attendees": {"ticket": "Regular"},
    "users": {"role": "viewer"},
}
"""What a needed field is suggested to be where no column is found for it."""

Mapped = Mapping[str, Mapping[str, Any]]
"""For each field's key ``{"column": number}`` from 0 on, or ``{"fixed": text}``."""


def plain_name(text: str) -> str:
    """Return a column's name as it is compared: small letters and digits without accents."""
    bare = unicodedata.normalize("NFKD", text.casefold())
    return _NOISE.sub("", "".join(mark for mark in bare if not unicodedata.combining(mark)))


def header_hash(header: Sequence[str]) -> str:
    """Return what tells headers apart, for mappings to be remembered."""
    return hashlib.sha256(json.dumps([plain_name(name) for name in header]).encode()).hexdigest()


def suggest(kind: str, header: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the likely mapping of a header: each column used once, exact names first."""
    names = [plain_name(name) for name in header]
    found: dict[str, dict[str, Any]] = {}
    used: set[int] = set()
    for is_exact in (True, False):
        for field in FIELDS[kind]:
            if field.key in found:
                continue
            number = _column_for(field, names, used, is_exact=is_exact)
            if number is not None:
                found[field.key] = {"column": number}
                used.add(number)
    if "first_name" in found or "last_name" in found:
        # A column that merely begins like a name gives way to the pair.
        found.pop("name", None)
    for key, text in FIXED_AT_FIRST[kind].items():
        found.setdefault(key, {"fixed": text})
    return found


def _column_for(
    field: Field, names: Sequence[str], used: set[int], *, is_exact: bool
) -> int | None:
    for word in field.known_as:
        for number, name in enumerate(names):
            fits = name == word if is_exact else len(word) > 3 and name.startswith(word)
            if fits and number not in used:
                return number
    return None


def checked_mapping(kind: str, columns_there: int, mapping: Mapped) -> dict[str, dict[str, Any]]:
    """Return the mapping without what is not of this list; raises BadMapping for what it lacks."""
    problems: dict[str, Message] = {}
    kept: dict[str, dict[str, Any]] = {}
    for field in FIELDS[kind]:
        given = mapping.get(field.key, {})
        column, fixed = given.get("column"), str(given.get("fixed", "")).strip()[:LONGEST_FIXED]
        if isinstance(column, int) and 0 <= column < columns_there:
            kept[field.key] = {"column": column}
        elif fixed and field.choices and fixed not in field.choices:
            words = {"value": fixed, "known": ", ".join(field.choices)}
            problems[field.key] = Message("'%(value)s' is none of: %(known)s.", words)
        elif fixed and field.can_be_fixed:
            kept[field.key] = {"fixed": fixed}
        elif field.is_needed:
            problems[field.key] = Message("Choose a column, or a value for all rows.")
    if kind == "attendees" and not {"name", "first_name", "last_name"}.intersection(kept):
        problems["name"] = Message("Choose the column with the names.")
    _check_once(kept, problems)
    if problems:
        raise BadMapping(problems)
    return kept


def _check_once(kept: Mapped, problems: dict[str, Message]) -> None:
    """Note fields that share a column."""
    owners: dict[int, str] = {}
    for key, given in kept.items():
        column = given.get("column")
        if column is None:
            continue
        if column in owners:
            problems[key] = Message("This column is used for another field already.")
        owners.setdefault(column, key)


def unused_columns(header: Sequence[str], mapping: Mapped) -> list[str]:
    """Return the columns that no field takes."""
    used = {given.get("column") for given in mapping.values()}
    return [name for number, name in enumerate(header) if number not in used]
