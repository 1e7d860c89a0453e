"""Names on the wire and the classes that bear them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onqueue.errors import JobDefinitionError, UnknownJob

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onqueue.job import Job

_classes: dict[str, type[Job]] = {}


def register(name: str, job_class: type[Job]) -> None:
    """Let the name lead to the class; raises `JobDefinitionError` when it is another's.

    The same qualified name may come again (a module imported anew), and of classes made inside
    functions, which only tests do, the newest wins.
    """
    known = _classes.get(name)
    if known is not None and known is not job_class and not _replaces(job_class, known):
        msg = (
            f"The job name {name!r} is borne by {_where(known)} and {_where(job_class)}: "
            "give one of them another `name`"
        )
        raise JobDefinitionError(msg)
    _classes[name] = job_class


def alias(old_name: str, job_class: type[Job]) -> None:
    """Let payloads written under a former name reach the class."""
    register(old_name, job_class)


def check_registered(job_class: type[Job]) -> None:
    """Raise `JobDefinitionError` when a worker would not find the class by its name.

    That is so for an abstract class, and for one whose name another one has taken since.
    """
    known = _classes.get(job_class.name)
    if known is None:
        why = "nobody registered it, as it is abstract: dispatch a job of a subclass"
    elif (known.__module__, known.__qualname__) != (job_class.__module__, job_class.__qualname__):
        why = f"its name {job_class.name!r} leads to {_where(known)}: give it another `name`"
    else:
        return
    msg = f"Job {_where(job_class)} cannot be dispatched: {why}"
    raise JobDefinitionError(msg)


def job_class_of(name: str) -> type[Job]:
    """Return the class of a wire name; raises `UnknownJob` with the nearest known name."""
    try:
        return _classes[name]
    except KeyError:
        raise UnknownJob(name, _classes) from None


def registered() -> Iterator[tuple[str, type[Job]]]:
    """Return all names, aliases included, with their classes, sorted."""
    return iter(sorted(_classes.items()))


def _replaces(new: type[Job], old: type[Job]) -> bool:
    if (new.__module__, new.__qualname__) == (old.__module__, old.__qualname__):
        return True
    return "<locals>" in new.__qualname__ and "<locals>" in old.__qualname__


def _where(job_class: type[Job]) -> str:
    return f"{job_class.__module__}.{job_class.__qualname__}"
