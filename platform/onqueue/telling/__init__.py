"""What the queue tells the outside: log lines, metrics, traces. Nothing of it costs when it is off.

Each of these listens only once it is installed:

- `log_events()` writes a line for each happening;
- `metrics.Metrics(manager).install()` counts for Prometheus (extra `metrics`);
- `tracing.Tracing(manager).install()` writes OpenTelemetry spans (extra `tracing`).
"""

from onqueue.telling.logs import log_events

__all__ = ["log_events"]
