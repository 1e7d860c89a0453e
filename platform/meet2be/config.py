"""The settings of the platform: the only module that reads the environment.

`Settings.from_env()` looks at every variable before it complains, so that one start names all
that is wrong. The variables themselves stand in `meet2be.config_variables`.
"""

import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from meet2be.config_mail import MailSettings, mail_settings
from meet2be.config_values import EnvironmentReader, Variable
from meet2be.config_variables import (
    APP_KEY,
    BASE_URL,
    CANCEL_CONCURRENCY,
    DATABASE_OWNER_URL,
    DATABASE_URL,
    ENVIRONMENT,
    LOG_LEVEL,
    MAIL_FROM,
    PREVIOUS_APP_KEYS,
    PROVIDER_CONNECT_TIMEOUT,
    PROVIDER_TOTAL_TIMEOUT,
    PROXY_HOPS,
    REDIS_URL,
    S3_ACCESS_KEY_ID,
    S3_BUCKET,
    S3_DIRECT_LINKS,
    S3_ENDPOINT,
    S3_REGION,
    S3_SECRET_ACCESS_KEY,
    SESSION_ABSOLUTE_HOURS,
    SESSION_IDLE_MINUTES,
    SHORTEST_APP_KEY,
    STORAGE,
    STRIPE_API_BASE,
    STRIPE_API_KEY,
    STRIPE_WEBHOOK_SECRET,
    TRUSTED_HOSTS,
    VAR_DIR,
    WEB_HOST,
    WEB_PORT,
    WEBHOOKS_ALLOW_HTTP,
    WEBHOOKS_ALLOW_PRIVATE,
    WEBHOOKS_CA_FILE,
    WEBHOOKS_DENY,
    WEBHOOKS_PORTS,
)
from meet2be.errors import Meet2BeError


class SettingsError(Meet2BeError):
    """The environment cannot be used; `problems` has one sentence or two for each variable."""

    def __init__(self, problems: list[str]) -> None:
        """Build the message from the problems."""
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in problems)
        things = "1 setting" if len(problems) == 1 else f"{len(problems)} settings"
        super().__init__(
            f"{things} cannot be used (docs/reference/settings.md explains them):\n{lines}"
        )


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """SQLAlchemy addresses; `owner_url` is for migrations only."""

    url: str = field(repr=False)
    owner_url: str = field(repr=False)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file of this machine."""
        return self.url.startswith("sqlite")


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """The queues' server; `embedded` when it is the platform's own."""

    url: str = field(repr=False)
    embedded: bool


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Where the pages are and how long a log-in lasts."""

    host: str
    port: int
    base_url: str
    trusted_hosts: tuple[str, ...]
    proxy_hops: int
    session_idle: timedelta
    session_absolute: timedelta

    @property
    def is_https(self) -> bool:
        """Whether people come over https, so that cookies may be bound to it."""
        return self.base_url.startswith("https://")


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """The payment provider; times in seconds. `api_base` None means Stripe itself."""

    api_key: str | None = field(repr=False)
    api_base: str | None
    webhook_secret: str | None = field(repr=False)
    connect_timeout: float
    total_timeout: float
    cancel_concurrency: int


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """Where files are kept: in `folder` when `bucket` is None."""

    folder: Path
    bucket: str | None
    region: str
    endpoint: str | None
    access_key_id: str | None = field(repr=False)
    secret_access_key: str | None = field(repr=False)
    direct_links: bool


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Where webhooks may go: networks, ports (none: any), and whether without encryption."""

    allow_private: tuple[str, ...]
    deny: tuple[str, ...]
    allow_http: bool
    ports: frozenset[int]
    ca_file: str | None


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that differs between installations; secrets do not show in its repr."""

    environment: str
    var_dir: Path
    app_key: str = field(repr=False)
    log_level: str
    database: DatabaseSettings
    broker: BrokerSettings
    web: WebSettings
    provider: ProviderSettings
    mail: MailSettings
    storage: StorageSettings
    webhooks: WebhookSettings
    previous_app_keys: tuple[str, ...] = field(default=(), repr=False)

    @property
    def is_production(self) -> bool:
        """Whether real people and real money are concerned."""
        return self.environment == "production"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Return the settings of a given environment, by default the process's own.

        Raises `SettingsError` with all problems. Outside production a missing APP_KEY is made
        and kept in `app.key` of VAR_DIR, readable by its owner only; nothing else is written.
        """
        reader = EnvironmentReader(os.environ if environ is None else environ)
        environment = reader.read(ENVIRONMENT)
        is_production = environment == "production"
        var_dir = reader.read(VAR_DIR)
        app_key = reader.read(APP_KEY)
        previous_app_keys = reader.read(PREVIOUS_APP_KEYS)
        log_level = reader.read(LOG_LEVEL)
        database = _database(reader, var_dir)
        broker = _broker(reader, var_dir)
        web = _web(reader, is_production=is_production)
        provider = _provider(reader, is_production=is_production)
        mail = mail_settings(reader)
        storage = _storage(reader, var_dir, is_production=is_production)
        webhooks = _webhooks(reader, is_production=is_production)
        _check_app_keys(reader, app_key, previous_app_keys)
        if is_production:
            _check_production(reader, web, provider)
        if app_key is None and not reader.problems:
            app_key = _kept_app_key(reader, var_dir)
        if reader.problems:
            raise SettingsError(list(reader.problems.values()))
        return cls(
            environment=environment,
            var_dir=var_dir,
            app_key=app_key or "",
            log_level=log_level,
            database=database,
            broker=broker,
            web=web,
            provider=provider,
            mail=mail,
            storage=storage,
            webhooks=webhooks,
            previous_app_keys=previous_app_keys,
        )


def _database(reader: EnvironmentReader, var_dir: Path) -> DatabaseSettings:
    url = reader.read(DATABASE_URL) or f"sqlite:///{var_dir / 'meet2be.sqlite'}"
    owner_url = reader.read(DATABASE_OWNER_URL) or url
    if urlsplit(owner_url).scheme != urlsplit(url).scheme:
        reader.refuse(DATABASE_OWNER_URL, "It must be the same database as DATABASE_URL.")
    return DatabaseSettings(url=url, owner_url=owner_url)


def _broker(reader: EnvironmentReader, var_dir: Path) -> BrokerSettings:
    url = reader.read(REDIS_URL)
    embedded = f"unix://{var_dir / 'valkey' / 'valkey.sock'}?db=0"
    return BrokerSettings(url=url or embedded, embedded=url is None)


def _web(reader: EnvironmentReader, *, is_production: bool) -> WebSettings:
    host, port = reader.read(WEB_HOST), reader.read(WEB_PORT)
    shown_host = f"[{host}]" if ":" in host else host
    base_url = reader.read(BASE_URL) or f"http://{shown_host}:{port}"
    desk = () if is_production else ("localhost", "127.0.0.1")
    idle = timedelta(minutes=reader.read(SESSION_IDLE_MINUTES))
    absolute = timedelta(hours=reader.read(SESSION_ABSOLUTE_HOURS))
    if idle > absolute:
        reader.refuse(SESSION_IDLE_MINUTES, "It must not be longer than SESSION_ABSOLUTE_HOURS.")
    return WebSettings(
        host=host,
        port=port,
        base_url=base_url,
        trusted_hosts=reader.read(TRUSTED_HOSTS) or (urlsplit(base_url).hostname or host, *desk),
        proxy_hops=reader.read(PROXY_HOPS),
        session_idle=idle,
        session_absolute=absolute,
    )


def _provider(reader: EnvironmentReader, *, is_production: bool) -> ProviderSettings:
    provider = ProviderSettings(
        api_key=reader.read(STRIPE_API_KEY),
        api_base=reader.read(STRIPE_API_BASE),
        webhook_secret=reader.read(STRIPE_WEBHOOK_SECRET),
        connect_timeout=reader.read(PROVIDER_CONNECT_TIMEOUT),
        total_timeout=reader.read(PROVIDER_TOTAL_TIMEOUT),
        cancel_concurrency=reader.read(CANCEL_CONCURRENCY),
    )
    if provider.connect_timeout > provider.total_timeout:
        reader.refuse(
            PROVIDER_CONNECT_TIMEOUT, "It must not be longer than PROVIDER_TOTAL_TIMEOUT."
        )
    if "_live_" in (provider.api_key or "")[:8] and not is_production:
        reader.refuse(
            STRIPE_API_KEY,
            "A live key moves real money and is refused unless MEET2BE_ENV=production.",
        )
    return provider


def _storage(reader: EnvironmentReader, var_dir: Path, *, is_production: bool) -> StorageSettings:
    in_bucket = reader.read(STORAGE) == "s3"
    bucket = reader.read(S3_BUCKET)
    if in_bucket and bucket is None:
        reader.refuse(S3_BUCKET, "STORAGE=s3 needs it.")
    if reader.is_set(S3_ACCESS_KEY_ID) != reader.is_set(S3_SECRET_ACCESS_KEY):
        lacking = S3_SECRET_ACCESS_KEY if reader.is_set(S3_ACCESS_KEY_ID) else S3_ACCESS_KEY_ID
        reader.refuse(
            lacking, "S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY go together: set both or none."
        )
    endpoint, access_key_id = reader.read(S3_ENDPOINT), reader.read(S3_ACCESS_KEY_ID)
    if in_bucket and is_production and (endpoint or "https:").startswith("http://"):
        reader.refuse(S3_ENDPOINT, "Production needs https:// between it and the store.")
    direct_links = reader.read(S3_DIRECT_LINKS)
    # ASIA… are the keys of roles: what they signed ends with them, within hours.
    if direct_links and (access_key_id or "ASIA").startswith("ASIA"):
        reader.refuse(
            S3_DIRECT_LINKS,
            "It needs S3_ACCESS_KEY_ID with a lasting key: what a role signs ends with the role's"
            " credentials, hours later and not 7 days.",
        )
    return StorageSettings(
        folder=var_dir / "files",
        bucket=bucket if in_bucket else None,
        region=reader.read(S3_REGION),
        endpoint=endpoint,
        access_key_id=access_key_id,
        secret_access_key=reader.read(S3_SECRET_ACCESS_KEY),
        direct_links=direct_links and in_bucket,
    )


def _webhooks(reader: EnvironmentReader, *, is_production: bool) -> WebhookSettings:
    allow_http = reader.read(WEBHOOKS_ALLOW_HTTP)
    if allow_http and is_production:
        reader.refuse(WEBHOOKS_ALLOW_HTTP, "Production sends webhooks by https:// only.")
    return WebhookSettings(
        reader.read(WEBHOOKS_ALLOW_PRIVATE), reader.read(WEBHOOKS_DENY), allow_http,
        reader.read(WEBHOOKS_PORTS), reader.read(WEBHOOKS_CA_FILE),
    )  # fmt: skip


def _check_app_keys(
    reader: EnvironmentReader, app_key: str | None, previous: Sequence[str]
) -> None:
    if app_key is not None and len(app_key) < SHORTEST_APP_KEY:
        reader.refuse(
            APP_KEY,
            f"Allowed: {SHORTEST_APP_KEY} characters or more; make one with"
            " python3 -c 'import secrets; print(secrets.token_urlsafe(48))'.",
        )
    if any(len(key) < SHORTEST_APP_KEY for key in previous):
        reader.refuse(
            PREVIOUS_APP_KEYS,
            f"Allowed: former values of APP_KEY, {SHORTEST_APP_KEY} characters or more each.",
        )


def _check_production(
    reader: EnvironmentReader, web: WebSettings, provider: ProviderSettings
) -> None:
    required: tuple[Variable[Any], ...] = (
        APP_KEY, BASE_URL, REDIS_URL, STRIPE_API_KEY, STRIPE_WEBHOOK_SECRET, MAIL_FROM,
    )  # fmt: skip
    for variable in required:
        if not reader.is_set(variable):
            reader.refuse(variable, "Production needs it.")
    if reader.is_set(BASE_URL) and not web.is_https:
        reader.refuse(BASE_URL, "Production needs an address that begins with https://.")
    if (provider.api_base or "https:").startswith("http://"):
        reader.refuse(STRIPE_API_BASE, "Production needs https:// between it and the provider.")


def _kept_app_key(reader: EnvironmentReader, var_dir: Path) -> str | None:
    """Return the key in VAR_DIR, made at the first call; two first calls get the same one."""
    path = var_dir / "app.key"
    try:
        if not path.exists():
            _make_app_key(path)
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        reader.refuse(VAR_DIR, f"The folder '{var_dir}' cannot be used: {error.strerror or error}.")
        return None


def _make_app_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"app.key.{os.getpid()}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600, exist_ok=False)
    draft.write_text(secrets.token_urlsafe(48), encoding="utf-8")
    with suppress(FileExistsError):
        os.link(draft, path)  # whole or not at all, and the first one stays
    draft.unlink()


def process_environment() -> dict[str, str]:
    """Return a copy of this process's environment, to hand on to a child with changes."""
    return dict(os.environ)
