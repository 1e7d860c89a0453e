"""Dependencies of `handle` and of functions run as jobs: found by type in an svcs container."""

from __future__ import annotations

import inspect
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    NamedTuple,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from onqueue.errors import JobDefinitionError
from onqueue.job_class import DEPENDENCIES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container, Iterable, Mapping

    import svcs

    from onqueue.job import Job
    from onqueue.job_context import JobContext

injected: Final[Any] = inspect.Parameter.empty
"""A default for parameters that are never given, but found by their type when the job runs.

    def shrink(path: str, storage: Storage = injected) -> None: ...

Without it a type checker would want the parameter from whoever dispatches the function.
"""

_MANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Dependency(NamedTuple):
    """A parameter that is found by its type; an optional one only where that type is registered."""

    name: str
    type: type[Any]
    is_optional: bool = False


def dependencies(job_class: type[Job]) -> tuple[Dependency, ...]:
    """Return the parameters of `handle` with their types; worked out once for each class.

    Raises `JobDefinitionError` for a parameter whose type is not told and that has no default.
    """
    known: tuple[Dependency, ...] | None = job_class.__dict__.get(DEPENDENCIES)
    if known is None:
        known = _of_handle(job_class)
        setattr(job_class, DEPENDENCIES, known)
    return known


def call_handle(job: Job, context: JobContext) -> None:
    """Run the job's `handle` with its dependencies from the run's container."""
    needed = dependencies(type(job))
    if not needed:
        finish(job.handle(), context)
    elif inspect.iscoroutinefunction(job.handle):
        context.drive(lambda: _await_handle(job, needed, context))
    else:
        finish(job.handle(**found(needed, context.services())), context)


def finish(result: object, context: JobContext) -> None:
    """Await what something async returned; anything else is no matter."""
    if inspect.iscoroutine(result):
        context.drive(lambda: result)


async def _await_handle(job: Job, needed: Iterable[Dependency], context: JobContext) -> None:
    """Run an async `handle`; what is made by async factories is found, too."""
    context.has_awaited = True
    container = context.services()
    given = {
        name: await container.aget(type_)
        for name, type_, is_optional in needed
        if not is_optional or type_ in container.registry
    }
    await cast("Awaitable[None]", job.handle(**given))


def found(needed: Iterable[Dependency], container: svcs.Container) -> dict[str, Any]:
    """Return the dependencies by name; raises svcs' error for one that is not registered."""
    return {
        name: container.get(type_)
        for name, type_, is_optional in needed
        if not is_optional or type_ in container.registry
    }


def dependencies_of(function: Callable[..., Any], given: Container[str]) -> tuple[Dependency, ...]:
    """Return those parameters of a function that nobody gives; raises as `dependencies` does."""
    parameters = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name not in given
    ]
    return _of_parameters(parameters, function, getattr(function, "__qualname__", "a function"))


def _of_handle(job_class: type[Job]) -> tuple[Dependency, ...]:
    handle = inspect.getattr_static(job_class, "handle")
    function = inspect.unwrap(getattr(handle, "__func__", handle))
    parameters = list(inspect.signature(function).parameters.values())
    if not isinstance(handle, staticmethod):
        parameters = parameters[1:]
    return _of_parameters(parameters, function, f"{job_class.__qualname__}.handle")


def _of_parameters(
    parameters: Iterable[inspect.Parameter], function: Callable[..., Any], where: str
) -> tuple[Dependency, ...]:
    wanted = [parameter for parameter in parameters if parameter.kind not in _MANY]
    hints = _hints(function, where) if wanted else {}
    return tuple(
        Dependency(parameter.name, _without_none(hints[parameter.name]), _has_default(parameter))
        for parameter in wanted
        if _is_dependency(parameter, hints, where)
    )


def _is_dependency(parameter: inspect.Parameter, hints: Mapping[str, Any], where: str) -> bool:
    """Tell it from one that keeps its default; raises `JobDefinitionError` for neither."""
    name = parameter.name
    if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        if _has_default(parameter):
            return False
        msg = f"Parameter {name!r} of {where} can only be given by place: remove the '/'"
        raise JobDefinitionError(msg)
    if name in hints:
        return True
    if _has_default(parameter):
        return False
    msg = (
        f"Parameter {name!r} of {where} has no type: annotate it, as dependencies are found by "
        "their type"
    )
    raise JobDefinitionError(msg)


def _without_none(annotation: Any) -> Any:
    """Return X for `X | None`: a service is registered under its type."""
    kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
    is_optional = get_origin(annotation) in {Union, UnionType} and len(kinds) == 1
    return kinds[0] if is_optional else annotation


def _has_default(parameter: inspect.Parameter) -> bool:
    return parameter.default is not parameter.empty


def _hints(function: Callable[..., Any], where: str) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except NameError as error:
        msg = (
            f"The dependencies of {where} cannot be understood: {error} "
            "(their types must be imported when the program runs)"
        )
        raise JobDefinitionError(msg) from error
