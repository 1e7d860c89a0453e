"""A process that sends one webhook and kills itself at a given point of it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping

from meet2be.db import Database
from meet2be.db.tables import load_models
from meet2be.integrations.guarded_addresses import AddressRules
from meet2be.integrations.guarded_http import Answer, GuardedHttp
from meet2be.integrations.guarded_urls import UrlRules
from meet2be.integrations.switchboard import Then
from meet2be.webhooks.delivering import WebhookDeliveries
from meet2be.webhooks.vault import Vault
from onqueue.clock import SystemClock


class DyingHttp(GuardedHttp):
    """Dies before or after the request has left."""

    point = ""

    def start(self, url: str, headers: Mapping[str, str], body: bytes, then: Then[Answer]) -> None:
        def hear(answer: Answer | None, error: Exception | None) -> None:
            self._die_at("after")
            then(answer, error)

        self._die_at("before")
        super().start(url, headers, body, hear)

    def _die_at(self, point: str) -> None:
        if self.point == point:
            os.kill(os.getpid(), signal.SIGKILL)


def main(url: str, key: str, point: str, tenant: str, delivery: str) -> None:
    load_models()
    clock = SystemClock()
    http = DyingHttp(
        UrlRules(allow_http=True, ports=frozenset()), AddressRules(allowed=["127.0.0.0/8"])
    )
    http.point = point
    deliveries = WebhookDeliveries(Database(url, clock), http, Vault([key]), clock)
    sys.stdout.write(str(deliveries.deliver(int(tenant), int(delivery))))


if __name__ == "__main__":
    main(*sys.argv[1:])
