"""Settings of connections."""

import dataclasses
from typing import Any

import pytest

from onqueue.config import connection_config, connection_configs
from onqueue.errors import ConfigurationError


def test_defaults_follow_the_name_and_retry_after() -> None:
    config = connection_config("mail", {"driver": "redis", "retry_after": 10})
    assert (config.prefix, config.lease, config.queue) == ("{onqueue:mail}", 10.0, "default")
    assert connection_config("long", {"driver": "redis", "retry_after": 18_060}).lease == 30.0


def test_settings_cannot_be_changed() -> None:
    config = connection_config("mail", {"driver": "redis", "options": {"a": 1}})
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.queue = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        config.options["a"] = 2  # type: ignore[index]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "'driver' is missing"),
        ({"driver": "redis", "lease": float("nan")}, "'lease' must be a number"),
        ({"driver": "redis", "queue": "a,b"}, "without blanks and commas"),
        (5, "must be a mapping"),
        ({"driver": "redis", "retry_aftr": 1}, "'retry_aftr', did you mean 'retry_after'"),
        ({"driver": "redis", "retry_after": 0}, "above 0, not 0"),
        ({"driver": "redis", "retry_after": "90"}, "not '90'"),
        ({"driver": "redis", "queue": ""}, "'queue' must have 1 to 200"),
        ({"driver": "redis", "url": 5}, "'url' must be text"),
        ({"driver": "redis", "after_commit": 1}, "true or false"),
        ({"driver": "redis", "max_prefetch": 0}, "whole number from 1 on"),
        ({"driver": "redis", "options": 3}, "must be a mapping"),
        ({"driver": "redis", "lease": 100}, "must not be above 'retry_after'"),
    ],
)
def test_what_cannot_be_is_refused(settings: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        connection_config("redis", settings)


def test_all_problems_are_said_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        connection_configs({"a": {"queue": ""}, "b": {"driver": "redis", "lese": 1}})
    assert len(caught.value.problems) == 3
    assert "'b': unknown setting 'lese', did you mean 'lease'?" in caught.value.problems
