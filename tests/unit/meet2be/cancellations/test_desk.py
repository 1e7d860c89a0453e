"""What a cancellation works with."""

from dataclasses import fields

from jobs.send_mails import A_JOB
from meet2be.cancellations.context import Desk


def test_a_chunk_is_whole_rounds_of_the_threads_and_one_job_of_mails() -> None:
    default = {field.name: field.default for field in fields(Desk)}
    chunk, threads = default["chunk"], default["threads"]
    assert isinstance(chunk, int)
    assert isinstance(threads, int)
    assert chunk % threads == 0
    assert chunk <= A_JOB
