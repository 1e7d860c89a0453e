"""The environment of a platform on a desk: embedded or simulated, nothing open to others."""

from __future__ import annotations

import secrets
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class LocalPlatform:
    """Where a local platform keeps its things and on which ports its parts listen.

    ``latency`` is how long the simulated payment provider takes for a call, in milliseconds.
    """

    var: Path
    web_port: int
    provider_port: int
    mail_port: int
    mail_control_port: int
    latency: int = 200

    @property
    def base_url(self) -> str:
        """Where the pages are."""
        return f"http://{LOOPBACK}:{self.web_port}"

    @property
    def provider_url(self) -> str:
        """Where the simulated payment provider listens."""
        return f"http://{LOOPBACK}:{self.provider_port}"

    @property
    def mail_control_url(self) -> str:
        """Where the mail server's ledger can be asked for."""
        return f"http://{LOOPBACK}:{self.mail_control_port}"

    @property
    def database_url(self) -> str:
        """The SQLite file of this platform."""
        return f"sqlite:///{self.var / 'meet2be.sqlite'}"

    def environment(self) -> dict[str, str]:
        """Return the variables that the settings and Supervisor's files read."""
        secret = self.secrets()
        return {
            "MEET2BE_ENV": "demo",
            "MEET2BE_ROOT": str(ROOT),
            "MEET2BE_VAR": str(self.var),
            "MEET2BE_BIN": str(Path(sys.executable).parent),
            "MEET2BE_BIND": f"{LOOPBACK}:{self.web_port}",
            "MEET2BE_PROVIDER_PORT": str(self.provider_port),
            "MEET2BE_PROVIDER_LATENCY": str(self.latency),
            "MEET2BE_MAIL_CONTROL_PORT": str(self.mail_control_port),
            "VAR_DIR": str(self.var),
            "BASE_URL": self.base_url,
            "WEB_HOST": LOOPBACK,
            "WEB_PORT": str(self.web_port),
            "DATABASE_URL": self.database_url,
            "APP_KEY": secret["app"],
            "STRIPE_API_BASE": self.provider_url,
            "STRIPE_API_KEY": f"sk_test_{secret['provider']}",
            "STRIPE_WEBHOOK_SECRET": f"whsec_{secret['webhook']}",
            "SMTP_HOST": LOOPBACK,
            "SMTP_PORT": str(self.mail_port),
            "MAIL_FROM": "no-reply@meet2be.example",
            # Receivers of webhooks run on this machine, too, and nobody else gets here.
            "WEBHOOKS_ALLOW_PRIVATE": "127.0.0.0/8",
            "WEBHOOKS_ALLOW_HTTP": "yes",
            "WEBHOOKS_PORTS": "any",
        }

    def secrets(self) -> dict[str, str]:
        """Return this platform's own secrets, made at the first call and for its owner only."""
        names = ("app", "provider", "webhook")
        store = self.var / "secrets"
        store.mkdir(mode=0o700, parents=True, exist_ok=True)
        return {name: _kept_secret(store / name) for name in names}


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _kept_secret(path: Path) -> str:
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(24), encoding="ascii")
    return path.read_text(encoding="ascii").strip()
