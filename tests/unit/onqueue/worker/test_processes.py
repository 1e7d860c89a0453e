"""What the worker asks of Linux."""

import os
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from onqueue.worker.processes import be_patient

POLICY = 38
"""Where the scheduling policy stands behind the name in `stat`."""


def policy_in(stat: str) -> int:
    """Return the scheduling policy that such a file tells of."""
    return int(stat.rpartition(")")[2].split()[POLICY])


def of_subprocess() -> int:
    """Return the policy of a process that was started as most are."""
    ran = subprocess.run(["cat", "/proc/self/stat"], capture_output=True, check=True, text=True)
    return policy_in(ran.stdout)


def of_fork() -> int:
    """Return the policy of a copy of this process."""
    pid = os.fork()
    if not pid:
        os._exit(policy_in(Path("/proc/self/stat").read_text(encoding="ascii")))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def of_a_thread_of_the_job() -> int:
    """Return the policy of a process that a thread started which a job began."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(of_subprocess).result(60)


@pytest.mark.parametrize("start", [of_subprocess, of_fork, of_a_thread_of_the_job])
def test_what_a_patient_thread_starts_is_not_patient(start: Callable[[], int]) -> None:
    found: list[int] = []

    def serve() -> None:
        be_patient()
        found.append(os.sched_getscheduler(0))
        found.append(start())

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join(10)
    assert found == [os.SCHED_BATCH, os.SCHED_OTHER]
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
