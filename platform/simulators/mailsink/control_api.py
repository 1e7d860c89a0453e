"""The mail sink's control port: read what came in, set the switches, browse by hand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aiohttp import web

from simulators.rules import RuleError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from simulators.mailsink.store import MailStore

_RAW = re.compile(r"/messages/(\d+)/raw")


class MailSinkApi:
    """Answers the helper calls; effects are on disk before the answer."""

    def __init__(self, store: MailStore) -> None:
        """Read and switch `store`."""
        self._store = store
        self._routes: dict[
            tuple[str, str], Callable[[web.BaseRequest], Awaitable[web.Response]]
        ] = {
            ("GET", "/health"): self._health,
            ("GET", "/"): self._summary,
            ("GET", "/summary"): self._summary,
            ("GET", "/messages"): self._messages,
            ("DELETE", "/messages"): self._clear,
            ("GET", "/behaviour"): self._behaviour,
            ("PUT", "/behaviour"): self._set_behaviour,
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one helper call with JSON, or with a message's text."""
        action = self._routes.get((request.method, request.path), self._raw)
        try:
            response = await action(request)
        except (RuleError, TypeError, ValueError, KeyError) as error:
            text = f"The helper call could not be carried out: {error}"
            response = web.json_response({"error": {"message": text}}, status=400)
        await self._store.store.committed()
        return response

    async def _health(self, _: web.BaseRequest) -> web.Response:
        return web.json_response({"ok": True})

    async def _summary(self, _: web.BaseRequest) -> web.Response:
        return web.json_response(self._store.summary())

    async def _messages(self, request: web.BaseRequest) -> web.Response:
        query = request.query
        after, limit = int(query.get("after", 0)), int(query.get("limit", 1000))
        return web.json_response(self._store.messages(query.get("recipient"), after, limit))

    async def _clear(self, _: web.BaseRequest) -> web.Response:
        with self._store.store.atomic():
            self._store.clear()
        return web.json_response({"ok": True})

    async def _behaviour(self, _: web.BaseRequest) -> web.Response:
        return web.json_response(self._store.behaviour())

    async def _set_behaviour(self, request: web.BaseRequest) -> web.Response:
        self._store.behave(await request.json())
        return web.json_response(self._store.behaviour())

    async def _raw(self, request: web.BaseRequest) -> web.Response:
        match = _RAW.fullmatch(request.path) if request.method == "GET" else None
        content = None if match is None else self._store.content(int(match[1]))
        if content is None:
            text = f"There is no helper call {request.method} {request.path}."
            return web.json_response({"error": {"message": text}}, status=404)
        return web.Response(body=content, content_type="text/plain")
