"""The list that the demo imports through the pages: from another program, with a few broken rows.

Written as German spreadsheets write: semicolons, Windows-1252, commas in amounts.
"""

from __future__ import annotations

HEADER = "Vorname;Nachname;E-Mail;Firma;Ticket;Preis;Anmerkung"
GOOD, REPEATED, BROKEN = 400, 6, 4
FIRST = ("Jörg", "Zoë", "Anaïs", "Björn", "Lucía", "Renée", "Øyvind", "Käthe")
LAST = ("Müller", "Groß", "Çelik", "Núñez", "Ångström", "O'Neill", "von der Höhe", "Weiß-Schön")


def second_list() -> bytes:
    """Return the list: ``GOOD`` people, ``REPEATED`` of them again, ``BROKEN`` rows."""
    rows = [_row(number) for number in range(GOOD)]
    rows += rows[:REPEATED]
    rows += [_row(GOOD + number, "auf Rechnung") for number in range(BROKEN)]
    return ("\r\n".join([HEADER, *rows]) + "\r\n").encode("cp1252")


def _row(number: int, price: str = "") -> str:
    first, last = FIRST[number % len(FIRST)], LAST[number // len(FIRST) % len(LAST)]
    mailed = f"person.{number}@winter.example"
    price = price or ("0,00" if number % 10 == 0 else "79,50")
    return f"{first};{last};{mailed};Firma {number % 37};Standard;{price};Zimmer {number:03}"
