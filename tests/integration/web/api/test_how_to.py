"""The page about the API: its Python and its curl commands run against the application."""

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from support.api import Program, program
from support.pages import HOW_TO, blocks
from support.stage import Stage

PAGE = HOW_TO / "use-the-api.md"


@pytest.fixture
def address(stage: Stage) -> Iterator[str]:
    """The application behind a port."""
    server = make_server("127.0.0.1", 0, stage.web.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def admin(stage: Stage) -> Program:
    """A program of an admin."""
    return program(stage.web, stage.conference.tenant)


def test_the_python_of_the_page_runs(
    address: str, admin: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    page: dict[str, object] = {"base": address, "token": admin.token}
    for block in blocks(PAGE, "python"):
        exec(block, page)  # noqa: S102 - our own page
    said = capsys.readouterr().out
    assert "Aurora Summit" in said and "EUR" in said
    page["client"].session.close()  # type: ignore[attr-defined]


def test_the_commands_of_the_page_run(
    stage: Stage, address: str, admin: Program, tmp_path: Path
) -> None:
    known = {
        **os.environ,  # noqa: TID251 - the shell needs its PATH
        "BASE": address,
        "SECRET": admin.token,
        "EVENT": stage.conference.event.uid,
    }
    said = []
    for block in blocks(PAGE, "sh"):
        script = "MEET2BE=$BASE TOKEN=$SECRET\n" + "\n".join(
            line for line in block.splitlines() if not line.startswith("export ")
        )
        done = subprocess.run(
            ["bash", "-ec", script], env=known, cwd=tmp_path, capture_output=True, text=True,
            timeout=180, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    me, uploaded, problem = said
    assert admin.uid in me
    assert '"state":"uploaded"' in uploaded
    assert '"code": "invalid"' in problem
