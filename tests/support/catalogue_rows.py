"""What each numbered behaviour of the catalogue is, in a sentence, and what becomes of it here.

Long, as it is one table of 90 rows.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Verdict = Literal["kept", "changed", "kept and changed"]


class Row(NamedTuple):
    """One behaviour: what Laravel does, and what is kept or changed."""

    number: int
    laravel: str
    verdict: Verdict
    here: str


KEPT: Verdict = "kept"
CHANGED: Verdict = "changed"
BOTH: Verdict = "kept and changed"

ROWS = (
    Row(
        1,
        "A reservation spends an attempt, also when the worker dies in it",
        BOTH,
        "a run that began and died has spent one; a reserved job that never began has not",
    ),
    Row(
        2,
        "Before a run more than `tries` attempts fail a job, after an exception as many as `tries`",
        KEPT,
        "`tries = 3` is three runs, and the failed store has the job's own error",
    ),
    Row(
        3,
        "The job's `tries` beat the worker's; 0 is without limit; the worker's default is 1",
        KEPT,
        "the same",
    ),
    Row(4, "`retryUntil` replaces `tries`", KEPT, "`retry_until` does"),
    Row(
        5,
        "A job first picked up after its deadline never runs",
        BOTH,
        "it fails unrun, as `RetryUntilPassed` rather than as too many attempts",
    ),
    Row(6, "The deadline is worked out at dispatch; a retry works it out anew", KEPT, "the same"),
    Row(
        7,
        "Exceptions are counted in the cache and forgotten after a day",
        CHANGED,
        "the count is kept with the job, and ends with it",
    ),
    Row(
        8,
        "A release spends attempts",
        BOTH,
        "so it does; `snooze` is the way to wait without spending one",
    ),
    Row(
        9,
        "The backoff goes by the attempt, and its last element repeats",
        KEPT,
        "the same, with `jitter` as an option",
    ),
    Row(
        10,
        "A job without backoff that was dispatched with a delay is retried after that delay",
        CHANGED,
        "a delay is for the first run only",
    ),
    Row(11, "After an exception: limits, event, release, event, report", KEPT, "the same order"),
    Row(
        12,
        "A job that releases itself and then raises can be both failed and delayed",
        CHANGED,
        "one end a reservation: the first order wins",
    ),
    Row(
        13,
        "The exception handler may say that an error is not to be retried",
        KEPT,
        "`dont_retry` of the manager and `FailOnException` of a job name such errors",
    ),
    Row(
        14,
        "A timeout marks the job and kills the worker",
        BOTH,
        "the same marks; the child is stopped or killed and the worker lives on",
    ),
    Row(
        15,
        "After a timeout the job waits for `retry_after`, without backoff",
        CHANGED,
        "it is released with its backoff at once",
    ),
    Row(
        16,
        "The job's timeout beats the worker's; 0 is none; an open transaction is rolled back",
        KEPT,
        "the same",
    ),
    Row(17, "`--once` enforces no timeout and hears no signal", CHANGED, "it has all guarantees"),
    Row(
        18,
        "Exit codes: 12 for memory, 0 for all other orderly ends",
        KEPT,
        "the same, and 1 when the broker is away",
    ),
    Row(19, "When several reasons to stop hold, one wins in a fixed order", KEPT, "the same order"),
    Row(
        20,
        "TERM, INT and QUIT finish the job and end with 0",
        BOTH,
        "the same, and a second signal interrupts the job",
    ),
    Row(21, "USR2 pauses after the job, CONT goes on", KEPT, "the same"),
    Row(
        22,
        "A restart is a changed timestamp, for all who share the cache",
        BOTH,
        "a changed timestamp, by connection",
    ),
    Row(
        23,
        "Time and memory are looked at between jobs; `--max-jobs` counts runs of any outcome",
        KEPT,
        "the same, and `--max-time` wakes an idle worker",
    ),
    Row(
        24,
        "`--stop-when-empty` also ends with 0 when the broker was away",
        CHANGED,
        "it ends with 1 then",
    ),
    Row(25, "In maintenance a worker idles unless it is forced", KEPT, "the same"),
    Row(
        26,
        "A broker that is away ends the worker",
        BOTH,
        "the worker reconnects with growing pauses and loses nothing",
    ),
    Row(
        27,
        "Pauses go by queue and by connection; running jobs finish",
        BOTH,
        "also by class and tenant, with a reason and an end",
    ),
    Row(28, "Keys of a queue share a hash tag", KEPT, "keys of a connection do"),
    Row(
        29,
        "A delayed job waits for some worker to look, to the second",
        CHANGED,
        "an idle worker is woken to the millisecond",
    ),
    Row(
        30,
        "Each look first brings what is due, oldest first, behind what is ready",
        KEPT,
        "the same, a hundred a look",
    ),
    Row(
        31, "A push adds a token that wakes one worker", KEPT, "the same, at most 64 tokens a queue"
    ),
    Row(32, "Only the first queue is waited on", CHANGED, "all queues are waited on at once"),
    Row(
        33,
        "A reservation is known by the exact bytes of its payload",
        CHANGED,
        "payloads are opaque; a reservation is known by id and holder",
    ),
    Row(
        34,
        "A stale worker's acknowledgement can delete another's run",
        CHANGED,
        "it changes nothing",
    ),
    Row(35, "A stale release brings a finished job back", CHANGED, "it changes nothing"),
    Row(
        36,
        "`clear` removes running jobs and leaves their locks",
        CHANGED,
        "running jobs stay; what is cleared frees its locks and its place in a batch",
    ),
    Row(
        37,
        "Queues are tried in their order at every pick",
        KEPT,
        "the same; a weighted mode exists",
    ),
    Row(
        38,
        "A bulk push has no events on some drivers",
        CHANGED,
        "many jobs are told like single ones, each with its own delay",
    ),
    Row(
        39,
        "The database driver takes the lowest id",
        KEPT,
        "order is by time due, then by dispatch",
    ),
    Row(40, "A row that is no job is failed, not looped", KEPT, "the same"),
    Row(
        41,
        "A job run at once: no delay, no retry, errors reach the dispatcher, a release is lost",
        BOTH,
        "the same, but a release is an error",
    ),
    Row(
        42,
        "The failed store is written by the work command only",
        CHANGED,
        "the core writes it, for jobs that run at once, too",
    ),
    Row(43, "The null driver swallows", KEPT, "the same"),
    Row(
        44,
        "A job run at once goes through its middleware; after the response it runs in process",
        KEPT,
        "the same: lost on a crash, no retries",
    ),
    Row(
        45,
        "`delete()` inside a job goes on with the chain and counts in the batch",
        KEPT,
        "the same",
    ),
    Row(46, "A job that fails itself also counts as processed", CHANGED, "one terminal event"),
    Row(
        47, "Events have one order", BOTH, "the same order; released jobs are not told as processed"
    ),
    Row(
        48,
        "A middleware that does not go on makes a success",
        CHANGED,
        "the outcome is `skipped`; a chain goes on, or stops where it says so",
    ),
    Row(49, "`failed()` runs on a fresh instance, after the job is gone", KEPT, "the same"),
    Row(
        50,
        "A missing model fails the job at once or drops it; a drop ends the chain",
        CHANGED,
        "a dropped one is `skipped`, also for its chain",
    ),
    Row(
        51,
        "A batch hangs when a failed member's model is missing",
        CHANGED,
        "the script that ends the job counts it, without its payload",
    ),
    Row(
        52,
        "An unknown class fails its job and not the worker",
        CHANGED,
        "the job is parked until some code knows it",
    ),
    Row(
        53,
        "An overlap lock has no expiry, and a loser spins",
        CHANGED,
        "the lock ends with its holder's lease, and the loser is parked",
    ),
    Row(
        54,
        "An unknown limiter does not limit; several limits are consumed one by one",
        CHANGED,
        "an unknown one is an error, several are checked at once, the denied job is parked",
    ),
    Row(
        55,
        "Throttled exceptions are swallowed, and the cause is lost",
        CHANGED,
        "the last error is kept",
    ),
    Row(56, "`FailOnException` fails and reports", KEPT, "the same"),
    Row(57, "A cancelled batch's jobs run unless they ask", CHANGED, "the core asks"),
    Row(
        58,
        "The unique lock is taken on some ways only",
        CHANGED,
        "alone, in bulk, as link, member, tick and retry",
    ),
    Row(
        59,
        "A chain link whose lock is taken vanishes with the rest of its chain",
        CHANGED,
        "it is skipped and the chain goes on",
    ),
    Row(
        60,
        "The unique lock ends with success, deletion or final failure, not with a release",
        KEPT,
        "the same",
    ),
    Row(
        61,
        "Until processing: the lock ends right before `handle`",
        KEPT,
        "the same; a retry never frees another's lock",
    ),
    Row(62, "A unique lock has no expiry unless given", BOTH, "a day unless given"),
    Row(
        63,
        "A rolled back dispatch frees its lock",
        KEPT,
        "it is taken with the push, so a rollback leaves none",
    ),
    Row(64, "Debounce: the last dispatch wins", KEPT, '`unique_on_conflict = "keep_last"`'),
    Row(65, "The next link is pushed after the job ended", CHANGED, "in the same step"),
    Row(
        66,
        "A batch counts, it knows no members",
        BOTH,
        "the numbers are the same, from a ledger of members",
    ),
    Row(67, "The first failure cancels a batch, unless failures are allowed", KEPT, "the same"),
    Row(68, "`then` runs for a cancelled batch, too", CHANGED, "it does not"),
    Row(
        69,
        "`finally` is missed when a chain inside breaks",
        CHANGED,
        "the links behind the broken one are counted at once",
    ),
    Row(
        70,
        "A retried member leaves the count of failures as it was",
        CHANGED,
        "its entry moves, and with it the count",
    ),
    Row(
        71, "Callbacks run in the worker that came last, once, unretried", CHANGED, "they are jobs"
    ),
    Row(
        72,
        "`add` grows a batch from inside; an empty batch never ends; nested lists are chains",
        BOTH,
        "the same, but an empty one ends at once",
    ),
    Row(
        73,
        "`batching()` is false when cancelled or finished; the batch is read anew",
        KEPT,
        "the same",
    ),
    Row(74, "Each member locks the batch's row", CHANGED, "one step with the acknowledgement"),
    Row(75, "Pruning goes by hours; unfinished and cancelled ones on request", KEPT, "the same"),
    Row(76, "Options are frozen at dispatch", KEPT, "the same, with a version of the job"),
    Row(
        77,
        "After commit: built at dispatch, pushed after the outermost commit, lost in a crash",
        BOTH,
        "the same, but an outbox loses nothing",
    ),
    Row(78, "Encryption covers the data only", KEPT, "the same, with key ids"),
    Row(79, "What cannot travel is an error at dispatch", KEPT, "with job, field and type"),
    Row(80, "Models travel as keys and come back as they are now", KEPT, "the same"),
    Row(
        81,
        "A retry pushes, then forgets; a crash in between doubles the job",
        CHANGED,
        "it is atomic",
    ),
    Row(82, "A second failure of one job is lost", CHANGED, "both are kept"),
    Row(83, "`flush`, `prune-failed`, `forget`", KEPT, "the same"),
    Row(
        84,
        "The monitor tells at every look that a queue is busy",
        CHANGED,
        "once when it becomes so, once when it is over",
    ),
    Row(85, "Fakes keep jobs, check that they can travel and can be asked", KEPT, "the same"),
    Row(86, "A retried job gets a new identity", CHANGED, "one identity, many attempts"),
    Row(
        87,
        "Pools are scaled by what is ready",
        CHANGED,
        "pools have fixed sizes; nothing scales them",
    ),
    Row(
        88,
        "Scaling down ends the oldest worker",
        CHANGED,
        "nothing scales down; a worker that is told to end finishes its job",
    ),
    Row(
        89,
        "The wait is told from averages",
        CHANGED,
        "no wait is foretold; the monitor measures the age of the oldest ready job",
    ),
    Row(
        90,
        "Finished jobs are kept for an hour",
        CHANGED,
        "they leave nothing behind but the progress they reported, for a day",
    ),
)

LEAD = (
    (1, "A reservation has an owner; whoever lost it changes nothing"),
    (2, "Leases are renewed beside the job's code, and are short"),
    (3, "Tenants share one queue fairly"),
    (4, "Limits by tenant park jobs instead of spinning"),
    (5, "Batches are a ledger of members"),
    (6, "Callbacks are jobs"),
    (7, "Unique jobs on every way, with a policy for conflicts"),
    (8, "Dispatch after commit survives a crash"),
    (9, "A scheduler of several, each tick once"),
    (10, "Jobs with checkpoints go on where they were"),
    (11, "A running job can be cancelled from outside"),
    (12, "Payloads have versions and upcasters; the unknown is parked"),
    (13, "Snoozes and interruptions are no failures"),
    (14, "Failed jobs are grouped by their error"),
    (15, "Search over all states (with the operator's pages)"),
    (16, "Autoscaling (with the operator's pages)"),
    (17, "Alerts: once per breach, once when over"),
    (18, "Roles and redaction (with the operator's pages)"),
    (19, "Traces, metrics and structured logs"),
    (20, "A test kit and one contract suite for all drivers"),
)
