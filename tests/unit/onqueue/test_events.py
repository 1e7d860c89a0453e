"""Signals."""

import logging

import pytest

from onqueue import events


def test_a_receiver_gets_the_event() -> None:
    heard: list[object] = []

    def note(event: events.Looping) -> None:
        heard.append(event)

    event = events.Looping("redis", ("default",))
    with events.looping.connected_to(note):
        events.tell(events.looping, event)
    events.tell(events.looping, event)
    assert heard == [event]


def test_a_receiver_that_raises_is_logged_and_the_next_one_still_hears(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard: list[object] = []

    def broken(_event: events.Looping) -> None:
        raise RuntimeError("no disk")

    def note(event: events.Looping) -> None:
        heard.append(event)

    with (
        events.looping.connected_to(broken),
        events.looping.connected_to(note),
        caplog.at_level(logging.ERROR),
    ):
        events.tell(events.looping, events.Looping("redis", ()))
    assert len(heard) == 1
    assert "'looping' raised" in caplog.text
