"""failed, forget, flush, prune-failed."""

import json
from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner, Result

from onqueue.connections import QueueManager
from onqueue.console import build_group
from support.failures import fail
from support.outbox_records import job_id

Run = Callable[..., Result]


def test_without_failed_jobs_it_says_so(run: Run) -> None:
    result = run("failed")
    assert (result.exit_code, result.output) == (0, "No failed jobs.\n")


def test_failed_lists_the_newest_first_in_one_line_each(run: Run, manager: QueueManager) -> None:
    fail(manager, 1)
    fail(manager, 2)
    head, first, second = run("failed").output.splitlines()
    assert head.split() == ["ID", "JOB", "CONNECTION", "QUEUE", "FAILED", "AT", "ATTEMPTS", "ERROR"]
    assert first.startswith(job_id(1)) and second.startswith(job_id(2))
    assert first.endswith("SMTPException: mailbox 1 is [31mfull")


def test_failed_pages_and_tells_how_to_go_on(run: Run, manager: QueueManager) -> None:
    for number in (1, 2, 3):
        fail(manager, number)
    first = run("failed", "--limit", "2").output
    assert f"--after {job_id(2)}" in first
    assert job_id(3) in run("failed", "--limit", "2", "--after", job_id(2)).output


def test_failed_after_a_job_that_is_not_there_is_an_error(run: Run, manager: QueueManager) -> None:
    fail(manager, 1)
    result = run("failed", "--after", "nosuch")
    assert result.exit_code == 1
    assert result.output == "Error: There is no failed job 'nosuch'.\n"


def test_failed_speaks_json(run: Run, manager: QueueManager) -> None:
    fail(manager, 1)
    [found] = json.loads(run("failed", "--json").output)
    assert found["id"] == job_id(1)
    assert found["error"] == "mailbox 1\nis \x1b[31mfull"
    assert "payload" not in found


def test_failed_shows_all_about_one(run: Run, manager: QueueManager) -> None:
    fail(manager, 1)
    assert "Traceback …" in run("failed", job_id(1)).output
    assert json.loads(run("failed", job_id(1), "--json").output)["payload"]["data"] == {"mail": 7}


def test_a_failed_job_nobody_knows_is_an_error(run: Run) -> None:
    result = run("failed", "abc")
    assert result.exit_code == 1
    assert "There is no failed job 'abc'." in result.output


def test_forget_deletes_and_says_what_was_not_there(run: Run, manager: QueueManager) -> None:
    """K83."""
    fail(manager, 1)
    result = run("forget", job_id(1), "abc")
    assert result.exit_code == 1
    assert "1 failed job deleted." in result.output
    assert manager.failed.all() == []


def test_flush_deletes_what_is_old_enough(run: Run, manager: QueueManager) -> None:
    fail(manager, 1, hours=30)
    fail(manager, 2, hours=1)
    assert run("flush", "--hours", "24").output == "1 failed job deleted.\n"
    assert run("flush").output == "1 failed job deleted.\n"
    assert run("flush", "--hours", "-1").exit_code == 2


# ---- what the store is asked for ----


def ids(result: Result) -> list[str]:
    return [found["id"] for found in json.loads(result.output)]


@pytest.mark.parametrize(
    ("arguments", "numbers"),
    [
        ([], [1, 2, 3]),
        (["--queue", "mails"], [2]),
        (["--job", "Report"], [3]),
        (["--tenant", "acme"], [1]),
        (["--tag", "vip"], [3]),
        (["--error", "MAILBOX 2"], [2]),
        (["--since", "2h"], [1]),
        (["--until", "2h"], [2, 3]),
        (["--since", "2025-12-31T20:00", "--queue", "mails"], [2]),
        (["--connection", "other"], []),
    ],
)
def test_failed_jobs_are_filtered(
    run: Run, manager: QueueManager, arguments: list[str], numbers: list[int]
) -> None:
    """B15."""
    fail(manager, 1, tenant="acme")
    fail(manager, 2, queue="mails", hours=3)
    fail(manager, 3, job="Report", hours=4, tags=("vip",))
    assert ids(run("failed", "--json", *arguments)) == [job_id(number) for number in numbers]
    assert run("failed", "--count", *arguments).output == f"{len(numbers)}\n"


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["--since", "yesterday"], 2, "'yesterday' is neither an age (30m, 2h, 7d) nor a date"),
        (["--error", "%"], 2, "'%' has no word: errors are found by letters and digits"),
        (
            ["--error", " ".join(map(str, range(1_100)))],
            2,
            "1100 words are looked for at once: 16 are the most",
        ),
        (["--group", "xyz"], 1, "'xyz' is no fingerprint: give at least 4"),
        (["--group", "0000"], 1, "There is no group of failed jobs '0000'"),
        (["--groups", "--count"], 2, "exclude each other"),
        ([job_id(1), "--groups"], 2, "exclude each other"),
    ],
)
def test_a_selection_that_is_none_is_an_error(
    run: Run, arguments: list[str], code: int, problem: str
) -> None:
    result = run("failed", *arguments)
    assert result.exit_code == code
    assert problem in result.output


def test_a_group_may_be_named_by_its_first_digits(run: Run, manager: QueueManager) -> None:
    """B14."""
    fail(manager, 1)
    fail(manager, 2, error="no such person")
    found = json.loads(run("failed", "--groups", "--json").output)
    assert [group["count"] for group in found] == [1, 1]
    name = found[0]["group"]
    assert ids(run("failed", "--json", "--group", name[:8].upper())) == [found[0]["newest"]]


def test_five_hundred_failures_of_three_causes_are_three_groups(
    run: Run, manager: QueueManager
) -> None:
    """B14."""
    for number in range(500):
        match number % 5:
            case 0 | 1 | 2:
                error, kind = f"timeout after {number}.5 s at 10.0.0.{number}:5432", "Timeout"
            case 3:
                error, kind = f"no person {number:032x}", "LookupError"
            case _:
                error, kind = f"cannot open /srv/{number}/list.csv", "OSError"
        fail(manager, number, error=error, error_type=kind)
    head, *groups = run("failed", "--groups").output.splitlines()
    assert head.split() == ["GROUP", "JOBS", "JOB", "FIRST", "LAST", "ERROR"]
    assert [line.split()[1] for line in groups] == ["300", "100", "100"]
    assert "There are more groups: --limit 4" in run("failed", "--groups", "--limit", "2").output


def test_failed_shows_what_happened_before(run: Run, manager: QueueManager) -> None:
    """C82."""
    fail(manager, 1, tags=("vip", "big"))
    fail(manager, 1, attempts=4, error="again", tags=("vip", "big"))
    shown = run("failed", job_id(1)).output
    assert "tags         vip, big" in shown
    assert "attempt 3: smtplib.SMTPException: mailbox 1 is [31mfull" in shown
    assert "\x1b" not in shown
    failures = json.loads(run("failed", job_id(1), "--json").output)["failures"]
    assert [one["attempts"] for one in failures] == [3, 4]


def test_forget_takes_a_selection_after_asking(run: Run, manager: QueueManager) -> None:
    """B14."""
    for number in (1, 2):
        fail(manager, number, queue="mails")
    fail(manager, 3)
    assert run("forget", "--queue", "mails", typed="n\n").exit_code == 1
    assert manager.failed.count() == 3
    assert "2 failed jobs deleted." in run("forget", "--queue", "mails", "--force").output
    assert manager.failed.count() == 1
    assert run("forget").exit_code == 2
    assert run("forget", job_id(3), "--queue", "mails").exit_code == 2


def test_prune_failed_deletes_what_is_older_than_a_day(run: Run, manager: QueueManager) -> None:
    """K83."""
    fail(manager, 1, hours=25)
    fail(manager, 2, hours=1)
    assert run("prune-failed").output == "1 failed job older than 24 h deleted.\n"
    assert (
        run("prune-failed", "--hours", "0.5").output == "1 failed job older than 0.5 h deleted.\n"
    )


def test_a_store_that_keeps_nothing_cannot_be_pruned() -> None:
    """K83."""
    manager = QueueManager("sync", {"sync": {"driver": "sync"}})
    group: click.Group = build_group(lambda: manager)
    result = CliRunner().invoke(group, ["prune-failed"])
    assert result.exit_code == 1
    assert "keeps nothing, so there is nothing to prune" in result.output


def test_people_read_the_name_that_a_job_gave_itself(run: Run, manager: QueueManager) -> None:
    """K76."""
    payload = b'{"v":1,"job":"SendMail","at":0,"o":{"display_name":"Invite Ann"}}'
    fail(manager, 1, payload=payload)
    fail(manager, 2, payload=b"no payload")
    [_, first, second] = run("failed").output.splitlines()
    assert "Invite Ann" in first
    assert "SendMail" in second
    assert "display name Invite Ann" in run("failed", job_id(1)).output
    assert [job["job"] for job in json.loads(run("failed", "--json").output)] == ["SendMail"] * 2
