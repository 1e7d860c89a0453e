"""What can go wrong, each with its data and a message that says what to do.

Longer than other files: one list, in the order of a job's life, so that whoever writes a message
sees how its neighbours speak. docs/reference/queue-errors.md is made from it.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def _clause(why: object) -> str:
    """Return words quoted from elsewhere without the full stop that our own sentence sets."""
    return str(why).strip().rstrip(".")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ", did you mean 'x'?" for the known name most like this one, or "" without any."""
    matches = get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f", did you mean {matches[0]!r}?" if matches else ""


class OnQueueError(Exception):
    """The root of all errors of the core."""


# ---- settings ----


class ConfigurationError(OnQueueError):
    """Settings that cannot be used; `problems` lists all of them."""

    def __init__(self, subject: str, problems: Sequence[str]) -> None:
        """Keep the problems, one sentence each."""
        self.subject = subject
        self.problems = tuple(problems)
        super().__init__(f"{subject} cannot be used: " + "; ".join(map(_clause, self.problems)))


class NoInlineRunner(OnQueueError):
    """A job was to run in its dispatcher, and nothing that runs jobs was imported."""

    def __init__(self, job_id: str, connection: str) -> None:
        """Name the job and its connection."""
        super().__init__(
            f"Nothing can run job {job_id!r} of connection {connection!r} in this process: "
            "import onqueue (or onqueue.bus) before the first dispatch"
        )


class UnknownConnection(OnQueueError):
    """A connection nobody configured."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        """Name the configured ones."""
        self.name = name
        names = sorted(known)
        super().__init__(
            f"There is no connection {name!r}{nearest(name, names)} "
            f"(configured: {', '.join(map(repr, names)) or 'none'})"
        )


class UnknownEntry(OnQueueError):
    """An entry that the schedule does not have."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        """Name the entries there are."""
        self.name = name
        names = sorted(known)
        super().__init__(
            f"The schedule has no entry {name!r}{nearest(name, names)} "
            f"(entries: {', '.join(map(repr, names)) or 'none'})"
        )


class NoCurrentManager(OnQueueError):
    """A job was dispatched before the process said which queues it uses."""

    def __init__(self) -> None:
        """Say how to set it."""
        super().__init__(
            "No QueueManager is in use in this process: call onqueue.use(manager) at start-up"
        )


class UnsupportedByDriver(OnQueueError):
    """A job needs something its connection's driver cannot do."""

    def __init__(self, job: str, connection: str, driver: str, need: str) -> None:
        """Name what is missing."""
        self.job, self.connection, self.driver, self.need = job, connection, driver, need
        super().__init__(
            f"Job {job!r} needs {need}, which driver {driver!r} of connection {connection!r} "
            "cannot do: choose another connection for it"
        )


class RetryAfterTooShort(OnQueueError):
    """A connection would hand a job out again while it is still allowed to run."""

    def __init__(self, connection: str, retry_after: float, subject: str, timeout: float) -> None:
        """Name both figures, in seconds."""
        self.connection, self.retry_after, self.timeout = connection, retry_after, timeout
        super().__init__(
            f"retry_after ({retry_after:g} s) of connection {connection!r} must be above the "
            f"timeout of {subject} ({timeout:g} s), or the job runs twice: raise retry_after, "
            "lower the timeout or use a connection that renews leases"
        )


class UniqueJobExists(OnQueueError):
    """A unique job was dispatched while another one has its lock, and wants to hear of that."""

    def __init__(self, job: str, key: str, owner: str) -> None:
        """Name the lock and the id of the job that has it."""
        self.job, self.key, self.owner = job, key, owner
        super().__init__(f"Job {job!r} is unique, and job {owner!r} has its lock {key!r}")


class BatchFinished(OnQueueError):
    """Jobs were added to a batch that has ended, or that nobody knows any more."""

    def __init__(self, batch_id: str) -> None:
        """Name the batch."""
        self.batch_id = batch_id
        super().__init__(
            f"Batch {batch_id!r} has ended, so no job can be added to it: dispatch another batch"
        )


class NotBatchable(OnQueueError, TypeError):
    """Something that cannot be a link of a chain or a member of a batch."""


# ---- job classes ----


class JobDefinitionError(OnQueueError, TypeError):
    """A job class that cannot be right; raised when the class is made."""


class UnknownJob(OnQueueError):
    """A name on the wire that no class of this process bears."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        """Suggest the nearest registered name."""
        self.name = name
        super().__init__(
            f"No job is registered under the name {name!r}{nearest(name, known)} "
            "(import its module, or register the old name as an alias)"
        )


class NotCallableByPath(JobDefinitionError):
    """A function that a worker could not import."""

    def __init__(self, function: str, why: str) -> None:
        """Name the function and what is in the way."""
        self.function = function
        super().__init__(f"Function {function!r} cannot become a job: {why}")


class NotRunning(OnQueueError):
    """Something that only a running job can do was asked of one that is not running."""

    def __init__(self, job: str, what: str) -> None:
        """Name the job ("" where none is known) and what was asked."""
        subject = f"{what!r} of job {job!r}" if job else f"{what!r}"
        super().__init__(f"{subject} exists only while a worker runs a job")


# ---- payloads ----


class PayloadError(OnQueueError):
    """A payload that cannot be written or read."""


class UnserializableArgument(PayloadError, TypeError):
    """An argument that cannot travel; `path` tells where inside the value it sits."""

    def __init__(self, job: str, field: str, path: str, type_name: str, why: str) -> None:
        """Name job, field, place, type and what to do."""
        self.job, self.field, self.path, self.type_name = job, field, path, type_name
        super().__init__(f"Field {path!r} of job {job!r} cannot travel ({type_name}): {why}")


class PayloadTooLarge(PayloadError, ValueError):
    """A payload above the connection's `max_payload`."""

    def __init__(self, job: str, size: int, limit: int) -> None:
        """Name both figures, in bytes."""
        self.job, self.size, self.limit = job, size, limit
        super().__init__(
            f"The payload of job {job!r} has {size} bytes, allowed are {limit}: store the data "
            "and pass its key, or raise max_payload of the connection"
        )


class UnreadablePayload(PayloadError):
    """Bytes that are no payload, or one that does not fit its class."""


class NewerPayload(PayloadError):
    """A payload written by a newer version of the core or of the job class."""

    def __init__(self, job: str, version: int, known: int) -> None:
        """Name both versions."""
        self.job, self.version, self.known = job, version, known
        super().__init__(
            f"The payload of job {job!r} has version {version}, this process knows {known}: "
            "it waits for a worker with newer code"
        )


class UpcasterMissing(PayloadError):
    """A payload of an older version of a job class, and nothing that brings it up to date."""

    def __init__(self, job: str, version: int, newest: int, step: int) -> None:
        """Name the payload's version, the class's, and the step that is missing."""
        self.job, self.version, self.newest, self.step = job, version, newest, step
        super().__init__(
            f"The payload of job {job!r} has version {version}, the class {newest}, and nothing "
            f"leads from {step} to {step + 1}: declare it with @{job}.upcaster({step}), then "
            "replay the job"
        )


class UpcasterFailed(UnreadablePayload):
    """An upcaster raised, or returned what is no data."""

    def __init__(self, job: str, step: int, why: str) -> None:
        """Name the step by the version it begins with."""
        self.job, self.step = job, step
        super().__init__(
            f"The upcaster of job {job!r} from version {step} to {step + 1} failed: {why}. "
            "Mend it, then retry the job"
        )


class MissingModel(OnQueueError):
    """A referenced record was gone when its job ran."""

    def __init__(self, type_name: str, key: object) -> None:
        """Name the type and the key."""
        self.type_name, self.key = type_name, key
        super().__init__(f"{type_name} {key!r} no longer exists")


# ---- keys ----


class BeyondRetry(OnQueueError):
    """The root of what no other attempt can mend: a job that raises it fails at once."""


def is_beyond_retry(error: BaseException) -> bool:
    """Tell whether the core itself says that trying again is pointless."""
    return isinstance(error, BeyondRetry)


class NoAppKeys(ConfigurationError):
    """Something must be signed or encrypted, but the manager was given no keys."""

    def __init__(self, job: str, need: str) -> None:
        """Name the job and what it needs a key for."""
        self.job, self.need = job, need
        super().__init__(
            f"Job {job!r}",
            [f"it needs {need}: give the QueueManager app_keys=((id, 32 random bytes),)"],
        )


class KeyGone(PayloadError):
    """A payload was signed or encrypted with a key that this process does not have."""

    def __init__(self, job: str, key_id: str, known: Iterable[str]) -> None:
        """Name the job, the key it needs and those that are there."""
        self.job, self.key_id = job, key_id
        names = ", ".join(map(repr, known)) or "none"
        super().__init__(
            f"The payload of job {job!r} needs app key {key_id!r}, which is not here "
            f"(known: {names}): put it back behind the present key, then replay the job"
        )


class PayloadAltered(BeyondRetry, PayloadError):
    """An encrypted payload that is not what a dispatch of this application wrote."""

    def __init__(self, job: str, why: str) -> None:
        """Name the job and what does not fit."""
        self.job = job
        super().__init__(
            f"The encrypted payload of job {job!r} was refused: {why}. It was altered or moved "
            "here from another job, or its key is another one of the same id"
        )


class NoSuchFunction(BeyondRetry):
    """A job calls a function that its module does not have (any more)."""

    def __init__(self, path: str) -> None:
        """Name the path, `module:name`."""
        self.path = path
        super().__init__(
            f"There is no function {path!r}: put it back (or a new one under its old name), "
            "then retry the job"
        )


class ClosureAltered(BeyondRetry, PayloadError):
    """A function's job that is not what a dispatch of this application signed."""

    def __init__(self, job: str, function: str, why: str) -> None:
        """Name the job, the function and what does not fit."""
        self.job, self.function = job, function
        super().__init__(
            f"The call of {function!r} by job {job!r} was refused unrun: {why}. It was altered "
            "on its way, or dispatched by somebody else; dispatch it again if it is wanted"
        )


class ClosureOfOtherPython(BeyondRetry, PayloadError):
    """A function's code that was compiled for another version of Python."""

    def __init__(self, theirs: str, ours: str) -> None:
        """Name both versions."""
        self.theirs, self.ours = theirs, ours
        super().__init__(
            f"The job's function was compiled for Python {theirs}, this is {ours}: retry it on a "
            "worker of that version, or dispatch it again"
        )


# ---- brokers ----


class BrokerError(OnQueueError):
    """A broker that did not do what it was asked."""


class BrokerUnavailable(BrokerError):
    """The broker could not be reached, or did not answer in time."""

    def __init__(self, connection: str, address: str, why: str) -> None:
        """Name the connection, where its broker should be, and what happened."""
        self.connection, self.address = connection, address
        super().__init__(
            f"The broker of connection {connection!r} at {address} cannot be reached: "
            f"{_clause(why)}. "
            "Check that it runs and that the address is right"
        )


class BrokerFull(BrokerError):
    """The broker has no memory left for another job; nothing was stored."""

    def __init__(self, connection: str, address: str, why: str) -> None:
        """Name the connection and what the broker said."""
        self.connection, self.address = connection, address
        super().__init__(
            f"The broker of connection {connection!r} at {address} takes no more jobs: "
            f"{_clause(why)}. "
            "Give it more memory or let workers empty its queues"
        )


class BrokerMisconfigured(BrokerError):
    """The broker answers, but jobs would not be safe in it."""

    def __init__(self, connection: str, address: str, why: str) -> None:
        """Name the connection and what must be changed."""
        self.connection, self.address = connection, address
        super().__init__(
            f"The broker of connection {connection!r} at {address} is not safe for jobs: "
            f"{_clause(why)}"
        )


# ---- failed jobs ----


class FailedJobError(OnQueueError):
    """A failed job that was not brought back; it is in its store as before."""


class RetryRefused(FailedJobError):
    """A failed job that its queue does not take now: nothing was pushed."""

    def __init__(self, job_id: str, why: str) -> None:
        """Name the job and what stands in the way."""
        self.job_id = job_id
        super().__init__(f"Failed job {job_id!r} stays where it is: {_clause(why)}")


class EditConflict(FailedJobError):
    """A failed job that changed, or was being retried, before its edit could be made."""

    def __init__(self, job_id: str) -> None:
        """Say what to do."""
        self.job_id = job_id
        super().__init__(
            f"Failed job {job_id!r} is being retried already, or was changed by another: look at "
            "it again, and end its retry (without a change) before you edit it"
        )


class UneditableJob(FailedJobError):
    """A change of a failed job's fields that its class would not accept."""

    def __init__(self, job: str, problems: Sequence[str]) -> None:
        """Keep all that is wrong, one sentence each."""
        self.job, self.problems = job, tuple(problems)
        super().__init__(f"Job {job!r} cannot be changed so: " + "; ".join(problems))


# ---- limits and middleware ----


class LimitDefinitionError(BeyondRetry, TypeError):
    """A limit or a limiter that cannot be right."""

    def __init__(self, what: str, why: str) -> None:
        """Name what was given and what it must be."""
        super().__init__(f"{what} cannot be: {_clause(why)}")


class UnknownLimiter(BeyondRetry):
    """A limiter nobody defined in this process."""

    def __init__(self, name: str, known: Iterable[str], job: str) -> None:
        """Name the limiter, the job and what is defined."""
        self.name, self.job = name, job
        names = sorted(known)
        super().__init__(
            f"Job {job!r} asks for limiter {name!r}, which is not defined{nearest(name, names)} "
            f"(defined: {', '.join(map(repr, names)) or 'none'}): call RateLimiter.define() "
            "where the worker imports its jobs"
        )


class NotMiddleware(BeyondRetry, TypeError):
    """Something among the middleware of a job that is none."""

    def __init__(self, job: str, given: object, why: str) -> None:
        """Name the job, what it gave and what is wrong with it."""
        self.job, self.given = job, given
        super().__init__(f"Job {job!r} has {given!r:.200} in its middleware(), but {_clause(why)}")


class LimitReached(OnQueueError):
    """A limit or a lock inside a job that does not let it through now.

    `retry_in` is seconds, infinite when nobody knows.
    """

    def __init__(self, key: str, retry_in: float) -> None:
        """Name the limit and when it may let somebody through again."""
        self.key, self.retry_in = key, retry_in
        known = retry_in < float("inf")
        when = f"again in {retry_in:g} s" if known else "when somebody gives it back"
        super().__init__(
            f"{key!r} lets nobody through now ({when}): release the job, or put the limit into "
            "its middleware(), where it waits without spending an attempt"
        )


class LeaseLost(OnQueueError):
    """The holder's lease ended: another worker may run the job by now, so stop."""

    def __init__(self, holder: str, job_id: str = "") -> None:
        """Name the holder and, where known, the job."""
        self.holder, self.job_id = holder, job_id
        subject = f" for job {job_id!r}" if job_id else ""
        super().__init__(f"Holder {holder!r} lost its lease{subject}: its work no longer counts")


class CheckpointError(OnQueueError, ValueError):
    """A checkpoint was to hold what it cannot hold."""

    def __init__(self, place: str, why: str) -> None:
        """Name the place and the reason."""
        self.place, self.why = place, why
        super().__init__(
            f"Checkpoint {place!r} cannot be kept: {why}. Keep there only what JSON holds: where "
            "the work stands, not its results"
        )


class NotWithSync(OnQueueError):
    """A job asked for something that has no meaning while it runs inside its dispatcher."""


# ---- why a job failed ----


class JobFailure(OnQueueError):
    """The root of what the core itself fails a job with."""


class MaxAttemptsExceeded(JobFailure):
    """All attempts were spent without an outcome."""

    def __init__(self, job: str, attempts: int, tries: int) -> None:
        """Name both figures."""
        self.job, self.attempts, self.tries = job, attempts, tries
        super().__init__(f"Job {job!r} has spent {attempts} attempts of {tries} without an end")


class RetryUntilPassed(JobFailure):
    """The job's `retry_until` was over before it could be run (again)."""

    def __init__(self, job: str, until: str) -> None:
        """Name the deadline (ISO 8601)."""
        self.job, self.until = job, until
        super().__init__(f"Job {job!r} may not run after {until}")


class TimeoutExceeded(JobFailure):
    """The job ran longer than its `timeout`."""

    def __init__(self, job: str, timeout: float) -> None:
        """Name the limit, in seconds (0: not known any more)."""
        self.job, self.timeout = job, timeout
        allowed = f" of {timeout:g} s" if timeout else ""
        super().__init__(f"Job {job!r} ran longer than its timeout{allowed}")


class MemoryExceeded(JobFailure):
    """The process of the job was killed, as it had far more memory than the job may take."""

    def __init__(self, job: str, limit: float) -> None:
        """Name the job's `memory_limit`, in MiB (0: not known any more)."""
        self.job, self.limit = job, limit
        allowed = f" of {limit:g} MiB" if limit else ""
        super().__init__(f"Job {job!r} took more than twice its memory limit{allowed}")


class JobPoisoned(JobFailure):
    """The job killed its process too often."""

    def __init__(self, job: str, deaths: int) -> None:
        """Name how often."""
        self.job, self.deaths = job, deaths
        super().__init__(f"Job {job!r} killed its worker process {deaths} times: it is poisoned")


class MemberFailed(JobFailure):
    """What the callbacks of a chain or a batch get for the error of one of its jobs.

    `text` is the message and `error_type` the type's name; both are empty where the failed store
    does not have the job.
    """

    def __init__(self, job_id: str, job: str = "", error_type: str = "", text: str = "") -> None:
        """Name the job by id and, where known, by its name on the wire."""
        self.job_id, self.job, self.error_type, self.text = job_id, job, error_type, text
        subject = f"Job {job!r} ({job_id})" if job else f"Job {job_id}"
        super().__init__(f"{subject} failed" + (f": {error_type}: {text}" if error_type else ""))


class ManuallyFailed(JobFailure):
    """`self.fail()` was called without an error, or with a plain message."""


class JobTimedOut(BaseException):
    """Raised inside a running job at its soft timeout; `except Exception` does not catch it."""

    def __init__(self, timeout: float) -> None:
        """Keep the limit, in seconds."""
        self.timeout = timeout
        super().__init__(f"The job ran longer than {timeout:g} s")


class JobInterrupted(BaseException):
    """Raised inside a running job that must end now; its attempt is not spent."""


class JobCancelled(BaseException):
    """Raised inside a running job that was cancelled and did not end by itself in time."""


class RunEnded(BaseException):
    """Raised inside a running job to end its run where it stands, as was ordered before."""
