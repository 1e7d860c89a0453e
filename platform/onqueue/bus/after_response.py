"""Jobs that run in this process once the response was sent: for what may be lost.

A web layer opens `after_response()` around a request and calls `run` when the answer has gone out;
`AfterResponse` does that for any WSGI application. The job is checked and written to its payload
at the dispatch. It runs once, with its middleware, in the thread of the request: without a queue,
without a retry, and not at all when the process ends before. A failure is recorded and logged.
Outside of a request the job runs at once.
"""

from __future__ import annotations

import logging
from collections import deque
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

log = logging.getLogger("onqueue.bus")

WsgiApp: TypeAlias = "Callable[[dict[str, Any], Any], Iterable[bytes]]"


class Later:
    """What is to run when one response was sent."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._work: deque[tuple[str, Callable[[], object]]] = deque()

    def add(self, name: str, work: Callable[[], object]) -> None:
        """Keep something to run; `name` is what the log calls it."""
        self._work.append((name, work))

    def run(self) -> None:
        """Run what is kept, in order, once; what one raises is logged and stops no other."""
        while self._work:
            name, work = self._work.popleft()
            try:
                work()
            except Exception:
                log.exception("job %r failed after the response", name)


_later: ContextVar[Later | None] = ContextVar("onqueue_after_response", default=None)


def later() -> Later | None:
    """Return what runs after the response of the present request, None outside of one."""
    return _later.get()


def when_answered(name: str, work: Callable[[], object]) -> None:
    """Do something once the response of the present request is sent; outside of one, now."""
    kept = later()
    if kept is None:
        work()
    else:
        kept.add(name, work)


@contextmanager
def after_response(into: Later | None = None) -> Iterator[Later]:
    """Keep what is dispatched "after the response" inside the block; the caller runs it."""
    kept = into if into is not None else Later()
    token = _later.set(kept)
    try:
        yield kept
    finally:
        _later.reset(token)


class AfterResponse:
    """A WSGI application that runs such jobs when the server closes the response."""

    def __init__(self, app: WsgiApp) -> None:
        """Wrap an application."""
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        kept = Later()
        try:
            with after_response(kept):
                chunks = self._app(environ, start_response)
        except BaseException:
            kept.run()
            raise
        return _Response(chunks, kept)


class _Response:
    """The response's chunks; a streamed one may dispatch while it is made."""

    def __init__(self, chunks: Iterable[bytes], kept: Later) -> None:
        self._chunks = chunks
        self._iterator: Iterator[bytes] | None = None
        self._kept = kept

    def __iter__(self) -> _Response:
        return self

    def __next__(self) -> bytes:
        with after_response(self._kept):
            if self._iterator is None:
                self._iterator = iter(self._chunks)
            return next(self._iterator)

    def close(self) -> None:
        """Hear from the server that the response was sent, or cannot be."""
        try:
            close = getattr(self._chunks, "close", None)
            if close is not None:
                with after_response(self._kept):
                    close()
        finally:
            self._kept.run()
