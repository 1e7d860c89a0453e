"""The one place where the platform is put together: settings in, services out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jobs
import onqueue
from jobs.schedule import SCHEDULE
from jobs.triggers import TRIGGERS
from meet2be.cancellations.context import Desk
from meet2be.cancellations.letters import RELATED_TYPE
from meet2be.cancellations.mail_listener import on_mail_settled, uncertain_of_run
from meet2be.checkout.desk import CheckoutDesk
from meet2be.checkout.tickets import TicketPrinter
from meet2be.config import Settings
from meet2be.db import Database, check_migrated
from meet2be.db.migrating import check_role
from meet2be.exports.running import Counter
from meet2be.imports.desk import ImportDesk
from meet2be.integrations.guarded_addresses import AddressRules
from meet2be.integrations.guarded_dns import KEPT, Resolver
from meet2be.integrations.guarded_http import GuardedHttp
from meet2be.integrations.guarded_urls import UrlRules
from meet2be.integrations.http_deadline import Timeouts
from meet2be.integrations.mail import MailTransport
from meet2be.integrations.mail_smtp import SmtpSettings, SmtpTransport
from meet2be.integrations.payments_none import NoProvider
from meet2be.integrations.storage import Store
from meet2be.integrations.storage_local import LocalStore
from meet2be.mailings.delivery import MailDeliveries
from meet2be.mailings.outcomes import OutcomeRecorder
from meet2be.mailings.services import Sender
from meet2be.payments.provider import PaymentProvider
from meet2be.queueing import hang_jobs_onto_facts, make_queues
from meet2be.service_registry import svcs
from meet2be.webhooks.delivering import WebhookDeliveries
from meet2be.webhooks.vault import Vault
from onqueue import QueueManager, events
from onqueue.clock import SystemClock
from onqueue.contracts import Clock


@dataclass(frozen=True, slots=True)
class Services:
    """What the web, the commands and the jobs work with."""

    settings: Settings
    clock: Clock
    database: Database
    queues: QueueManager
    payments: PaymentProvider
    deliveries: MailDeliveries
    desk: Desk
    store: Store
    exports: Counter
    webhooks: WebhookDeliveries
    checkout: CheckoutDesk
    registry: svcs.Registry
    close: Callable[[], None]


def bootstrap(settings: Settings, clock: Clock | None = None) -> Services:
    """Return the services of this process; opens no connection before the first use."""
    clock = clock or SystemClock()
    registry = svcs.Registry()
    database = Database(settings.database.url, clock)
    queues = _make_queues(settings, database, clock, registry)
    payments, transport = _provider(settings, clock), make_transport(settings)
    store = make_store(settings)
    printer = TicketPrinter(store)
    desk = _make_desk(settings, database, payments, clock)
    webhooks = make_webhooks(settings, database, clock)
    undo_triggers = hang_jobs_onto_facts(TRIGGERS)
    services = Services(
        settings=settings,
        clock=clock,
        database=database,
        queues=queues,
        payments=payments,
        deliveries=_make_deliveries(settings, database, transport, store, clock),
        desk=desk,
        store=store,
        exports=make_exports(settings, database, store, clock),
        webhooks=webhooks,
        checkout=CheckoutDesk(desk, webhooks.http, settings.web.base_url, printer),
        registry=registry,
        close=_one_after_another(
            undo_triggers, transport.close, payments.close, printer.close, database.close
        ),
    )
    _hand_to_jobs(services)
    events.worker_starting.connect(lambda _sender, **_: database.forget_connections(), weak=False)
    onqueue.use(queues)
    jobs.register()
    return services


def _make_queues(
    settings: Settings, database: Database, clock: Clock, registry: svcs.Registry
) -> QueueManager:
    keys = (settings.app_key, *settings.previous_app_keys)
    queues = make_queues(settings.broker, database, clock, registry, keys)
    queues.schedule = SCHEDULE
    return queues


def _make_deliveries(
    settings: Settings, database: Database, transport: MailTransport, store: Store, clock: Clock
) -> MailDeliveries:
    carrier = "smtp" if settings.mail.ses is None else "ses"
    recorder = OutcomeRecorder(
        {RELATED_TYPE: on_mail_settled}, carrier, {RELATED_TYPE: uncertain_of_run}
    )
    return MailDeliveries(database, transport, recorder, clock, settings.mail.rate, store)


def _make_desk(
    settings: Settings, database: Database, payments: PaymentProvider, clock: Clock
) -> Desk:
    sender = Sender("Meet2Be", settings.mail.sender)
    threads = settings.provider.cancel_concurrency
    return Desk(database, payments, clock, sender, threads=threads)


def _one_after_another(*steps: Callable[[], None]) -> Callable[[], None]:
    def close() -> None:
        for step in steps:
            step()

    return close


def _hand_to_jobs(services: Services) -> None:
    """Let jobs ask for services by their types."""
    imports = ImportDesk(services.database, services.store, services.clock)
    for kind, value in (
        (Services, services),
        (Settings, services.settings),
        (Database, services.database),
        (QueueManager, services.queues),
        (PaymentProvider, services.payments),
        (MailDeliveries, services.deliveries),
        (Desk, services.desk),
        (Store, services.store),
        (Counter, services.exports),
        (ImportDesk, imports),
        (WebhookDeliveries, services.webhooks),
        (CheckoutDesk, services.checkout),
        (Clock, services.clock),
    ):
        services.registry.register_value(kind, value, enter=False)


def check_database(services: Services) -> None:
    """Raise what is wrong with the database before a process begins to work on it.

    ``NotMigratedError`` when its tables are another release's; in production also
    ``PowerfulRoleError`` when PostgreSQL's row security would not bind the application's role.
    """
    check_migrated(services.database.engine)
    if services.settings.is_production and not services.settings.database.is_sqlite:
        check_role(services.database.engine)


def _provider(settings: Settings, clock: Clock) -> PaymentProvider:
    given = settings.provider
    if given.api_key is None:
        return NoProvider()
    # a fifth of a second that commands without a provider need not wait
    from meet2be.integrations.payments_stripe import StripeProvider

    return StripeProvider(
        given.api_key,
        webhook_secret=given.webhook_secret or "",
        base_url=given.api_base,
        timeouts=Timeouts(given.connect_timeout, given.total_timeout),
        monotonic=clock.monotonic,
    )


def make_transport(settings: Settings) -> MailTransport:
    """Return what carries mail, as the settings say; nothing is connected yet."""
    account = settings.mail.ses
    if account is None:
        return SmtpTransport(_smtp(settings))
    from meet2be.integrations.mail_ses import SesSettings, SesTransport  # boto3 costs 30 MB

    return SesTransport(
        SesSettings(
            account.region,
            account.endpoint,
            account.access_key_id,
            account.secret_access_key,
            account.configuration_set,
        )
    )


def make_store(settings: Settings) -> Store:
    """Return the store that the settings name; nothing is connected yet."""
    given = settings.storage
    if given.bucket is None:
        return LocalStore(given.folder)
    from meet2be.integrations.storage_s3 import S3Settings, S3Store  # boto3 costs 30 MB and 0.3 s

    return S3Store(
        S3Settings(
            given.bucket,
            given.region,
            given.endpoint,
            given.access_key_id,
            given.secret_access_key,
        )
    )


def make_webhooks(settings: Settings, database: Database, clock: Clock) -> WebhookDeliveries:
    """Return what sends webhooks, to where the settings let it."""
    given = settings.webhooks
    http = GuardedHttp(
        UrlRules(given.allow_http, given.ports),
        AddressRules(given.allow_private, given.deny),
        resolver=Resolver(kept=KEPT, monotonic=clock.monotonic),
        ca_file=given.ca_file,
        monotonic=clock.monotonic,
    )
    vault = Vault((settings.app_key, *settings.previous_app_keys))
    return WebhookDeliveries(database, http, vault, clock)


def make_exports(settings: Settings, database: Database, store: Store, clock: Clock) -> Counter:
    """Return what exports work with; their files are made in a folder of VAR_DIR."""
    given = settings.storage
    return Counter(
        database, store, clock, settings.var_dir / "work" / "exports", given.direct_links
    )


def _smtp(settings: Settings) -> SmtpSettings:
    mail = settings.mail
    return SmtpSettings(mail.host, mail.port, mail.username, mail.password, mail.starttls)
