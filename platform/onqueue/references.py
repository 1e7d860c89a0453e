"""Values that travel as a reference and are fetched again when the job runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, TypeVar, runtime_checkable

from onqueue.errors import MissingModel, UnreadablePayload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

Key = Any
"""What identifies a record: anything that may travel in a payload."""


@runtime_checkable
class Referenceable(Protocol):
    """A class that says itself how it is referred to and found again."""

    def to_reference(self) -> Key:
        """Return the key under which `from_reference` finds this object."""
        ...

    @classmethod
    def from_reference(cls, key: Key) -> Self | None:
        """Return the object of a key, None when it no longer exists."""
        ...


class Reference(NamedTuple):
    """How objects of one type and its subclasses are referred to."""

    to_ref: Callable[[Any], Key]
    from_ref: Callable[[type[Any], Key], Any]


_references: dict[type[Any], Reference] = {}


def register_reference(
    type_: type[T],
    to_ref: Callable[[T], Key],
    from_ref: Callable[[type[T], Key], T | None],
) -> None:
    """Let objects of a type and of its subclasses travel as references.

    `to_ref` returns an object's key or raises `ValueError` saying why it has none; `from_ref`
    gets the concrete class and the key and returns the object, None when it is gone.
    """
    _references[type_] = Reference(to_ref, from_ref)


def reference_of(type_: type[Any]) -> Reference | None:
    """Return how objects of a type are referred to, None when they are not."""
    for ancestor in type_.__mro__:
        if ancestor in _references:
            return _references[ancestor]
    if issubclass(type_, Referenceable):
        return Reference(_own_key, _own_object)
    return None


def fetch(name: str, key: Key, vocabulary: Mapping[str, type[Any]]) -> Any:
    """Return the object that a reference means; raises `MissingModel` when it is gone."""
    type_ = vocabulary.get(name) or _registered_type(name)
    reference = reference_of(type_) if type_ is not None else None
    if type_ is None or reference is None:
        msg = f"No referenceable type {name!r} is known here: import and register it"
        raise UnreadablePayload(msg)
    found = reference.from_ref(type_, key)
    if found is None:
        raise MissingModel(name, key)
    return found


def _registered_type(name: str) -> type[Any] | None:
    pending = list(_references)
    while pending:
        type_ = pending.pop()
        if type_.__name__ == name:
            return type_
        pending += type_.__subclasses__()
    return None


def _own_key(value: Referenceable) -> Key:
    return value.to_reference()


def _own_object(type_: type[Referenceable], key: Key) -> Any:
    return type_.from_reference(key)
