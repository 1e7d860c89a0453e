"""The embedded Valkey: private, durable, and clear about why it cannot start."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from meet2be.local.valkey import LocalServerError, ValkeyServer
from support.servers import short_directory
from support.waiting import eventually


@pytest.fixture
def place() -> Iterator[Path]:
    directory = short_directory()
    yield directory / "valkey"
    shutil.rmtree(directory)


@pytest.fixture
def server(place: Path) -> Iterator[ValkeyServer]:
    with ValkeyServer(place) as server:
        yield server


def client(server: ValkeyServer) -> redis.Redis:
    return redis.Redis.from_url(server.url, decode_responses=True, single_connection_client=True)


def test_it_is_open_to_its_owner_only(server: ValkeyServer) -> None:
    assert stat.S_IMODE(server.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(server.socket.stat().st_mode) == 0o700
    with client(server) as connection:
        settings = connection.config_get("*")
    assert settings["port"] == "0"
    assert settings["maxmemory-policy"] == "noeviction"


def test_what_was_answered_survives_a_kill(server: ValkeyServer) -> None:
    with client(server) as connection:
        assert connection.config_get("appendfsync") == {"appendfsync": "always"}
        for number in range(100):
            connection.rpush("jobs", number)
    server.kill()
    assert server.pid is None
    assert server.socket.exists(), "a kill should have left its socket behind"

    server.start()
    with client(server) as connection:
        assert connection.lrange("jobs", 0, -1) == [str(number) for number in range(100)]


def test_a_half_written_last_command_does_not_stop_it(server: ValkeyServer) -> None:
    with client(server) as connection:
        connection.set("whole", "yes")
    server.kill()
    journal = max(server.directory.glob("appendonlydir/*.incr.aof"))
    with journal.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$4\r\nha")

    server.start()
    with client(server) as connection:
        assert connection.keys() == ["whole"]


def test_a_second_one_on_the_same_directory_is_refused(server: ValkeyServer) -> None:
    with pytest.raises(LocalServerError, match=f"Another Valkey is using '{server.directory}'"):
        ValkeyServer(server.directory).start()
    assert server.answers()


def test_starting_it_twice_is_refused(server: ValkeyServer) -> None:
    with pytest.raises(LocalServerError, match="was started already"):
        server.start()


def test_a_directory_that_others_can_enter_is_refused(place: Path) -> None:
    place.mkdir(mode=0o755)
    with pytest.raises(LocalServerError, match=r"mode 0755.*chmod 0700"):
        ValkeyServer(place).start()
    assert list(place.iterdir()) == []


def test_a_path_too_long_for_a_socket_is_refused(place: Path) -> None:
    with pytest.raises(LocalServerError, match="VAR_DIR"):
        ValkeyServer(place / ("x" * 100)).start()
    assert not place.exists()


def test_the_log_s_end_is_told_when_it_cannot_start(place: Path) -> None:
    server = ValkeyServer(place, maxmemory="plenty")
    with pytest.raises(LocalServerError, match=r"(?s)ended with code 1.*maxmemory"):
        server.start()
    assert server.pid is None


def test_one_that_never_answers_is_given_up_and_ended(place: Path) -> None:
    server = ValkeyServer(place, launcher=(sys.executable, "-c", "import time; time.sleep(60)"))
    with pytest.raises(LocalServerError, match=r"gave no answer for 0\.2 s"):
        server.start(within=0.2)
    assert server.pid is None


def test_it_ends_when_asked(server: ValkeyServer) -> None:
    pid = server.pid
    assert pid is not None
    server.stop()
    server.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not server.answers()


def test_a_socket_that_nobody_serves_is_no_answer(place: Path) -> None:
    place.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place / "valkey.sock"))
    server = ValkeyServer(place)
    assert not server.answers()
    with server:
        assert server.answers()


def test_in_the_foreground_it_is_the_process_that_was_started(place: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from meet2be.local.valkey import ValkeyServer;"
        "ValkeyServer(Path(sys.argv[1])).exec_foreground()"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(place)], stdout=subprocess.PIPE)
    watched = ValkeyServer(place)
    try:
        eventually(watched.answers)
        with client(watched) as connection:
            assert connection.info("server")["process_id"] == process.pid
        with pytest.raises(LocalServerError, match="Another Valkey"):
            watched.start()
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert b"Ready to accept connections" in output


def test_a_full_one_refuses_writes_and_evicts_nothing(place: Path) -> None:
    with ValkeyServer(place, maxmemory="3mb") as server, client(server) as connection:
        connection.set("first", "kept")

        def fill() -> None:
            for number in range(100):
                connection.set(f"filler:{number}", "x" * 100_000)

        with pytest.raises(redis.exceptions.OutOfMemoryError):
            fill()
        assert connection.get("first") == "kept"
