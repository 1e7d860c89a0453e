"""pause, resume, paused."""

import json
from collections.abc import Callable

from click.testing import Result

from onqueue.quotas import Pause
from onqueue.testing.clock import FakeClock
from support.broker_double import BrokerDouble

Run = Callable[..., Result]


def test_pause_and_resume_name_what_they_did(run: Run, broker: BrokerDouble) -> None:
    assert run("pause", "--queue", "mails", "--reason", "why").output == (
        "Queue 'mails' of 'redis' is paused.\n"
    )
    assert run("pause", "redis", "--for", "60").output == (
        "Connection 'redis' is paused for 60 s.\n"
    )
    assert broker.paused() == {"mails": "why", "": ""}
    assert run("resume").output == ("Connection 'redis' is resumed.\nStill paused: 'mails'.\n")
    assert run("resume", "--queue", "mails").exit_code == 0
    assert broker.paused() == {}


def test_resume_of_what_runs_says_so(run: Run, broker: BrokerDouble) -> None:
    assert "was not paused" in run("resume").output


def test_a_job_class_and_a_tenant_are_paused_and_resumed_by_name(
    run: Run, broker: BrokerDouble, clock: FakeClock
) -> None:
    """K27."""
    assert run("pause", "--job", "SendMail", "--reason", "audit").output == (
        "Job 'SendMail' of 'redis' is paused.\n"
    )
    assert run("pause", "redis", "--tenant", "acme", "--for", "90").output == (
        "Tenant 'acme' of 'redis' is paused for 90 s.\n"
    )
    assert broker.pauses() == [
        Pause("job", "SendMail", "audit"),
        Pause("tenant", "acme", until=clock.time() + 90),
    ]
    assert run("resume", "--job", "SendMail").output == (
        "Job 'SendMail' of 'redis' is resumed.\nStill paused: tenant 'acme'.\n"
    )
    assert run("resume", "--tenant", "globex").output == (
        "Tenant 'globex' of 'redis' was not paused.\nStill paused: tenant 'acme'.\n"
    )


def test_one_pause_is_about_one_thing(run: Run) -> None:
    result = run("pause", "--job", "SendMail", "--tenant", "acme")
    assert result.exit_code == 2
    assert "only one of --queue, --job and --tenant" in result.output


def test_an_empty_name_does_not_pause_or_resume_the_whole_connection(
    run: Run, broker: BrokerDouble
) -> None:
    broker.pause(None, "why", None)
    for command in ("pause", "resume"):
        for option in ("--queue", "--job", "--tenant"):
            result = run(command, option, "")
            assert (result.exit_code, f"{option} is empty" in result.output) == (2, True)
    assert broker.pauses() == [Pause("connection", "", "why")]


def test_a_list_is_no_name_of_a_queue_to_pause(run: Run, broker: BrokerDouble) -> None:
    result = run("pause", "--queue", "mails,exports")
    assert result.exit_code == 2
    assert "'mails,exports' is no name of a queue" in result.output
    assert broker.paused() == {}


def test_a_pause_lasts_a_finite_time(run: Run, broker: BrokerDouble) -> None:
    for seconds in ("nan", "inf", "1e400"):
        result = run("pause", "--for", seconds)
        assert (result.exit_code, "is no finite number" in result.output) == (2, True)
    assert broker.paused() == {}


def test_what_is_paused_is_listed_with_end_and_reason(run: Run, broker: BrokerDouble) -> None:
    assert run("paused").output == "Nothing is paused.\n"
    broker.pause("mails", "provider is down")
    broker.pause_work(Pause("tenant", "acme", "unpaid", 1_800_000_000.0))
    lines = [line.split() for line in run("paused").output.splitlines()]
    assert lines[1] == ["redis", "queue", "mails", "resumed", "provider", "is", "down"]
    assert lines[2] == ["redis", "tenant", "acme", "2027-01-15T08:00:00+00:00", "unpaid"]
    found = json.loads(run("paused", "redis", "--json").output)
    assert [(row["what"], row["until"]) for row in found] == [
        ("queue", None),
        ("tenant", "2027-01-15T08:00:00+00:00"),
    ]


def test_a_driver_that_cannot_pause_by_name_is_refused(run: Run) -> None:
    result = run("pause", "sync", "--job", "SendMail")
    assert result.exit_code == 1
    assert "pausing by job or tenant" in result.output
