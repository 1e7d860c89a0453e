"""Functions as jobs: a module's own by its path, any other one by its code, signed.

What decides what a worker runs (the function, its arguments, who hears of a failure) is signed with
the application's key, and verified before anything of it is imported or unpickled. Where there are
no keys, a worker calls functions of the application's own modules only.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeAlias, overload

from onqueue import closures
from onqueue.bus import dispatcher
from onqueue.errors import (
    ClosureAltered,
    ClosureOfOtherPython,
    JobDefinitionError,
    KeyGone,
    MissingModel,
    NotCallableByPath,
    UnreadablePayload,
)
from onqueue.injection import dependencies_of, finish, found
from onqueue.job import Job
from onqueue.job_context import JobContext, Order
from onqueue.payload_values import Writer, read_value
from onqueue.vocabulary import words_of

if TYPE_CHECKING:
    from typing import Self

    from onqueue.closures import Function
    from onqueue.contracts import JobId
    from onqueue.keyring import Keyring

P = ParamSpec("P")

OnError: TypeAlias = Callable[Concatenate[BaseException, ...], object] | Callable[[], object]
"""Hears with what error a function's job failed, if it takes one; the rest is injected."""

# What is no JSON was never written by us: any text stands for it, no signature fits that.
_to_text = json.JSONEncoder(
    ensure_ascii=True, separators=(",", ":"), sort_keys=True, default=repr
).encode


class FunctionJob(Job, abstract=True):
    """The call of a function, made by `call`. Its arguments are in the form in which they travel.

    `function` and `catcher` say which functions are meant: by a path, or by code and the version
    of Python it was compiled for.
    """

    delete_when_missing_models = False

    function: dict[str, str]
    args: list[Any]
    kwargs: dict[str, Any]
    title: str
    catcher: dict[str, str]
    seal: str = ""

    def named(self, title: str) -> Self:
        """Choose the name that people read in logs, events and lists."""
        self.title = title
        return self

    def catch(self, function: OnError) -> Self:
        """Let a function hear of the job's failure, in the worker, as `failed` does."""
        self.catcher = described(function)
        return self

    def display_name(self) -> str:
        """Return what to call the job where people read it."""
        return self.title

    def handle(self) -> None:
        """Verify the job, then call its function.

        Raises `ClosureAltered` for what no dispatch of ours wrote, and what the function raises.
        """
        context = self.running()
        self.verify(context.keys)
        function = loaded(self.function)
        words = words_of(function, self.title)
        try:
            args = [read_value(value, words) for value in self.args]
            kwargs = {name: read_value(value, words) for name, value in self.kwargs.items()}
        except MissingModel as error:
            context.give(self._without(error))
            return
        except UnreadablePayload as error:
            context.give(Order("fail", error=error))
            return
        perform(function, args, kwargs, context)

    def failed(self, error: BaseException) -> None:
        """Tell the catcher, unless the job is not one of ours."""
        if not self.catcher or isinstance(error, ClosureAltered | KeyGone):
            return
        context = self.running()
        self.verify(context.keys)
        catcher = loaded(self.catcher)
        perform(catcher, [error] if _takes_one(catcher) else [], {}, context)

    def _without(self, error: MissingModel) -> Order:
        """Return the end of a job whose argument is gone: trying again would not bring it back."""
        return Order("skip") if self.delete_when_missing_models else Order("fail", error=error)

    def _seal_with(self, keys: Keyring, tenant: str | None) -> None:
        """Sign what decides what will run, and for whom: the last step of a dispatch."""
        if keys:
            self.seal = keys.sign(self.title, self._message(tenant))
            return
        why = self._why_unsafe()
        if why:
            raise NotCallableByPath(self.title, f"{why}: give the QueueManager app_keys")

    def verify(self, keys: Keyring | None) -> None:
        """Raise `ClosureAltered` or `KeyGone` unless this is what a dispatch of ours wrote."""
        if not keys:
            why = "this process has no app_keys" if self.seal else self._why_unsafe()
        elif not self.seal:
            why = "it bears no signature"
        elif not keys.vouches_for(self.name, self._message(self.tenant), self.seal):
            why = "its signature does not fit"
        else:
            return
        if why:
            raise ClosureAltered(self.name, self.title, why)

    def _message(self, tenant: str | None) -> bytes:
        parts = [self.name, tenant, self.function, self.args, self.kwargs, self.catcher]
        return _to_text(parts).encode()

    def _why_unsafe(self) -> str:
        """Return why a job without a signature must not run, "" when it may."""
        for what in (self.function, self.catcher):
            if "code" in what:
                return "code of a function without a path must be signed"
            if what and not closures.is_own(what["path"]):
                return f"{what['path']!r} is not in a module of the application's own"
        return ""


class CallFunction(FunctionJob):
    """Calls a function of a module, which the worker imports."""

    name = "onqueue.CallFunction"


class CallClosure(FunctionJob):
    """Calls a function that has no path: a lambda, or one made inside another."""

    name = "onqueue.CallClosure"
    delete_when_missing_models = True


def call(function: Callable[P, object], /, *args: P.args, **kwargs: P.kwargs) -> FunctionJob:
    """Return a job that calls the function; what is not given is injected as into `handle`.

    Raises `JobDefinitionError` when no worker could call it so, `UnserializableArgument` for an
    argument that cannot travel.
    """
    title = closures.title_of(function)
    if isinstance(function, type) and issubclass(function, Job):
        msg = f"{title!r} is the class of a job: dispatch an instance of it, {title}(…)"
        raise JobDefinitionError(msg)
    names = _names_of(function, title, args, kwargs)
    words = words_of(function, title)
    meant = described(function)
    kind = CallClosure if "code" in meant else CallFunction
    return kind(
        function=meant,
        args=[
            Writer(title, name, words).write(value, name)
            for name, value in zip(names, args, strict=True)
        ],
        kwargs={
            name: Writer(title, name, words).write(value, name) for name, value in kwargs.items()
        },
        title=title,
        catcher={},
    )


def as_job(work: Job | Callable[..., object]) -> Job:
    """Return a job as it is, or the job that calls a function without arguments."""
    return work if isinstance(work, Job) else call(work)


@overload
def dispatch(work: Job, /) -> JobId: ...
@overload
def dispatch(work: Callable[..., object], /, *, name: str = ..., catch: OnError = ...) -> JobId: ...
@overload
def dispatch(work: Callable[P, object], /, *args: P.args, **kwargs: P.kwargs) -> JobId: ...
def dispatch(work: Job | Callable[..., object], /, *args: Any, **kwargs: Any) -> JobId:
    """Put a job, or a function with its arguments, on its queue and return the job's id.

    `name` is what people read, `catch` hears of the failure, unless the function has parameters of
    these names; `call(function, …)` returns the job to choose a queue or a delay for.
    """
    if isinstance(work, Job):
        if args or kwargs:
            msg = f"dispatch() of job {work.name!r} takes no arguments: they are the job's fields"
            raise JobDefinitionError(msg)
        return dispatcher.dispatch(work)
    own = _signature_of(work).parameters
    name = "" if "name" in own else kwargs.pop("name", "")
    catch = None if "catch" in own else kwargs.pop("catch", None)
    job = call(work, *args, **kwargs)
    if name:
        job.named(name)
    if catch is not None:
        job.catch(catch)
    return dispatcher.dispatch(job)


def _names_of(
    function: Callable[..., object], title: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[str]:
    """Return what to call each positional argument; raises when the call could not be made."""
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        msg = f"Function {title!r} has a `yield`, so nothing in it would run"
        raise JobDefinitionError(msg)
    signature = _signature_of(function)
    try:
        given = signature.bind_partial(*args, **kwargs).arguments
    except TypeError as error:
        msg = f"Function {title!r} cannot be called so: {error}"
        raise JobDefinitionError(msg) from error
    for name, type_, is_optional in dependencies_of(function, given):
        if not is_optional and getattr(type_, "__module__", "") == "builtins":
            msg = (
                f"Function {title!r} needs its argument {name!r}: no service is a {type_.__name__}"
            )
            raise JobDefinitionError(msg)
    places = list(signature.parameters)
    return [places[n] if n < len(places) else f"args[{n}]" for n in range(len(args))]


def _signature_of(function: object) -> inspect.Signature:
    if not callable(function):
        msg = f"Only jobs and functions can be dispatched, not {function!r}"
        raise JobDefinitionError(msg)
    try:
        return inspect.signature(function)
    except ValueError as error:
        raise NotCallableByPath(closures.title_of(function), str(error)) from error


def described(function: Callable[..., object]) -> dict[str, str]:
    """Return which function is meant: its path, or else its code."""
    if closures.has_path(function) or not closures.is_plain(function):
        return {"path": closures.path_of(function)}
    return {"code": closures.pack(function), "python": closures.PYTHON}


def loaded(what: dict[str, str]) -> Function:
    """Return the function that is meant; only for what has been verified."""
    if "path" in what:
        return closures.function_at(what["path"])
    if what["python"] != closures.PYTHON:
        raise ClosureOfOtherPython(what["python"], closures.PYTHON)
    return closures.unpack(what["code"])


def perform(
    function: Function, args: list[Any], kwargs: dict[str, Any], context: JobContext
) -> None:
    """Call a function; what is not given comes from the run's services."""
    given = inspect.signature(function).bind_partial(*args, **kwargs).arguments
    needed = dependencies_of(function, given)
    services = found(needed, context.services()) if needed else {}
    finish(function(*args, **kwargs, **services), context)


def _takes_one(function: Function) -> bool:
    try:
        inspect.signature(function).bind_partial(None)
    except TypeError:
        return False
    return True
