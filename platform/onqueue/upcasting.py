"""Old data into new: a function for each step from one version of a job to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from onqueue.errors import JobDefinitionError, UpcasterFailed, UpcasterMissing

if TYPE_CHECKING:
    from onqueue.job import Job

Data: TypeAlias = dict[str, Any]
"""A job's fields as they travel: JSON, what is none of it in its tagged form."""

Upcaster: TypeAlias = Callable[[Data], Data]
"""Returns the data of the next version; it may change what it is given."""

UpcasterT = TypeVar("UpcasterT", bound=Upcaster)

_steps: dict[type[Any], dict[int, Upcaster]] = {}


def register_step(job_class: type[Job], version: int, step: Upcaster) -> None:
    """Let data of a version be turned into that of the next; raises `JobDefinitionError`."""
    newest = getattr(job_class, "version", 1)
    if not 1 <= version < newest:
        msg = (
            f"An upcaster from version {version} of job {job_class.__qualname__!r} leads nowhere: "
            f"the class has version {newest}"
        )
        raise JobDefinitionError(msg)
    known = _steps.setdefault(job_class, {}).setdefault(version, step)
    if known is not step:
        msg = f"Job {job_class.__qualname__!r} has two upcasters from version {version}"
        raise JobDefinitionError(msg)


def upcast(job_class: type[Job], data: Data, version: int) -> Data:
    """Return data of an older version as the class knows it now.

    Raises `UpcasterMissing` when a step is missing, `UpcasterFailed` with what one raised.
    """
    newest: int = getattr(job_class, "version", 1)
    for number in range(version, newest):
        step = _step(job_class, number)
        if step is None:
            raise UpcasterMissing(job_class.name, version, newest, number)
        try:
            stepped: object = step(dict(data))
        except Exception as error:
            raise UpcasterFailed(job_class.name, number, repr(error)) from error
        if not isinstance(stepped, dict):
            why = f"it returned {type(stepped).__name__}, not a dict"
            raise UpcasterFailed(job_class.name, number, why)
        data = stepped
    return data


def _step(job_class: type[Job], version: int) -> Upcaster | None:
    for ancestor in job_class.__mro__:
        step = _steps.get(ancestor, {}).get(version)
        if step is not None:
            return step
    return None
