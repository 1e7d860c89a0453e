"""Changes fields of a failed job, before it is retried, to what its class accepts."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from onqueue.bus.unique import claim_of
from onqueue.encryption import bound_to, encrypt
from onqueue.errors import OnQueueError, UneditableJob, nearest
from onqueue.job_class import field_names
from onqueue.payload import decode, plan_of
from onqueue.payload_values import SCALAR_TAGS, Writer, read_value
from onqueue.references import reference_of
from onqueue.registry import job_class_of
from onqueue.stores import PayloadEdit
from onqueue.ties import tie_part
from onqueue.vocabulary import hints_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from onqueue.connections import QueueManager
    from onqueue.job import Job
    from onqueue.payload import Envelope
    from onqueue.stores import FailedJob

_JSON_TYPES = (str, int, bool, NoneType)


def edit_of(manager: QueueManager, failed: FailedJob, changes: Mapping[str, Any]) -> PayloadEdit:
    """Return the job's payload with other values (as JSON has them) in some of its fields.

    A date, a Decimal, a UUID, an Enum or a record may be given by its plain text or key. The lock
    of a unique job moves with its fields, encrypted data is encrypted again, old data is brought up
    to date. Raises `UneditableJob` with everything that is wrong; whatever else the payload holds
    is as it was.
    """
    try:
        envelope = decode(failed.payload)
        job_class = job_class_of(envelope.job)
        was_sealed = bool(envelope.sealed)
        envelope.open(plan_of(job_class), manager.keys)
    except OnQueueError as error:
        raise UneditableJob(failed.job, [str(error)]) from error
    if plan_of(job_class).is_signed:
        problem = "what it calls is signed: dispatch it again with other arguments"
        raise UneditableJob(failed.job, [problem])
    parts = json.loads(failed.payload)
    with manager.scope(envelope.context):
        data = {**envelope.data, **_written(job_class, envelope, changes)}
        job = _restored(job_class, data)
    if envelope.tie is not None and envelope.tie.claim is not None:
        parts["t"] = tie_part(replace(envelope.tie, claim=claim_of(job, manager.keys)))
    if envelope.options:
        parts["o"] = envelope.options
    if was_sealed:
        parts["e"] = _sealed(manager, envelope, data)
    else:
        parts["data"] = data
    payload = _json(parts)
    limit = manager.config(failed.connection).max_payload
    if len(payload) > limit:
        problem = f"it would have {len(payload)} bytes, allowed are {limit}"
        raise UneditableJob(failed.job, [problem])
    return PayloadEdit(failed.payload, payload)


def _sealed(manager: QueueManager, envelope: Envelope, data: dict[str, Any]) -> str:
    version = envelope.options.get("version", 1)
    bound = bound_to(envelope.job, version, envelope.context)
    return encrypt(manager.keys, envelope.job, _json(data), bound)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _written(
    job_class: type[Job], envelope: Envelope, changes: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the new values in their form on the wire."""
    names = field_names(job_class)
    hints, words = hints_of(job_class), plan_of(job_class).vocabulary
    written: dict[str, Any] = {}
    problems: list[str] = []
    for field, given in changes.items():
        if field not in names:
            known = ", ".join(map(repr, names)) or "none"
            problems.append(f"it has no field {field!r}{nearest(field, names)} (fields: {known})")
            continue
        try:
            value = _Fitting(words).fit(given, hints[field])
            written[field] = Writer(envelope.job, field, words).write(value, field)
        except (_Misfit, OnQueueError) as error:
            problems.append(f"field {field!r} {error}")
    if problems:
        raise UneditableJob(envelope.job, problems)
    return written


def _restored(job_class: type[Job], data: dict[str, Any]) -> Job:
    try:
        return plan_of(job_class).restore(data)
    except Exception as error:
        # Whatever the class checks when it is made is a reason not to change the job so.
        raise UneditableJob(job_class.name, [f"its class refuses it: {error}"]) from error


class _Misfit(Exception):
    """A value that a field cannot hold; the message follows the field's name."""


class _Fitting:
    """Makes of JSON values what annotations want."""

    def __init__(self, words: Mapping[str, type[Any]]) -> None:
        self._words = words
        self._by_origin: dict[Any, Callable[[Any, Any], Any]] = {
            Union: self._one_of,
            UnionType: self._one_of,
            Annotated: lambda value, hint: self.fit(value, get_args(hint)[0]),
            Literal: self._literal,
            list: self._list,
            tuple: self._tuple,
            dict: self._dict,
        }

    def fit(self, value: Any, hint: Any) -> Any:
        """Return the value; raises `_Misfit`."""
        origin = get_origin(hint) or hint
        by_origin = self._by_origin.get(origin)
        if by_origin is not None:
            return by_origin(value, hint)
        if origin is None:
            origin = NoneType
        if origin in {Any, object} or not isinstance(origin, type):
            return self._read(value, hint)
        if origin in _JSON_TYPES:
            return value if type(value) is origin else self._refuse(value, hint)
        if origin is float:
            is_number = type(value) in {int, float}
            return float(value) if is_number else self._refuse(value, hint)
        return self._object(value, origin)

    def _object(self, value: Any, kind: type[Any]) -> Any:
        if not isinstance(value, dict):
            value = _tagged(value, kind) if _is_plain_form(value, kind) else value
        elif kind.__name__ in self._words and not any(key.startswith("$") for key in value):
            value = {"$data": [kind.__name__, value]}
        found = self._read(value, kind)
        return found if isinstance(found, kind) else self._refuse(value, kind)

    def _one_of(self, value: Any, hint: Any) -> Any:
        for part in get_args(hint):
            try:
                return self.fit(value, part)
            except _Misfit:
                continue
        return self._refuse(value, hint)

    def _literal(self, value: Any, hint: Any) -> Any:
        fits = any(value == one and type(value) is type(one) for one in get_args(hint))
        return value if fits else self._refuse(value, hint)

    def _list(self, value: Any, hint: Any) -> Any:
        if not isinstance(value, list):
            return self._refuse(value, hint)
        [kind] = get_args(hint) or (Any,)
        return [self.fit(item, kind) for item in value]

    def _tuple(self, value: Any, hint: Any) -> Any:
        if isinstance(value, dict) and list(value) == ["$tuple"]:
            value = value["$tuple"]
        kinds = get_args(hint) or (Any, ...)
        if not isinstance(value, list):
            return self._refuse(value, hint)
        if kinds[-1] is Ellipsis:
            kinds = (kinds[0],) * len(value)
        if len(kinds) != len(value):
            return self._refuse(value, hint)
        return tuple(self.fit(item, kind) for item, kind in zip(value, kinds, strict=True))

    def _dict(self, value: Any, hint: Any) -> Any:
        if not isinstance(value, dict):
            return self._refuse(value, hint)
        _, kind = get_args(hint) or (str, Any)
        return {key: self.fit(item, kind) for key, item in value.items()}

    def _read(self, value: Any, hint: Any) -> Any:
        try:
            return read_value(value, self._words)
        except OnQueueError as error:
            raise _Misfit(f"must be {_words_of(hint)}: {error}") from error

    def _refuse(self, value: Any, hint: Any) -> Any:
        raise _Misfit(f"must be {_words_of(hint)}, not {json.dumps(value, ensure_ascii=False)}")


def _is_plain_form(value: Any, kind: type[Any]) -> bool:
    if kind not in SCALAR_TAGS:
        return True
    # A number with a point is not the Decimal that it looks like.
    forms: dict[type[Any], tuple[type[Any], ...]] = {timedelta: (list,), Decimal: (str, int)}
    return type(value) in forms.get(kind, (str,))


def _tagged(value: Any, kind: type[Any]) -> Any:
    """Return what the wire would hold for a record's key, an Enum's value or a scalar's text."""
    if reference_of(kind) is not None:
        return {"$ref": [kind.__name__, value]}
    if issubclass(kind, Enum):
        return {"$enum": [kind.__name__, value]}
    tag = SCALAR_TAGS.get(kind)
    return {tag: value} if tag is not None else value


def _words_of(hint: Any) -> str:
    return inspect.formatannotation(hint).replace("typing.", "")
