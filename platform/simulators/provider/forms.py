"""Stripe's form encoding: `a[b]=1&c[]=2&d[0]=3` into nested dictionaries and lists."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

_PART = re.compile(r"\[([^\]]*)\]")

Form = dict[str, Any]


def parse_form(text: str) -> Form:
    """Return the parameters as nested dictionaries; every value is text, `x[]` makes a list."""
    result: Form = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        head, bracket, _ = name.partition("[")
        path = [head, *_PART.findall(name[len(head) :])] if bracket else [name]
        _put(result, path, value)
    return _lists(result)


def _put(target: Form, path: list[str], value: str) -> None:
    for part in path[:-1]:
        inner = target.setdefault(part, {})
        if not isinstance(inner, dict):
            inner = target[part] = {}
        target = inner
    last = path[-1]
    # `x[]` has no index of its own: it takes the next one.
    target[last or str(len(target))] = value


def _lists(form: Form) -> Form:
    return {name: _listed(value) for name, value in form.items()}


def _listed(value: object) -> object:
    if not isinstance(value, dict):
        return value
    if value and all(key == str(index) for index, key in enumerate(value)):
        return [_listed(item) for item in value.values()]
    return _lists(value)
