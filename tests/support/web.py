"""The pages in tests: an application on a database of the test, and people at browsers."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import svcs
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from meet2be.accounts import services as accounts
from meet2be.accounts.models import User
from meet2be.accounts.passwords import hash_password
from meet2be.bootstrap import Services, make_exports, make_store, make_webhooks
from meet2be.cancellations.context import Desk
from meet2be.cancellations.letters import RELATED_TYPE
from meet2be.cancellations.mail_listener import on_mail_settled
from meet2be.checkout.desk import CheckoutDesk
from meet2be.config import Settings
from meet2be.db import Database
from meet2be.integrations.mail_smtp import SmtpSettings, SmtpTransport
from meet2be.integrations.payments_none import NoProvider
from meet2be.language import SOURCE_LANGUAGE, speak
from meet2be.mailings.delivery import MailDeliveries
from meet2be.mailings.outcomes import OutcomeRecorder
from meet2be.mailings.services import Sender
from meet2be.payments.provider import PaymentProvider
from meet2be.queueing import make_queues
from meet2be.tenancy.models import Tenant
from meet2be.web.app import create_app
from meet2be.web.security import browser, cookie_name, lifetime
from onqueue.testing.clock import FakeClock
from support.factories import make_user
from support.kept import TEMPLATES

PASSWORD = "a long enough password 7"
_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


@cache
def password_hash() -> str:
    """Return the hash of `PASSWORD`, made once a run: argon2 is slow on purpose."""
    return hash_password(PASSWORD)


@dataclass
class Person:
    """Somebody at a browser of their own."""

    client: FlaskClient
    user: User | None = None
    _token: tuple[str, str] = ("", "")

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.client.get(path, **options)

    def page(self, path: str) -> str:
        """Return the text of a page that must be there."""
        answer = self.get(path, follow_redirects=True)
        with closing(answer):
            assert answer.status_code == 200, f"{path}: {answer.status_code}"
            return answer.text

    def post(self, path: str, **fields: str) -> TestResponse:
        """Send a form with the token a page of theirs carries."""
        return self.client.post(path, data={"csrf_token": self.token(), **fields})

    def token(self) -> str:
        """Return the token that forms of this browser carry; a page is asked once a cookie."""
        if not self._cookie() or self._token[0] != self._cookie():
            page = self.client.get("/login" if self.user is None else "/notifications")
            found = _TOKEN.search(page.text)
            assert found is not None, "the page carries no token"
            self._token = (self._cookie(), found[1])
        return self._token[1]

    def _cookie(self) -> str:
        """Return the cookie that tokens belong to."""
        found = self.client.get_cookie(self.client.application.config["SESSION_COOKIE_NAME"])
        return "" if found is None else found.value

    def log_in(self, email: str, password: str = PASSWORD, **fields: str) -> TestResponse:
        return self.post("/login", email=email, password=password, **fields)


@dataclass
class Web:
    """The application and who uses it."""

    app: Flask
    services: Services
    people: list[Person] = field(default_factory=list)

    def anybody(self) -> Person:
        """Return somebody who is not logged in."""
        return Person(self.app.test_client())

    def person(self, tenant: Tenant | None, role: str = "admin", **fields: object) -> Person:
        """Return somebody with a role in an organisation, logged in."""
        given = {"password_hash": password_hash(), "name": f"{role.title()} Example", **fields}
        user = make_user(self.services.database, tenant, role, **given)
        person = self.anybody()
        self._open_session(person, user)
        person.user = user
        return person

    def _open_session(self, person: Person, user: User) -> None:
        """Do what a log-in does once the password was right: the pages' tests are not about it."""
        with self.app.test_request_context(), self.services.database.system_session("tests") as db:
            now = self.services.clock.now()
            tenant = accounts._first_tenant(db, user)
            secret = accounts.open_session(db, user.id, tenant, browser(), now, lifetime())
            db.commit()
            person.client.set_cookie(cookie_name(), secret)

    def operator(self) -> Person:
        """Return an operator of the platform, in their first organisation."""
        return self.person(None, "operator", is_operator=True)


def make_services(
    database: Database,
    clock: FakeClock,
    folder: Path,
    payments: PaymentProvider | None = None,
    **environment: str,
) -> Services:
    """Return services of the test's own; jobs stay undispatched, since no worker would run them."""
    settings = Settings.from_env(
        {
            "MEET2BE_ENV": "test",
            "VAR_DIR": str(folder),
            "TRUSTED_HOSTS": "localhost,127.0.0.1",
            "STRIPE_WEBHOOK_SECRET": "whsec_tests",
            **environment,
        }
    )
    registry = svcs.Registry()
    provider = payments or NoProvider()
    recorder = OutcomeRecorder({RELATED_TYPE: on_mail_settled})
    transport = SmtpTransport(SmtpSettings("localhost", 1))
    store = make_store(settings)
    desk = Desk(database, provider, clock, Sender("Meet2Be", "events@meet2be.example"))
    webhooks = make_webhooks(settings, database, clock)
    return Services(
        settings=settings,
        clock=clock,
        database=database,
        queues=make_queues(settings.broker, database, clock, registry, [settings.app_key]),
        payments=provider,
        deliveries=MailDeliveries(database, transport, recorder, clock),
        desk=desk,
        checkout=CheckoutDesk(desk, webhooks.http, settings.web.base_url),
        store=store,
        exports=make_exports(settings, database, store, clock),
        webhooks=webhooks,
        registry=registry,
        close=lambda: None,
    )


@contextmanager
def web_on(
    database: Database,
    clock: FakeClock,
    folder: Path,
    payments: PaymentProvider | None = None,
    **environment: str,
) -> Iterator[Web]:
    """Yield the application on a database, in its test mode."""
    services = make_services(database, clock, folder, payments, **environment)
    app = create_app(services)
    app.testing = False  # errors become pages, as in production
    app.jinja_env.bytecode_cache = TEMPLATES
    yield Web(app, services)
    speak(SOURCE_LANGUAGE)  # a page of a German person was drawn in the test's own thread


WebMaker = Callable[..., Web]
