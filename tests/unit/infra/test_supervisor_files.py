"""Supervisor's files against what the workers and jobs need."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

import jobs
from meet2be.queueing import CONNECTIONS
from onqueue.registry import registered
from workers.__main__ import main as processes
from workers.pools import POOLS, Pool

ROOT = Path(__file__).resolve().parents[3]
SUPERVISOR = ROOT / "infra" / "supervisor"
PROGRAMS = sorted(SUPERVISOR.glob("programs/*.conf"))
LOCAL = sorted(SUPERVISOR.glob("local/*.conf"))


def program(file: Path) -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(file, "utf-8")
    return parser[f"program:{file.stem}"]


@pytest.mark.parametrize("file", PROGRAMS + LOCAL, ids=lambda file: file.stem)
def test_a_program_is_stopped_and_killed_as_a_group_and_logs_with_rotation(file: Path) -> None:
    settings = program(file)
    assert settings["stopasgroup"] == settings["killasgroup"] == "true"
    assert settings["stopsignal"] == "TERM"
    assert settings["autorestart"] == "true"
    assert settings["stdout_logfile_maxbytes"] == "10MB"
    assert int(settings["stdout_logfile_backups"]) >= 1
    assert settings["directory"] == "%(ENV_MEET2BE_ROOT)s"


@pytest.mark.parametrize("pool", POOLS, ids=lambda pool: pool.name)
def test_each_pool_has_its_program_with_the_same_queues_and_processes(pool: Pool) -> None:
    settings = program(SUPERVISOR / "programs" / f"{pool.name}.conf")
    assert settings["command"].endswith(f"/python {pool.command}")
    assert int(settings["numprocs"]) == pool.processes
    assert int(settings["stopwaitsecs"]) == pool.stop_wait > pool.timeout


def test_there_is_no_worker_program_without_a_pool() -> None:
    assert {file.stem for file in PROGRAMS if file.stem.startswith("worker-")} == {
        pool.name for pool in POOLS
    }


def test_no_job_may_run_longer_than_the_pools_that_serve_its_queue_wait_for_it() -> None:
    jobs.register()
    ours = [job for _, job in registered() if job.__module__.startswith("jobs.")]
    assert ours
    for job in ours:
        serving = [
            pool for pool in POOLS if pool.connection == job.connection and job.queue in pool.queues
        ]
        assert serving, f"nobody serves '{job.connection}:{job.queue}' of {job.__name__}"
        assert isinstance(job.timeout, int), f"{job.__name__}: this test compares plain seconds"
        assert all(job.timeout <= pool.timeout for pool in serving), job.__name__


def test_every_pool_serves_a_connection_that_exists_and_waits_longer_than_its_jobs() -> None:
    for pool in POOLS:
        assert pool.connection in CONNECTIONS


def test_the_cancellations_connection_outwaits_the_longest_cancellation() -> None:
    assert CONNECTIONS["redis-cancellations"]["retry_after"] == 18_060
    longest = max(pool.timeout for pool in POOLS if pool.connection == "redis-cancellations")
    assert longest == 18_000


@pytest.mark.parametrize("name", ["supervisord.conf", "local.conf"])
def test_supervisor_itself_is_open_to_its_owner_only_and_on_no_port(name: str) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(SUPERVISOR / name, "utf-8")
    assert parser["unix_http_server"]["chmod"] == "0700"
    assert "inet_http_server" not in parser
    assert parser["supervisord"]["logfile_maxbytes"] == "10MB"


def test_simulated_parts_are_in_no_production_file() -> None:
    for file in PROGRAMS:
        assert "simulators" not in file.read_text("utf-8")


@pytest.mark.parametrize("file", PROGRAMS, ids=lambda file: file.stem)
def test_a_program_of_ours_is_one_that_workers_offers(file: Path) -> None:
    _, ours, command = program(file)["command"].partition(" -m workers ")
    if ours:
        assert command.split()[0] in processes.commands
