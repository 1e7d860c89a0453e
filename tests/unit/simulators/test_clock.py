import pytest

from simulators.clock import SimulatedClock


def test_advancing_moves_the_simulated_time_and_not_the_wall_clock() -> None:
    clock = SimulatedClock()
    clock.advance(86_400)
    assert clock.now() - clock.wall() == pytest.approx(86_400, abs=1)
    assert clock.offset == 86_400


def test_the_clock_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="only goes forward; asked to advance by -1"):
        SimulatedClock().advance(-1)
