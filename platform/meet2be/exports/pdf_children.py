"""Children that lay out pages: one line in, one line out, gone when their parent is.

A child has no more rights than its parent, but limits of its own: memory, processor time, and a
fetcher that refuses every address, so that nothing in a table can reach a file or the network.
"""

from __future__ import annotations

import ctypes
import json
import queue
import resource
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self, cast
from xml.etree import ElementTree as ET

from meet2be.errors import Meet2BeError

PAGES_A_CHILD: Final = 10
"""Sources that one child lays out before another takes its place: what it keeps grows slowly."""
MOST_MEMORY: Final = 1024 * 1024 * 1024
MOST_CPU_SECONDS: Final = 15 * 60
_ELEMENTS: Final = """
html, body, p { display: block; }
head, title, meta, style { display: none; }
body { margin: 0; }
p { margin: 1em 0; }
table { display: table; box-sizing: border-box; }
colgroup { display: table-column-group; }
col { display: table-column; }
thead { display: table-header-group; }
tbody { display: table-row-group; }
tr { display: table-row; }
th, td { display: table-cell; }
th { font-weight: bold; }
"""
_PARENT_DIED: Final = 1
"""PR_SET_PDEATHSIG of prctl(2)."""
_COMMAND: Final = (sys.executable, "-m", "meet2be.exports.pdf_children")


class LayOutFailed(Meet2BeError):
    """A child could not lay out a page, or died of it."""

    def __init__(self, why: str) -> None:
        super().__init__(f"a page of the PDF could not be laid out: {why}")


class Children:
    """Some children, each used by one thread at a time."""

    def __init__(
        self, number: int, pages: int = PAGES_A_CHILD, seconds: float | None = None
    ) -> None:
        """Start none yet; each lays out so many ``pages``, in ``seconds`` each, None: no limit."""
        self._free: queue.SimpleQueue[_Child | None] = queue.SimpleQueue()
        self._number, self._pages, self._seconds = number, pages, seconds
        for _ in range(number):
            self._free.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all of them, those that are at work included once they are through.

        Who is given a page afterwards begins anew.
        """
        for child in [self._free.get() for _ in range(self._number)]:
            if child is not None:
                child.end()
            self._free.put(None)

    def lay_out(self, source: Path) -> Path:
        """Turn a page of HTML into a PDF beside it, and remove the source.

        Raises ``LayOutFailed``, also when no child is free, or has an answer, in time.
        """
        try:
            child = self._free.get(timeout=self._seconds)
        except queue.Empty:
            raise LayOutFailed(f"no child was free for {self._seconds:g} seconds") from None
        try:
            # One that waits for its next page may have been killed, for its memory for example.
            if child is not None and (child.used >= self._pages or not child.is_ready):
                child.end()
                child = None
            child = child or _Child()
            return child.lay_out(source, self._seconds)
        finally:
            # Whatever went wrong, the place is free again: else the others wait for it for ever.
            # A child that was not heard out would give its answer to whoever asks next.
            if child is not None and not child.is_ready:
                child.end()
                child = None
            self._free.put(child)


class _Child:
    def __init__(self) -> None:
        self.used = 0
        self._owes_an_answer = False
        self._process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def is_ready(self) -> bool:
        """Whether it can be given a page."""
        return not self._owes_an_answer and self._process.poll() is None

    def lay_out(self, source: Path, seconds: float | None) -> Path:
        self.used += 1
        target = source.with_suffix(".pdf")
        asked = cast("IO[str]", self._process.stdin)
        self._owes_an_answer = True
        with suppress(BrokenPipeError):
            asked.write(json.dumps([str(source), str(target)]) + "\n")
            asked.flush()
        problem = json.loads(self._answer(seconds))
        self._owes_an_answer = False
        if problem:
            raise LayOutFailed(problem)
        source.unlink()
        return target

    def _answer(self, seconds: float | None) -> str:
        told = cast("IO[str]", self._process.stdout)
        ready = select.poll()
        ready.register(told, select.POLLIN)
        if not ready.poll(None if seconds is None else seconds * 1000):
            raise LayOutFailed(f"its child gave no answer for {seconds:g} seconds")
        answer = told.readline()
        if not answer:
            raise LayOutFailed(f"its child ended with {self._process.wait()}")
        return answer

    def end(self) -> None:
        """Kill it: between two pages, and after one that nobody waits for, it has nothing to lose.

        To close its pipe is not enough: a copy of this process may hold the other end as well.
        """
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):
                cast("IO[str]", pipe).close()


def main() -> None:
    """Serve the parent at the other end of the pipe until it closes."""
    with suppress(OSError, AttributeError):  # where the kernel is another: the pipe's end does it
        ctypes.CDLL(None).prctl(_PARENT_DIED, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_SECONDS, MOST_CPU_SECONDS))
    page_class, fetcher, fonts = _library()
    for line in sys.stdin:
        source, target = json.loads(line)
        try:
            page = Path(source).read_text(encoding="utf-8")
            page_class(page, fetcher).write_pdf(target, font_config=fonts)
            problem = ""
        except Exception as error:  # noqa: BLE001 -- whatever it is, the parent tells it
            problem = f"{type(error).__name__}: {error}"[:500]
        sys.stdout.write(json.dumps(problem) + "\n")
        sys.stdout.flush()


def _library() -> tuple[Any, Any, Any]:
    import cssselect2
    from weasyprint import CSS, HTML
    from weasyprint.text.fonts import FontConfiguration
    from weasyprint.urls import URLFetcher

    class Refusing(URLFetcher):  # type: ignore[misc]  # a library without types
        """Fetches nothing: a page of an export is whole in itself."""

        def fetch(self, url: str, headers: Any = None) -> Any:  # noqa: ARG002
            raise ValueError(f"a page of an export fetches nothing, and not '{url[:200]}'")

    # What browsers do to every element there is takes a tenth of the time; these are all we have.
    elements = [CSS(string=_ELEMENTS)]

    class Page(HTML):  # type: ignore[misc]  # a library without types
        """Our own well-formed page: no parser for the HTML of others is needed for it."""

        def __init__(self, text: str, fetch: Any) -> None:
            self.base_url, self.url_fetcher, self.media_type = None, fetch, "print"
            self.etree_element = ET.fromstring(text)  # noqa: S314 -- ours, see pdf_html
            self.wrapper_element = cssselect2.ElementWrapper.from_html_root(
                self.etree_element, content_language=None
            )

        def _ua_stylesheets(self, forms: bool = False) -> list[Any]:  # noqa: ARG002, FBT001, FBT002
            return elements

    return Page, Refusing(allowed_protocols=()), FontConfiguration()


if __name__ == "__main__":
    main()
