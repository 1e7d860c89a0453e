"""What a local platform says before it changes anything, when it could not run."""

import json
import socket
from pathlib import Path

import pytest

from meet2be.config import Settings
from meet2be.local.commands import local_platform, start_and_tell
from meet2be.local.environment import LocalPlatform, free_port
from meet2be.local.preconditions import StackError, alone, check_folder, check_ports
from meet2be.local.stack import LocalStack


def platform(var: Path, **taken: int) -> LocalPlatform:
    names = ("web_port", "provider_port", "mail_port", "mail_control_port")
    return LocalPlatform(var=var, **{name: free_port() for name in names} | taken)


@pytest.mark.parametrize("name", ["with blank", "100%", 'quo"te', "semi;colon"])
def test_a_folder_that_supervisor_cannot_take_is_refused(name: str) -> None:
    with pytest.raises(StackError, match=r"in its name.*set VAR_DIR to another one"):
        check_folder(Path("/somewhere") / name)


def test_a_folder_too_deep_for_sockets_is_refused_by_its_bytes() -> None:
    check_folder(Path("/short"))
    with pytest.raises(StackError, match=r"too deep for unix sockets \(115 bytes"):
        check_folder(Path("/" + "ü" * 49))


@pytest.mark.parametrize(
    ("port", "remedy"),
    [("web_port", "set WEB_PORT"), ("mail_port", "remove 'ports.json'")],
)
def test_a_port_that_another_program_has_is_named_with_what_to_do(
    tmp_path: Path, port: str, remedy: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        number = other.getsockname()[1]
        with pytest.raises(StackError, match=rf"port {number} .*in use.*{remedy}"):
            check_ports(platform(tmp_path, **{port: number}))
    check_ports(platform(tmp_path))


def test_only_one_holds_the_lock_and_a_second_is_told(tmp_path: Path) -> None:
    lock = tmp_path / "new" / "demo.lock"
    with (
        alone(lock, otherwise="never"),
        pytest.raises(StackError, match="a demo is under way"),
        alone(lock, otherwise="a demo is under way"),
    ):
        pytest.fail("two held it")
    with alone(lock):
        assert lock.exists()


def test_ports_stay_but_for_the_one_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settings(port: int) -> Settings:
        return Settings.from_env({"VAR_DIR": str(tmp_path), "WEB_PORT": str(port)})

    first, second = local_platform(settings(8101)), local_platform(settings(8102))
    assert (first.web_port, second.web_port) == (8101, 8102)
    assert first.provider_port == second.provider_port
    assert json.loads((tmp_path / "ports.json").read_text())["web_port"] == 8102

    monkeypatch.setattr(LocalStack, "is_running", True)
    assert local_platform(settings(8103)).web_port == 8102


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"provider_port": "x"}', "'provider_port' is \"x\", no port"),
        ('{"web_port": 70000}', "'web_port' is 70000, no port"),
        ("[1", "Expecting ',' delimiter"),
        ("[1]", "it holds [1]"),
        ("\xff", "can't decode byte"),
    ],
)
def test_a_damaged_file_of_ports_is_named_and_what_to_do(
    tmp_path: Path, text: str, why: str
) -> None:
    (tmp_path / "ports.json").write_text(text, "latin-1")
    with pytest.raises(StackError) as refused:
        local_platform(Settings.from_env({"VAR_DIR": str(tmp_path)}))
    assert f"the file '{tmp_path}/ports.json' is damaged" in str(refused.value)
    assert why in str(refused.value)
    assert (tmp_path / "ports.json").read_text("latin-1") == text


def test_up_says_that_it_keeps_its_own_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ports.json").write_text("[]")  # so that nothing is started
    for url, is_told in (("sqlite:////elsewhere/shop.sqlite", True), (" ", False)):
        environment = {"VAR_DIR": str(tmp_path), "DATABASE_URL": url}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(StackError):
            start_and_tell()
        assert ("DATABASE_URL is set but not used" in capsys.readouterr().out) is is_told
