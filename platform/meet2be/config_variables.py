"""Every environment variable of the platform: its name, what it allows, its default, its use.

docs/reference/settings.md is made from this table; `meet2be.config` reads it.
"""

from pathlib import Path
from typing import Any

from meet2be.config_values import (
    Variable,
    address,
    broker_url,
    database_url,
    directory,
    networks,
    one_of,
    optional,
    ports,
    prefixed,
    seconds,
    text,
    whole_number,
    words,
    yes_or_no,
)

SHORTEST_APP_KEY = 32


def default_var_dir() -> Path:
    """Return `var` of the checkout, or of the current directory when installed as a wheel."""
    root = Path(__file__).resolve().parents[2]
    return (root if (root / "pyproject.toml").is_file() else Path.cwd()) / "var"


ENVIRONMENT = Variable(
    "MEET2BE_ENV",
    one_of("development", "production", "test", "demo"),
    default="development",
    about="Where the platform runs. `production` insists on real secrets and https.",
)
VAR_DIR = Variable(
    "VAR_DIR",
    directory(),
    default=default_var_dir(),
    shown_default="`var` in the checkout",
    about="Where the platform keeps its files: the database, the broker's journal, keys, logs.",
)
APP_KEY = Variable(
    "APP_KEY",
    optional(text()),
    default=None,
    shown_default="made once and kept in `app.key` of VAR_DIR; required in production",
    about=f"Signs sessions and links; {SHORTEST_APP_KEY} characters or more."
    " Another key logs everybody out.",
    is_secret=True,
)
PREVIOUS_APP_KEYS = Variable(
    "PREVIOUS_APP_KEYS",
    words(),
    default=(),
    shown_default="none",
    about="Former values of APP_KEY, newest first: what waits in the queues and was signed or"
    " encrypted with one of them is still run.",
    is_secret=True,
)
LOG_LEVEL = Variable(
    "LOG_LEVEL",
    one_of("debug", "info", "warning", "error"),
    default="info",
    about="How much is logged.",
)
DATABASE_URL = Variable(
    "DATABASE_URL",
    optional(database_url()),
    default=None,
    shown_default="`meet2be.sqlite` in VAR_DIR",
    about="The database, as the application's role.",
)
DATABASE_OWNER_URL = Variable(
    "DATABASE_OWNER_URL",
    optional(database_url()),
    default=None,
    shown_default="DATABASE_URL",
    about="The same database as the role that owns the tables; only migrations use it."
    " On PostgreSQL the application's own role must not own them, or row-level security is moot.",
)
REDIS_URL = Variable(
    "REDIS_URL",
    optional(broker_url()),
    default=None,
    shown_default="the embedded Valkey in VAR_DIR",
    about="The broker of the queues: Redis 6.2 or newer, or Valkey. Needed in production.",
)
WEB_HOST = Variable(
    "WEB_HOST", text(), default="127.0.0.1", about="The address the web server listens on."
)
WEB_PORT = Variable(
    "WEB_PORT", whole_number(1, 65535), default=8000, about="The port the web server listens on."
)
BASE_URL = Variable(
    "BASE_URL",
    optional(address("http", "https", root_only=True)),
    default=None,
    shown_default="http:// with WEB_HOST and WEB_PORT; required in production",
    about="How people reach the pages; links in mails begin with it.",
)
TRUSTED_HOSTS = Variable(
    "TRUSTED_HOSTS",
    words(),
    default=(),
    shown_default="the host of BASE_URL; outside production also this machine",
    about="Host names that requests may ask for; others are refused.",
)
PROXY_HOPS = Variable(
    "PROXY_HOPS",
    whole_number(0, 5),
    default=0,
    about="How many reverse proxies stand in front; so many X-Forwarded-* entries are believed.",
)
SESSION_IDLE_MINUTES = Variable(
    "SESSION_IDLE_MINUTES",
    whole_number(1, 1440),
    default=30,
    about="A log-in ends after so many minutes without a request; who types in a form makes some.",
)
SESSION_ABSOLUTE_HOURS = Variable(
    "SESSION_ABSOLUTE_HOURS",
    whole_number(1, 168),
    default=12,
    about="A log-in ends after so many hours whatever happens.",
)
STRIPE_API_KEY = Variable(
    "STRIPE_API_KEY",
    optional(prefixed("sk_test_", "rk_test_", "sk_live_", "rk_live_")),
    default=None,
    shown_default="none: nothing can be refunded; required in production",
    about="The key of the Stripe account. A live key is refused outside production.",
    is_secret=True,
)
STRIPE_API_BASE = Variable(
    "STRIPE_API_BASE",
    optional(address("http", "https")),
    default=None,
    shown_default="Stripe itself",
    about="Another server that speaks Stripe's API, such as the simulated provider.",
)
STRIPE_WEBHOOK_SECRET = Variable(
    "STRIPE_WEBHOOK_SECRET",
    optional(prefixed("whsec_")),
    default=None,
    shown_default="none: webhooks are refused; required in production",
    about="Checks that webhooks come from Stripe.",
    is_secret=True,
)
PROVIDER_CONNECT_TIMEOUT = Variable(
    "PROVIDER_CONNECT_TIMEOUT",
    seconds(0.1, 60),
    default=10.0,
    about="Seconds to reach the payment provider.",
)
PROVIDER_TOTAL_TIMEOUT = Variable(
    "PROVIDER_TOTAL_TIMEOUT",
    seconds(0.1, 300),
    default=60.0,
    about="Seconds for one call of the payment provider; after that its outcome is uncertain.",
)
CANCEL_CONCURRENCY = Variable(
    "CANCEL_CONCURRENCY",
    whole_number(1, 64),
    default=16,
    about="How many refunds of one cancelled event are asked for at the same time.",
)
SMTP_HOST = Variable("SMTP_HOST", text(), default="127.0.0.1", about="The mail server.")
SMTP_PORT = Variable("SMTP_PORT", whole_number(1, 65535), default=25, about="Its port.")
SMTP_USERNAME = Variable(
    "SMTP_USERNAME",
    optional(text()),
    default=None,
    shown_default="none: no log-in",
    about="Log-in at the mail server; goes with SMTP_PASSWORD.",
)
SMTP_PASSWORD = Variable(
    "SMTP_PASSWORD",
    optional(text()),
    default=None,
    shown_default="none: no log-in",
    about="The password to SMTP_USERNAME.",
    is_secret=True,
)
SMTP_STARTTLS = Variable(
    "SMTP_STARTTLS",
    yes_or_no(),
    default=False,
    about="Whether the connection to the mail server must be encrypted.",
)
MAIL_TRANSPORT = Variable(
    "MAIL_TRANSPORT",
    one_of("smtp", "ses"),
    default="smtp",
    about="What carries mail: the SMTP server above, or Amazon SES by its own calls.",
)
MAIL_RATE = Variable(
    "MAIL_RATE",
    whole_number(0, 100_000),
    default=0,
    shown_default="0: as many as the server takes",
    about="How many mails leave in a second at most, all workers together.",
)
SES_REGION = Variable(
    "SES_REGION", text(), default="eu-central-1", about="The region of Amazon SES."
)
SES_ENDPOINT = Variable(
    "SES_ENDPOINT",
    optional(address("http", "https")),
    default=None,
    shown_default="Amazon's own",
    about="Another server that speaks the API of SES v2.",
)
SES_ACCESS_KEY_ID = Variable(
    "SES_ACCESS_KEY_ID",
    optional(text()),
    default=None,
    shown_default="none: the machine's own role signs",
    about="The key that signs calls of SES; goes with SES_SECRET_ACCESS_KEY.",
)
SES_SECRET_ACCESS_KEY = Variable(
    "SES_SECRET_ACCESS_KEY",
    optional(text()),
    default=None,
    shown_default="none: the machine's own role signs",
    about="The secret to SES_ACCESS_KEY_ID.",
    is_secret=True,
)
SES_CONFIGURATION_SET = Variable(
    "SES_CONFIGURATION_SET",
    optional(text()),
    default=None,
    shown_default="none",
    about="The configuration set of SES that publishes bounces and complaints.",
)
MAIL_SNS_TOPICS = Variable(
    "MAIL_SNS_TOPICS",
    words(),
    default=(),
    shown_default="none: such messages are refused",
    about="ARNs of the SNS topics whose news of bounces and complaints are taken in.",
)
MAIL_HOOK_SECRET = Variable(
    "MAIL_HOOK_SECRET",
    optional(text()),
    default=None,
    shown_default="none: such messages are refused",
    about="Checks news of bounces that other providers' messages are turned into;"
    " docs/how-to/mail-limits-and-bounces.md has their form.",
    is_secret=True,
)
MAIL_FROM = Variable(
    "MAIL_FROM",
    text(),
    default="no-reply@localhost",
    about="The sender of mails; required in production.",
)

STORAGE = Variable(
    "STORAGE",
    one_of("local", "s3"),
    default="local",
    about="Where exports and uploads are kept: `files` in VAR_DIR, or a bucket.",
)
S3_BUCKET = Variable(
    "S3_BUCKET",
    optional(text()),
    default=None,
    shown_default="none; required with STORAGE=s3",
    about="The bucket; everything lies below `tenants/` in it.",
)
S3_REGION = Variable(
    "S3_REGION", text(), default="eu-central-1", about="The region that requests are signed for."
)
S3_ENDPOINT = Variable(
    "S3_ENDPOINT",
    optional(address("http", "https", root_only=True)),
    default=None,
    shown_default="Amazon's own",
    about="The address of another store that speaks S3's protocol.",
)
S3_ACCESS_KEY_ID = Variable(
    "S3_ACCESS_KEY_ID",
    optional(text()),
    default=None,
    shown_default="none: the machine's own role; goes with S3_SECRET_ACCESS_KEY",
    about="The key that signs requests to the store.",
)
S3_SECRET_ACCESS_KEY = Variable(
    "S3_SECRET_ACCESS_KEY",
    optional(text()),
    default=None,
    shown_default="none: the machine's own role",
    about="The secret to S3_ACCESS_KEY_ID.",
    is_secret=True,
)
S3_DIRECT_LINKS = Variable(
    "S3_DIRECT_LINKS",
    yes_or_no(),
    default=False,
    about="Whether a finished export is told with the bucket's own address, good for 7 days to"
    " anybody who has it, instead of the platform's, which asks who clicks. Needs a key that does"
    " not end by itself.",
)
WEBHOOKS_ALLOW_PRIVATE = Variable(
    "WEBHOOKS_ALLOW_PRIVATE",
    networks(),
    default=(),
    shown_default="none: public addresses only",
    about="Networks that webhooks may reach though they are not public: for receivers in one's own"
    " network. Whoever may add an endpoint can then call everything in them.",
)
WEBHOOKS_DENY = Variable(
    "WEBHOOKS_DENY",
    networks(),
    default=(),
    shown_default="none",
    about="Further networks that webhooks must not reach, such as the platform's own public ones.",
)
WEBHOOKS_ALLOW_HTTP = Variable(
    "WEBHOOKS_ALLOW_HTTP",
    yes_or_no(),
    default=False,
    about="Whether webhooks may go out without encryption; refused in production.",
)
WEBHOOKS_PORTS = Variable(
    "WEBHOOKS_PORTS",
    ports(),
    default=frozenset((443,)),
    shown_default="443",
    about="The ports that webhooks may be sent to.",
)
WEBHOOKS_CA_FILE = Variable(
    "WEBHOOKS_CA_FILE",
    optional(text()),
    default=None,
    shown_default="the machine's own",
    about="A file of certificates (PEM) that receivers' certificates are checked against.",
)

VARIABLES: tuple[Variable[Any], ...] = (
    ENVIRONMENT, VAR_DIR, APP_KEY, PREVIOUS_APP_KEYS, LOG_LEVEL,
    DATABASE_URL, DATABASE_OWNER_URL, REDIS_URL,
    WEB_HOST, WEB_PORT, BASE_URL, TRUSTED_HOSTS, PROXY_HOPS,
    SESSION_IDLE_MINUTES, SESSION_ABSOLUTE_HOURS,
    STRIPE_API_KEY, STRIPE_API_BASE, STRIPE_WEBHOOK_SECRET,
    PROVIDER_CONNECT_TIMEOUT, PROVIDER_TOTAL_TIMEOUT, CANCEL_CONCURRENCY,
    SMTP_HOST, SMTP_PORT, SMTP_USERNAME, SMTP_PASSWORD, SMTP_STARTTLS, MAIL_FROM,
    MAIL_TRANSPORT, MAIL_RATE, SES_REGION, SES_ENDPOINT, SES_ACCESS_KEY_ID, SES_SECRET_ACCESS_KEY,
    SES_CONFIGURATION_SET, MAIL_SNS_TOPICS, MAIL_HOOK_SECRET,
    STORAGE, S3_BUCKET, S3_REGION, S3_ENDPOINT, S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY,
    S3_DIRECT_LINKS,
    WEBHOOKS_ALLOW_PRIVATE, WEBHOOKS_DENY, WEBHOOKS_ALLOW_HTTP, WEBHOOKS_PORTS, WEBHOOKS_CA_FILE,
)  # fmt: skip
