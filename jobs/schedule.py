"""What the platform does at which time; ``python -m workers scheduler`` runs it.

Names of entries stand in the history and in ``meet2be schedule …``: they stay. Times are UTC.
"""

from __future__ import annotations

from jobs.check_event_data import CheckEventData
from jobs.forget_api_answers import ForgetApiAnswers
from jobs.prune_webhooks import PruneWebhooks
from jobs.tend_exports import ExpireExports, RunExportSchedules
from jobs.tend_orders import TendOrders
from jobs.tidy_imports import TidyImports
from jobs.tidy_mails import TidyMails
from jobs.tidy_tickets import TidyTickets
from onqueue.schedule import Schedule
from onqueue.schedule.jobs import (
    MonitorQueues,
    PruneBatches,
    PruneFailedJobs,
    PruneOutbox,
    PruneSchedule,
)

DAY = 24.0
"""Hours."""

BUSY_FROM = 1000
"""Waiting jobs from which a queue is told to be busy; a cancellation alone is one job."""

WATCHED = [
    "redis:high",
    "redis:default",
    "redis:transactional-emails",
    "redis:emails",
    "redis-cancellations:cancellations",
    "redis:webhooks",
    "redis-long:exports",
    "redis:imports",
]

SCHEDULE = Schedule(connection="redis")

# An entry that says nothing about missed ticks lets them be: the next one does the same work.
SCHEDULE.job(PruneOutbox(7 * DAY), "prune-outbox").hourly(20).on_queue("low")
SCHEDULE.job(PruneFailedJobs(90 * DAY), "prune-failed").daily_at("03:10").on_queue("low")
SCHEDULE.job(PruneBatches(7 * DAY), "prune-batches").daily_at("03:20").on_queue("low")
SCHEDULE.job(PruneSchedule(30), "prune-schedule").daily_at("03:40").on_queue("low")
SCHEDULE.job(TidyMails(), "tidy-mails").every(minutes=5).on_queue("low").without_overlapping()
SCHEDULE.job(RunExportSchedules(), "export-schedules").every(minutes=1).without_overlapping()
SCHEDULE.job(ForgetApiAnswers(), "forget-api-answers").hourly(50).on_queue("low")
SCHEDULE.job(ExpireExports(), "expire-exports").hourly(35).on_queue("low")
SCHEDULE.job(PruneWebhooks(), "prune-webhooks").daily_at("03:50").on_queue("low")
SCHEDULE.job(TendOrders(), "tend-orders").every(minutes=1).on_queue("high").without_overlapping()
SCHEDULE.job(TidyImports(), "tidy-imports").every(minutes=15).on_queue("low").without_overlapping()
SCHEDULE.job(TidyTickets(), "tidy-tickets").hourly(20).on_queue("low").without_overlapping()
SCHEDULE.job(CheckEventData(), "check-event-data").daily_at("02:30").on_queue("low")
# Not on a queue that waits behind the ones it looks at.
SCHEDULE.job(MonitorQueues(WATCHED, BUSY_FROM), "monitor-queues").every(minutes=1).on_queue(
    "critical"
).without_overlapping()
