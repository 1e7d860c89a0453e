"""work and listen: what their command lines refuse before a worker starts."""

from collections.abc import Callable

import pytest
from click.testing import Result

Run = Callable[..., Result]


@pytest.mark.parametrize(
    ("queues", "weight", "part"),
    [
        ("mail:x", "x", "mail:x"),
        ("exports:1,mail:0", "0", "mail:0"),
        ("mail:-1", "-1", "mail:-1"),
        ("mail:1.5", "1.5", "mail:1.5"),
        ("mail:", "", "mail:"),
        (":3", "3", ":3"),
    ],
)
@pytest.mark.parametrize("command", ["work", "listen"])
def test_a_weight_that_is_none_is_an_error(
    run: Run, command: str, queues: str, weight: str, part: str
) -> None:
    result = run(command, "--weighted", f"--queue={queues}")
    assert result.exit_code == 2
    assert f"{weight!r} of {part!r} is no weight" in result.output
    assert "--queue=a:3,b:1" in " ".join(result.output.split())


def test_a_weight_without_weights_being_asked_for_is_told_of(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be the queue's name; that nothing is served then should not be a riddle."""
    run("work", "--queue=exports:3,mail:x,default", "--timeout=-1")
    assert [record.getMessage() for record in caplog.records] == [
        "queue 'exports:3' is served by that name: with --weighted it has a weight"
    ]


def test_to_watch_a_place_that_is_not_there_is_an_error(run: Run) -> None:
    result = run("listen", "--watch", "/nonexistent")
    assert result.exit_code == 2
    assert "'--watch': Path '/nonexistent' does not exist." in result.output
