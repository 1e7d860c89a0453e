"""Takes the pictures of the pages for README and docs: ``make screenshots``.

``ARGS=pages`` takes only those of the gallery, which need no cancellation.

The demo's 5,000 attendees are cancelled for real, against the simulated provider, up to the moment
that is to be seen. Time is a clock of the script's own, so that rates and times are as on a
platform whose provider takes 200 ms a call.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from playwright.sync_api import Browser, Page  # noqa: E402 - after the path
from sqlalchemy import select  # noqa: E402

from meet2be.attendees.demo_list import DEMO_LIST  # noqa: E402
from meet2be.attendees.services import import_file  # noqa: E402
from meet2be.audit.services import Actor  # noqa: E402
from meet2be.cancellations.models import CancelRun  # noqa: E402
from meet2be.cancellations.runner import work_lane  # noqa: E402
from meet2be.db import Database, upgrade  # noqa: E402
from meet2be.events.models import Event  # noqa: E402
from meet2be.local.seeding import DEMO_EVENT, DEMO_PASSWORD, seed  # noqa: E402
from meet2be.mailings.models import Mail  # noqa: E402
from meet2be.mailings.outcomes import Outcome  # noqa: E402
from meet2be.payments.queries import provider_payments  # noqa: E402
from meet2be.web.app import create_app  # noqa: E402
from onqueue.testing.clock import FakeClock  # noqa: E402
from support import gallery  # noqa: E402
from support.browser import NARROW, WIDE, chromium, log_in, serving  # noqa: E402
from support.cancelling import SteppingControl, running_provider, stripe_of  # noqa: E402
from support.web import make_services  # noqa: E402

IMAGES = ROOT / "docs" / "images"
ADMIN = "admin@aurora.example"
SHARE_MAILED = 0.93
PAYMENTS_A_CALL = 1000
SECONDS_A_CHUNK = 2.2


class Studio:
    """The platform with a conference that is being cancelled, and a camera."""

    def __init__(self, folder: Path) -> None:
        """Make the database in ``folder``."""
        self.folder = folder
        self.url = f"sqlite:///{folder / 'meet2be.sqlite'}"
        upgrade(self.url)
        self.clock = FakeClock()

    @contextmanager
    def opened(self) -> Iterator["Studio"]:
        """Yield the studio with everything started."""
        with running_provider(self.folder / "provider") as provider:
            control = provider.control
            self.clock.advance(max(0.0, control.advance_clock(0) - self.clock.time()))
            self.database = Database(self.url, self.clock)
            self.services = make_services(
                self.database, self.clock, self.folder, stripe_of(provider),
                DATABASE_URL=self.url, BASE_URL="http://127.0.0.1",
            )  # fmt: skip
            seed(self.services.settings, self.clock)
            self._import(control)
            with serving(create_app(self.services)) as self.base, chromium() as self.browser:
                yield self
            self.services.payments.close()
            self.database.close()

    def _import(self, control: object) -> None:
        with self.database.system_session("screenshots: find the event") as session:
            self.event = session.scalars(select(Event).where(Event.slug == DEMO_EVENT)).one()
        import_file(
            self.database, self.event.tenant_id, self.event.id, DEMO_LIST,
            actor=Actor("system", "screenshots"),
        )  # fmt: skip
        with self.database.tenant_session(self.event.tenant_id, read_only=True) as session:
            payments = list(provider_payments(session, self.event))
        for start in range(0, len(payments), PAYMENTS_A_CALL):
            control.create_payments(payments[start : start + PAYMENTS_A_CALL])  # type: ignore[attr-defined]

    def work(self, chunks: int) -> None:
        """Let the run's lanes do so many chunks each, and its mails go out."""
        with self.database.tenant_session(self.event.tenant_id, read_only=True) as session:
            run = session.scalars(select(CancelRun).order_by(CancelRun.id.desc())).first()
        assert run is not None, "nothing was confirmed"
        for _ in range(chunks):
            for lane in range(run.lanes):
                control = SteppingControl(self.clock, 1)
                work_lane(self.services.desk, self.event.tenant_id, run.uid, lane, control)
            self.clock.advance(SECONDS_A_CHUNK)
        self._mail()

    def _mail(self) -> None:
        recorder = self.services.deliveries.recorder
        with self.database.tenant_session(self.event.tenant_id) as session:
            queued = session.scalars(select(Mail).where(Mail.status == "queued")).all()
            for mail in queued[: int(len(queued) * SHARE_MAILED)]:
                recorder.record(session, mail, Outcome("sent", "250 accepted"), self.clock.now())
            session.commit()


@contextmanager
def visiting(studio: Studio, width: int, scheme: str = "light") -> Iterator[Page]:
    """Yield a page of an administrator who is logged in."""
    browser: Browser = studio.browser
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,  # type: ignore[arg-type]
        device_scale_factor=2 if width == NARROW else 1,
        reduced_motion="reduce",
    )
    page = context.new_page()
    log_in(page, studio.base, ADMIN, DEMO_PASSWORD)
    yield page
    context.close()


def take(page: Page, name: str) -> None:
    """Write one picture."""
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path)
    print(path.relative_to(ROOT))


def confirm(studio: Studio, page: Page) -> str:
    """Go from the event to the running cancellation; return its address."""
    page.goto(f"{studio.base}/events/{studio.event.uid}/cancel")
    page.get_by_role("button", name="Show the preview").click()
    page.get_by_role("button", name="Mail me a code").click()
    page.get_by_role("button", name="Mail me another code").wait_for()
    page.evaluate("scrollTo(0, 0)")
    page.set_viewport_size({"width": WIDE, "height": 1240})
    take(page, "cancel-preview")
    with studio.database.tenant_session(studio.event.tenant_id) as session:
        run = session.scalars(select(CancelRun).order_by(CancelRun.id.desc())).first()
        mail = session.scalars(select(Mail).order_by(Mail.id.desc())).first()
        assert run is not None, "there is no preview"
        assert mail is not None, "no code was mailed"
        code = "".join(sign for sign in mail.subject or "" if sign.isdigit())[-8:]
    page.get_by_label("Type the event's name").fill(studio.event.title)
    page.get_by_label("The code from the mail").fill(code)
    page.get_by_role("button", name="Cancel the event now").click()
    page.locator("#progress").wait_for()
    return page.url


def take_pages() -> None:
    """Take the pages of the gallery that stand in the docs."""
    folder = Path(tempfile.mkdtemp(prefix="m2b-shots-", dir="/tmp"))
    with gallery.opened(folder) as shown, chromium() as browser:
        for name, width in gallery.PICTURES:
            context = browser.new_context(
                viewport={"width": width, "height": gallery.HEIGHTS.get(name, 720)},
                reduced_motion="reduce", locale="en-GB",
            )  # fmt: skip
            page = context.new_page()
            log_in(page, shown.base, ADMIN, DEMO_PASSWORD)
            if not shown.places.get("mapping"):
                shown.upload(page)
            page.goto(shown.base + shown.pages()[name])
            take(page, name if width == WIDE else f"{name}-narrow")
            context.close()


def main() -> None:
    """Take all pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    take_pages()
    if sys.argv[1:] == ["pages"]:
        return
    folder = Path(tempfile.mkdtemp(prefix="m2b-shots-", dir="/tmp"))
    with Studio(folder).opened() as studio:
        with visiting(studio, WIDE) as page:
            address = confirm(studio, page)
        studio.work(10)
        for name, width, scheme in (
            ("cancel-run", WIDE, "light"),
            ("cancel-run-dark", WIDE, "dark"),
            ("cancel-run-narrow", NARROW, "light"),
        ):
            with visiting(studio, width, scheme) as page:
                page.goto(address)
                take(page, name)
        with visiting(studio, WIDE) as page:
            page.goto(f"{studio.base}/refunds")
            take(page, "refunds")
        with visiting(studio, NARROW, "dark") as page:
            page.goto(f"{studio.base}/events/{studio.event.uid}/attendees")
            take(page, "attendees-narrow")


if __name__ == "__main__":
    main()
