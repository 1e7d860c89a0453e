"""One request of the API as operations see it: who calls, the sessions, pages of lists."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar, cast

from flask import current_app, g, request
from sqlalchemy.orm import Session

from meet2be.api_tokens.services import Caller
from meet2be.audit.services import Actor
from meet2be.bootstrap import Services
from meet2be.db import keyset
from meet2be.web.api.cursors import Cursors
from meet2be.web.api.operations import Operation
from meet2be.web.api.schemas import ListQuery, Page

T = TypeVar("T")


class Call:
    """A request whose token was found good."""

    def __init__(self, operation: Operation, caller: Caller, path: dict[str, str]) -> None:
        self.operation = operation
        self.caller = caller
        self.services = cast("Services", current_app.extensions["meet2be"])
        self.now: datetime = self.services.clock.now()
        self._path = path

    @property
    def reading(self) -> Session:
        """The session of the caller's tenant that only reads; closed with the request."""
        return self._session("read_session", read_only=True)

    @property
    def writing(self) -> Session:
        """The session of the caller's tenant that writes; committed when the operation is done."""
        return self._session("write_session", read_only=False)

    @property
    def has_written(self) -> bool:
        """Whether there may be something to commit."""
        return "write_session" in g

    @property
    def actor(self) -> Actor:
        """Who stands in the audit log for what this request does."""
        agent = request.headers.get("User-Agent")
        return Actor("token", self.caller.token_uid, ip=request.remote_addr, user_agent=agent)

    def part(self, query: ListQuery) -> keyset.Slice:
        """Return which part of a list is wanted; raises ``Problem`` for a bad cursor."""
        if query.cursor is None:
            return keyset.Slice(size=query.limit)
        place = self._cursors.read(query.cursor, self._context(query))
        return keyset.Slice(after=place, size=query.limit)

    def page(
        self,
        query: ListQuery,
        found: keyset.Page,
        place: Callable[[Any], Sequence[Any]],
        told: Callable[[Any], T],
    ) -> Page[T]:
        """Return the answer of a list; ``place`` gives the values that its order goes by."""
        cursor = None
        if found.rows and found.has_later:
            cursor = self._cursors.write(place(found.rows[-1]), self._context(query))
        return Page[Any](data=[told(row) for row in found.rows], next_cursor=cursor)

    @property
    def _cursors(self) -> Cursors:
        return cast("Cursors", current_app.extensions["meet2be_api"].cursors)

    def _context(self, query: ListQuery) -> str:
        """Return what a cursor is bound to: the tenant, the list and its filters."""
        filters = query.model_dump(mode="json", exclude={"cursor", "limit"})
        whole = [self.caller.tenant_uid, self.operation.name, self._path, filters]
        return json.dumps(whole, sort_keys=True)

    def _session(self, name: str, *, read_only: bool) -> Session:
        # Under the names that the pages use, so that the end of the request closes them.
        if name not in g:
            database, tenant = self.services.database, self.caller.tenant_id
            setattr(g, name, database.tenant_session(tenant, read_only=read_only))
        return cast("Session", getattr(g, name))
