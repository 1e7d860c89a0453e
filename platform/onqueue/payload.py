"""The envelope: what a driver stores of a job. JSON only, in a fixed order, without empty parts.

    {"v":1,"job":"Name","at":ms,"data":{…},"o":{options},"c":{context},"t":{tie}}

`at` is the dispatch in epoch milliseconds. The id travels beside the payload. The data of an
encrypted job is "e":"key.text" in the place of "data".
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeAlias

from onqueue.encryption import bound_to, decrypt, encrypt
from onqueue.errors import (
    JobDefinitionError,
    NewerPayload,
    PayloadTooLarge,
    UnreadablePayload,
    UnserializableArgument,
)
from onqueue.job import JobMeta
from onqueue.job_class import PLAN, field_names
from onqueue.keyring import Keyring
from onqueue.options import OPTIONS, check_option, frozen_option, travels_well
from onqueue.payload_values import Writer, read_value
from onqueue.registry import check_registered, job_class_of
from onqueue.ties import read_tie, tie_part
from onqueue.upcasting import upcast
from onqueue.vocabulary import vocabulary_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from onqueue.contracts import Tie
    from onqueue.job import Job

NO_KEYS = Keyring()
Seal: TypeAlias = "Callable[[Job, Keyring, str | None], None]"
"""Signs a job for a tenant, as the last step before it is written."""

VERSION = 1
MAX_PAYLOAD = 64 * 1024

_quote: Callable[[str], str] = json.encoder.encode_basestring
_to_json = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False
).encode
# The decoder's own scanner: without the search for white space around it.
_scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]

_FAST: dict[type[Any], Callable[[Any], str]] = {
    str: _quote,
    int: int.__repr__,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "null",
}
"""The types written without a walk; all others go through `Writer`."""

MOST_SOUND = 1000
_sound: dict[str, dict[str, Any]] = {}
"""The options last found sound for each job: most payloads of a job have the same."""

_TRAVELLING = tuple(name for name, option in OPTIONS.items() if option.travels)


class Envelope:
    """A decoded payload: everything about the job but the job itself.

    `at` is epoch seconds. `options` holds only what the class or the job set, in the form that
    `options.frozen_option` tells. `tie` is None for a plain job. Where `sealed` is not "", the data
    is in there, encrypted.
    """

    __slots__ = ("at", "context", "data", "job", "options", "sealed", "tie", "version")

    def __init__(
        self,
        version: int,
        job: str,
        at: float,
        data: dict[str, Any],
        options: dict[str, Any],
        context: dict[str, str],
        tie: Tie | None = None,
        sealed: str = "",
    ) -> None:
        """Keep the parts."""
        self.version = version
        self.job = job
        self.at = at
        self.data = data
        self.options = options
        self.context = context
        self.tie = tie
        self.sealed = sealed

    @property
    def display_name(self) -> str:
        """What people read: the name the job gave itself, else its name on the wire."""
        name: str = self.options.get("display_name") or self.job
        return name

    @property
    def tags(self) -> tuple[str, ...]:
        """By what people find the job."""
        return tuple(self.options.get("tags", ()))

    def open(self, plan: Plan, keys: Keyring = NO_KEYS) -> None:
        """Decrypt the data and bring it up to date; does nothing to what is plain and new.

        Raises `KeyGone`, `NewerPayload` or `UpcasterMissing` for what another deploy can do, and
        `PayloadAltered` or `UpcasterFailed`.
        """
        version = self.options.get("version", 1)
        if version > plan.version:
            raise NewerPayload(self.job, version, plan.version)
        if self.sealed:
            bound = bound_to(self.job, version, self.context)
            self.data = json.loads(decrypt(keys, self.job, self.sealed, bound))
            self.sealed = ""
        if version < plan.version:
            self.data = upcast(plan.job_class, self.data, version)
            self.options = {**self.options, "version": plan.version}

    def restore(self, keys: Keyring = NO_KEYS) -> Job:
        """Return the job; references are fetched now.

        Raises `UnknownJob`, `UnreadablePayload`, `MissingModel`, and what `open` raises.
        """
        plan = plan_of(job_class_of(self.job))
        self.open(plan, keys)
        return plan.restore(self.data)


class Plan:
    """What is worked out once for each job class, so that a dispatch is short."""

    __slots__ = (
        "_fields",
        "_head",
        "_is_open",
        "_name",
        "_quiet_size",
        "_seal",
        "_tail",
        "job_class",
        "version",
        "vocabulary",
    )

    def __init__(self, job_class: type[Job]) -> None:
        """Compile the class; raises `JobDefinitionError` when its types cannot be found."""
        check_registered(job_class)
        name = job_class.name
        self.job_class = job_class
        self._name = name
        self.vocabulary = vocabulary_of(job_class)
        self.version: int = getattr(job_class, "version", 1)
        names = field_names(job_class)
        self._fields = tuple(
            (field, f"{comma}{_quote(field)}:", Writer(name, field, self.vocabulary))
            for field, comma in zip(names, ["", *"," * len(names)], strict=False)
        )
        self._seal: Seal | None = getattr(job_class, "_seal_with", None)
        self._is_open = getattr(job_class, "encrypted", False) is False
        self._quiet_size = len(fields(job_class))
        self._head = f'{{"v":{VERSION},"job":{_quote(name)},"at":'
        self._tail = None if _has_methods(job_class) else _options_part(job_class, 0.0)

    @property
    def is_signed(self) -> bool:
        """Whether a dispatch signs what the job will do, so that nobody else can change it."""
        return self._seal is not None

    def is_plain(self, job: Job) -> bool:
        """Tell whether the job has nothing of its own beyond its fields."""
        return len(job.__dict__) == self._quiet_size

    def encode(
        self,
        job: Job,
        at: float,
        context: Mapping[str, str] | None,
        limit: int = MAX_PAYLOAD,
        tie: Tie | None = None,
        keys: Keyring = NO_KEYS,
    ) -> bytes:
        """Return the payload; `keys` are the application's, to sign and to encrypt.

        Raises `UnserializableArgument`, `PayloadTooLarge`, `NoAppKeys`, or `JobDefinitionError`
        when an option's method returned what the option cannot hold.
        """
        if self._seal is not None:
            self._seal(job, keys, context.get("tenant") if context else None)
        values = job.__dict__
        is_open = self._is_open and "encrypted" not in values
        parts = [self._head, int.__repr__(int(at * 1000))]
        if self._fields:
            parts.append(',"data":{')
            for field, key, writer in self._fields:
                value = values[field]
                fast = _FAST.get(type(value))
                parts.append(key)
                parts.append(fast(value) if fast else _to_json(writer.write(value, field)))
            parts.append("}")
            if not is_open and option(job, "encrypted"):
                parts[2:] = [self._sealed("".join(parts[2:]), values, context, keys)]
        tail = self._tail
        if tail is None or len(values) != self._quiet_size:
            tail = _options_part(job, at)
        parts.append(tail)
        if context:
            parts.append(f',"c":{_to_json(dict(context))}')
        if tie is not None:
            parts.append(f',"t":{_to_json(tie_part(tie))}')
        parts.append("}")
        try:
            payload = "".join(parts).encode()
        except UnicodeEncodeError:
            raise self._surrogate(values) from None
        if len(payload) > limit:
            raise PayloadTooLarge(self._name, len(payload), limit)
        return payload

    def _sealed(
        self,
        part: str,
        values: Mapping[str, Any],
        context: Mapping[str, str] | None,
        keys: Keyring,
    ) -> str:
        """Return the part with the data, encrypted."""
        try:
            text = part.removeprefix(',"data":').encode()
        except UnicodeEncodeError:
            raise self._surrogate(values) from None
        bound = bound_to(self._name, self.version, context or {})
        return f',"e":{_quote(encrypt(keys, self._name, text, bound))}'

    def restore(self, data: dict[str, Any]) -> Job:
        """Return the job made of decoded data."""
        for value in data.values():
            if type(value) is dict or type(value) is list:
                words = self.vocabulary
                data = {field: read_value(item, words) for field, item in data.items()}
                break
        try:
            return self.job_class(**data)
        except TypeError as error:
            msg = f"The payload does not fit job {self._name!r}: {error}"
            raise UnreadablePayload(msg) from error

    def _surrogate(self, values: Mapping[str, Any]) -> Exception:
        why = "it holds a lone surrogate, which is no text: pass it as bytes"
        for field, _, writer in self._fields:
            try:
                _to_json(writer.write(values[field], field)).encode()
            except UnicodeEncodeError:
                kind = type(values[field]).__qualname__
                return UnserializableArgument(self._name, field, field, kind, why)
        return UnserializableArgument(self._name, "options", "options", "str", why)


def plan_of(job_class: type[Job]) -> Plan:
    """Return the class's plan, made at its first use."""
    plan: Plan | None = job_class.__dict__.get(PLAN)
    if plan is None:
        given: object = job_class
        if not isinstance(given, JobMeta):
            msg = f"Only instances of job classes can be dispatched, not a {job_class.__qualname__}"
            raise JobDefinitionError(msg)
        plan = Plan(job_class)
        setattr(job_class, PLAN, plan)
    return plan


def decode(payload: bytes) -> Envelope:
    """Return the envelope of a payload; raises `UnreadablePayload` or `NewerPayload`."""
    try:
        parts = _parse(payload.decode())
        version, job = parts["v"], parts["job"]
        is_newer = version > VERSION
        at = parts["at"] / 1000
    except (ValueError, TypeError, KeyError, StopIteration, RecursionError) as error:
        msg = f"These {len(payload)} bytes are no payload of a job: {error!r}"
        raise UnreadablePayload(msg) from error
    if is_newer:
        raise NewerPayload(str(job), version, VERSION)
    get = parts.get
    data, options, context = get("data") or {}, get("o") or {}, get("c") or {}
    if type(job) is not str or not (type(data) is type(options) is type(context) is dict):
        msg = f"These {len(payload)} bytes are no payload of a job: a part has the wrong type"
        raise UnreadablePayload(msg)
    if options and options != _sound.get(job):
        _check_travelled(job, options)
    tie, sealed = get("t"), get("e", "")
    if type(sealed) is not str:
        msg = f"The payload of job {job!r} has encrypted data that is no text"
        raise UnreadablePayload(msg)
    tie = read_tie(job, tie) if tie else None
    return Envelope(version, job, at, data, options, context, tie, sealed)


def _check_travelled(job: str, options: dict[str, Any]) -> None:
    """Raise for options that no dispatch of ours writes; those of newer code pass."""
    for name, value in options.items():
        if name in OPTIONS and not travels_well(name, value):
            msg = (
                f"The payload of job {job!r} has option {name!r} as {value!r}, "
                f"but it must be {OPTIONS[name].words}"
            )
            raise UnreadablePayload(msg)
    if len(_sound) >= MOST_SOUND:
        _sound.clear()
    _sound[job] = options


def _parse(text: str) -> Any:
    parts, end = _scan(text, 0)
    if end != len(text):
        msg = f"{text[end : end + 20]!r} follows the object"
        raise ValueError(msg)
    return parts


def option(job: Job, name: str) -> Any:
    """Return an option of a job, calling it where it is a method; None when it is not set."""
    value = getattr(job, name, None)
    if callable(value):
        value = value()
        if value is not None:
            check_option(job.name, name, value)
    elif name in job.__dict__:
        check_option(job.name, name, value)
    return value


def _has_methods(job_class: type[Job]) -> bool:
    relative = not _is_absent(job_class, "retry_until")
    return relative or any(callable(getattr(job_class, name, None)) for name in _TRAVELLING)


def _is_absent(job_class: type[Job], name: str) -> bool:
    return getattr(job_class, name, None) is None


def _options_part(job: Job | type[Job], at: float) -> str:
    frozen = {}
    for name in _TRAVELLING:
        value = getattr(job, name, None) if isinstance(job, type) else option(job, name)
        if value is not None:
            frozen[name] = frozen_option(name, value, at)
    return f',"o":{_to_json(frozen)}' if frozen else ""
