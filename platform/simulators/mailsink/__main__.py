"""The command `python -m simulators.mailsink`: serve a mail folder until told to stop."""

from __future__ import annotations

import argparse
import asyncio
import logging
from pathlib import Path

from aiohttp import web

from simulators.mailsink.control_api import MailSinkApi
from simulators.mailsink.smtp import protocol
from simulators.mailsink.store import MailStore
from simulators.serving import add_common_options, only_process, publish, until_stopped


def main() -> None:
    """Read the options and serve; the ports stand in `DIR/port` and `DIR/control-port`."""
    options = _options()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    data = Path(options.data)
    with only_process(data):
        asyncio.run(_serve(data, options))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m simulators.mailsink",
        description="A mail server that keeps every message and misbehaves on demand.",
    )
    add_common_options(parser)
    parser.add_argument(
        "--control-port", type=int, default=0, help="port of the helper calls; 0 takes a free one"
    )
    return parser.parse_args()


async def _serve(data: Path, options: argparse.Namespace) -> None:
    store = MailStore(data / "mail.sqlite3")
    loop = asyncio.get_running_loop()
    smtp = await loop.create_server(
        lambda: protocol(store), options.host, options.port, backlog=1024
    )
    runner = web.ServerRunner(
        web.Server(MailSinkApi(store).handle, access_log=None), shutdown_timeout=1
    )
    await runner.setup()
    await web.TCPSite(runner, options.host, options.control_port).start()
    publish(data, "port", smtp.sockets[0].getsockname()[1])
    publish(data, "control-port", runner.addresses[0][1])
    try:
        await until_stopped(end_with_stdin=options.end_with_stdin)
    finally:
        smtp.close()
        await runner.cleanup()
        store.store.close()


if __name__ == "__main__":
    main()
