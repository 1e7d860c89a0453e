"""`metrics`: what a Prometheus may scrape, printed once or served."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry

    from onqueue.connections import QueueManager


def commands(get_manager: Callable[[], QueueManager]) -> tuple[click.Command, ...]:
    """Return the command."""

    @click.command("metrics")
    @click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve on.")
    @click.option(
        "--port",
        type=click.IntRange(0, 65535),
        help="Serve until interrupted (0: any free port); without it, print once.",
    )
    def metrics(host: str, port: int | None) -> None:
        """Tell the figures of queues and workers in Prometheus' text format.

        The figures of workers come from the directory PROMETHEUS_MULTIPROC_DIR, where the
        workers have it set, too.
        """
        registry = _registry(get_manager())
        if port is None:
            from prometheus_client import generate_latest

            click.echo(generate_latest(registry).decode(), nl=False)
            return
        _serve(registry, host, port)

    return (metrics,)


def _registry(manager: QueueManager) -> CollectorRegistry:
    try:
        from prometheus_client import CollectorRegistry
        from prometheus_client.multiprocess import MultiProcessCollector
    except ImportError as error:
        msg = f"{error}: install the extra 'metrics' (onqueue[metrics])"
        raise click.ClickException(msg) from error
    from onqueue.telling.metrics import QueueCollector

    registry = CollectorRegistry()
    registry.register(QueueCollector(manager))
    try:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    except ValueError as error:
        click.echo(f"The figures of workers are missing: {error}", err=True)
    return registry


def _serve(registry: CollectorRegistry, host: str, port: int) -> None:
    from prometheus_client import start_http_server

    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        msg = f"Nothing can be served on {host}:{port}: {error.strerror}. Choose another --port."
        raise click.ClickException(msg) from error
    click.echo(f"Serving metrics on http://{host}:{server.server_port}/metrics", err=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        server.shutdown()
        thread.join()
