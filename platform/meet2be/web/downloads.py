"""Files to keep, sent while they are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import quote

from flask import Response, stream_with_context

from meet2be.web.security import read_until_sent

LINES_A_PIECE = 200


def download(filename: str, lines: Iterable[str]) -> Response:
    """Return lines of CSV as a file; many lines go out at a time.

    The request's session for reading is open until the last of them is sent.
    """
    response = Response(stream_with_context(_pieces(lines)), mimetype="text/csv")
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(filename)}"
    read_until_sent(response)
    return response


def _pieces(lines: Iterable[str]) -> Iterator[str]:
    waiting: list[str] = []
    for line in lines:
        waiting.append(line)
        if len(waiting) >= LINES_A_PIECE:
            yield "".join(waiting)
            waiting.clear()
    yield "".join(waiting)
