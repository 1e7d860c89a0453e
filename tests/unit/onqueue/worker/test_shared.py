"""What a parent and its child tell each other without a word."""

from onqueue.worker.shared import Cut, Running, Shared

IDS = [f"{number:032x}" for number in range(5)]


def test_a_running_job_is_seen_with_all_it_is_about_until_it_ends() -> None:
    shared = Shared(8)
    [slot] = shared.slots
    slot.begin(7, IDS[1], 12.5, 60.0, 2, 1)
    assert slot.running() == Running(7, IDS[1], 12.5, 60.0, 2, 1)
    assert shared.running() == [slot.running()]
    slot.end()
    assert slot.running() is None
    assert shared.running() == []


def test_each_slot_has_a_job_of_its_own_that_outlives_what_is_held() -> None:
    shared = Shared(2, runners=3)
    shared.hold(IDS[:2])
    for number, slot in enumerate(shared.slots, 1):
        slot.begin(number, IDS[number], 1.0, 60.0, 0, 0)
    shared.hold(IDS[3:])
    shared.slots[1].end()
    assert [running.job_id for running in shared.running()] == [IDS[1], IDS[3]]


def test_what_was_recalled_cannot_be_claimed() -> None:
    shared = Shared(8)
    shared.hold(IDS)
    shared.claim(0)
    assert shared.unstarted
    with shared.lock:
        assert shared.recall() == IDS[1:]
        assert shared.recall() == []
    assert not shared.claim(1)
    assert not shared.unstarted


def test_how_many_come_yet_is_known_from_what_is_held() -> None:
    shared, left = Shared(8), []
    shared.hold(IDS)
    left.append(shared.left())
    shared.claim(0)
    left.append(shared.left())
    with shared.lock:
        shared.recall()
    assert [*left, shared.left()] == [5, 4, 0]


def test_new_jobs_can_be_claimed_after_a_recall() -> None:
    shared = Shared(8)
    shared.hold(IDS[:2])
    shared.claim(0)
    with shared.lock:
        shared.recall()
    shared.hold(IDS[2:])
    assert shared.claim(0)
    assert shared.unstarted


def test_nothing_is_recalled_when_everything_has_started() -> None:
    shared = Shared(8)
    shared.hold(IDS[:1])
    shared.claim(0)
    with shared.lock:
        assert shared.recall() == []


def test_a_cut_names_its_job() -> None:
    first, second = Shared(1, runners=2).slots
    second.cut(3, Cut.TIMEOUT)
    assert second.wanted_cut == (3, Cut.TIMEOUT)
    assert first.wanted_cut == (0, Cut.NONE)
