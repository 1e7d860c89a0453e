"""A served application and a Chromium to look at it with."""

import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from flask import Flask
from playwright.sync_api import Browser, Page, expect, sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

from support.servers import missing
from support.waiting import PATIENCE

# Without these Chromium asks for updates and looks names up on a network there may not be.
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDE, NARROW = 1280, 390


class _Silent(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing: tests read answers, not logs."""


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    """Yield the address of the application, served by threads on a free port."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Silent)
    thread = threading.Thread(target=server.serve_forever, name="served application")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(PATIENCE)
        server.server_close()


@contextmanager
def chromium(arguments: Sequence[str] = QUIET) -> Iterator[Browser]:
    """Yield the system's Chromium, without a window."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        missing("Chromium was not found. On Debian: apt-get install chromium.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(arguments))
        expect.set_options(timeout=PATIENCE * 1000)
        try:
            yield browser
        finally:
            browser.close()


def log_in(page: Page, base: str, email: str, password: str) -> None:
    """Go through the log-in as a person does."""
    page.goto(f"{base}/login")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{base}/events")


def fits_a_phone(page: Page) -> None:
    """Check that nothing sticks out on a narrow screen, and turn back to the present one."""
    present = page.viewport_size
    assert present is not None
    page.set_viewport_size({"width": NARROW, "height": present["height"]})
    too_wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    page.set_viewport_size(present)
    assert too_wide <= 0, f"{page.url} is {too_wide} px too wide for {NARROW} px"
