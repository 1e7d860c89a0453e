"""The command `python -m simulators.provider`: serve a ledger folder until told to stop."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
from pathlib import Path

from aiohttp import web

from simulators.provider.ledger import Ledger
from simulators.provider.server import Provider
from simulators.provider.sim_api import SimApi
from simulators.provider.webhooks import Timetable
from simulators.serving import add_common_options, only_process, publish, until_stopped


def main() -> None:
    """Read the options and serve; the port stands in `DIR/port`."""
    options = _options()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    data = Path(options.data)
    with only_process(data):
        asyncio.run(_serve(data, options))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m simulators.provider",
        description="A simulated payment provider that speaks Stripe's API for refunds.",
    )
    add_common_options(parser)
    parser.add_argument("--latency", type=int, metavar="MS", help="milliseconds that a call takes")
    parser.add_argument("--webhook-url", help="where events are sent; none are sent without it")
    parser.add_argument(
        "--webhook-events", type=_kinds, metavar="KINDS", help="those sent, with commas; * for all"
    )
    parser.add_argument("--webhook-secret", help="the secret that events are signed with")
    parser.add_argument("--api-key", help="the only key let in; any sk_test_… without it")
    return parser.parse_args()


def _kinds(text: str) -> list[str]:
    return text.split(",")


async def _serve(data: Path, options: argparse.Namespace) -> None:
    ledger = Ledger(data / "ledger.sqlite3")
    timetable = Timetable(ledger)
    _apply(ledger, options)
    await ledger.store.committed()
    provider = Provider(ledger, timetable, SimApi(ledger, timetable), options.api_key)
    server = web.Server(provider.handle, access_log=None, keepalive_timeout=75)
    runner = web.ServerRunner(server, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, options.host, options.port, backlog=1024)
    await site.start()
    port = runner.addresses[0][1]
    ledger.public_url = f"http://{options.host}:{port}"
    publish(data, "port", port)
    serving = asyncio.create_task(timetable.run())
    try:
        await until_stopped(end_with_stdin=options.end_with_stdin)
    finally:
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        await runner.cleanup()
        ledger.store.close()


def _apply(ledger: Ledger, options: argparse.Namespace) -> None:
    """Put the switches given on the command line on top of those kept in the ledger."""
    webhooks = {
        "url": options.webhook_url,
        "secret": options.webhook_secret,
        "events": options.webhook_events,
    }
    changes: dict[str, object] = {
        "webhooks": {name: value for name, value in webhooks.items() if value is not None}
    }
    if options.latency is not None:
        changes["latency_ms"] = options.latency
    ledger.set_behaviour(ledger.behaviour.changed_by(changes))


if __name__ == "__main__":
    main()
