"""Dependencies of `handle`, found by their type in an svcs container."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, get_type_hints

from onqueue.errors import JobDefinitionError
from onqueue.job_class import DEPENDENCIES

if TYPE_CHECKING:
    from onqueue.job import Job
    from onqueue.job_context import JobContext


def dependencies(job_class: type[Job]) -> tuple[tuple[str, type[Any]], ...]:
    """Return the parameters of `handle` with their types; worked out once for each class.

    Raises `JobDefinitionError` for a parameter whose type is not told and that has no default.
    """
    known: tuple[tuple[str, type[Any]], ...] | None = job_class.__dict__.get(DEPENDENCIES)
    if known is None:
        known = _inspect(job_class)
        setattr(job_class, DEPENDENCIES, known)
    return known


def call_handle(job: Job, context: JobContext) -> None:
    """Run the job's `handle` with its dependencies from the run's container."""
    needed = dependencies(type(job))
    if not needed:
        job.handle()
        return
    container = context.services()
    job.handle(**{name: container.get(type_) for name, type_ in needed})


def _inspect(job_class: type[Job]) -> tuple[tuple[str, type[Any]], ...]:
    handle = inspect.getattr_static(job_class, "handle")
    function = inspect.unwrap(getattr(handle, "__func__", handle))
    parameters = list(inspect.signature(function).parameters.values())
    if not isinstance(handle, staticmethod):
        parameters = parameters[1:]
    if not parameters:
        return ()
    hints = _hints(function, job_class)
    found = []
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.name in hints:
            found.append((parameter.name, hints[parameter.name]))
        elif parameter.default is parameter.empty:
            msg = (
                f"Parameter {parameter.name!r} of {job_class.__qualname__}.handle has no type: "
                "annotate it, as dependencies are found by their type"
            )
            raise JobDefinitionError(msg)
    return tuple(found)


def _hints(function: Any, job_class: type[Job]) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except NameError as error:
        msg = (
            f"The dependencies of {job_class.__qualname__}.handle cannot be understood: {error} "
            "(their types must be imported when the program runs)"
        )
        raise JobDefinitionError(msg) from error
