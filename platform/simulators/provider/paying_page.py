"""The hosted page itself, as a browser sees it: one sum, and a few cards to pay it with."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from aiohttp import web

from simulators.provider import sessions
from simulators.provider.errors import StripeError

if TYPE_CHECKING:
    from simulators.provider.ledger import Ledger
    from simulators.provider.webhooks import Timetable

PREFIX = "/pay/"
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<style>body{{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f4f5f7;color:#1a1f2b}}
main{{max-width:26rem;margin:2rem auto;padding:1.5rem;background:#fff;border:1px solid #d5d9e0;
border-radius:12px}}h1{{font-size:1.25rem;margin:0 0 .25rem}}p{{margin:.25rem 0 1rem}}
button,a.button{{display:block;box-sizing:border-box;width:100%;margin:.5rem 0;padding:.75rem;
border:1px solid #1f4fd8;border-radius:8px;background:#1f4fd8;color:#fff;font:inherit;
text-align:center;text-decoration:none}}.plain,a.button.plain{{background:#fff;color:#1f4fd8}}
.alert{{padding:.75rem;border:1px solid #b3261e;border-radius:8px;color:#8c1d18}}</style></head>
<body><main><h1>{title}</h1>{body}<p>This page is a simulation. No money moves.</p></main></body>
</html>"""


class PayingPage:
    """Shows a session's page, takes the buyer's choice and leads back to the shop."""

    def __init__(self, ledger: Ledger, timetable: Timetable) -> None:
        """Work on `ledger` and wake `timetable` after a payment."""
        self._ledger, self._timetable = ledger, timetable

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answer one request of a browser."""
        identifier = request.path.removeprefix(PREFIX)
        try:
            session = sessions.find(self._ledger, identifier)
        except StripeError:
            return _html("There is no such page", "<p>Check its address.</p>", 404)
        card = ""
        if request.method == "POST":
            given = parse_qs((await request.read()).decode())
            card = (given.get("card") or [""])[0]
        if card == "confirm":
            return _confirming()
        if card in sessions.CARDS and session.status == "open":
            return await self._paid(session, card)
        return self._form(session, "The payment was not confirmed." if card == "refuse" else "")

    async def _paid(self, session: sessions.Session, card: str) -> web.Response:
        try:
            with self._ledger.store.atomic():
                sessions.pay(self._ledger, session.id, card)
        except StripeError as error:
            return self._form(session, str(error.body()["error"]["message"]))
        finally:
            await self._ledger.store.committed()
            self._timetable.wake()
        return web.Response(status=303, headers={"Location": session.success_url})

    def _form(self, session: sessions.Session, problem: str) -> web.Response:
        if session.status != "open":
            back = f'<a class="button" href="{escape(session.success_url)}">Back to the shop</a>'
            return _html("Nothing is left to pay here", f"<p>It is {session.status}.</p>{back}")
        alert = f'<p class="alert" role="alert">{escape(problem)}</p>' if problem else ""
        sum_ = f"{session.amount / 100:.2f} {session.currency.upper()}"
        back = escape(session.cancel_url or session.success_url)
        return _html(
            f"Pay {sum_}",
            f"{alert}<p>{escape(session.title)}</p>"
            '<form method="post">'
            '<button name="card" value="accepted">Pay with a card that is accepted</button>'
            '<button name="card" value="confirm">Pay with a card that asks to confirm</button>'
            '<button class="plain" name="card" value="declined">'
            "Pay with a card that is declined</button>"
            '<button class="plain" name="card" value="bank">Pay by a slow bank</button></form>'
            f'<a class="button plain" href="{back}">Back to the shop</a>',
        )


def _confirming() -> web.Response:
    return _html(
        "Your bank asks: is it you?",
        '<form method="post"><button name="card" value="accepted">Yes, pay</button>'
        '<button class="plain" name="card" value="refuse">No</button></form>',
    )


def _html(title: str, body: str, status: int = 200) -> web.Response:
    text = _PAGE.format(title=escape(title), body=body)
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")
