"""What ``meet2be up``, ``down`` and ``supervisor`` do and say."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import click

from meet2be.config import Settings, process_environment
from meet2be.config_variables import DATABASE_URL
from meet2be.db.migrating import upgrade
from meet2be.local.environment import ROOT, LocalPlatform, free_port
from meet2be.local.filling import fill_demo_event
from meet2be.local.preconditions import (
    SOCKET_NAME,
    StackError,
    alone,
    check_folder,
    check_ports,
)
from meet2be.local.seeding import DEMO_LOGINS, DEMO_PASSWORD, seed
from meet2be.local.stack import LocalStack

PORTS = "ports.json"
HIGHEST_PORT = 65_535
OWN_DATABASE = (
    "DATABASE_URL is set but not used: `meet2be up` keeps a database of its own in VAR_DIR."
)
CHOSEN_PORTS = ("provider_port", "mail_port", "mail_control_port")


def start_and_tell() -> None:
    """Start the platform of VAR_DIR and print where it is and who may log in.

    Raises ``StackError`` before anything is changed when it could not run here.
    """
    here = Settings.from_env()
    check_folder(here.var_dir)
    if process_environment().get(DATABASE_URL.name, "").strip():
        click.echo(OWN_DATABASE)
    with alone(here.var_dir / "up.lock"):
        platform = local_platform(here)
        people = _start(platform)
    click.echo(f"Meet2Be is up at {platform.base_url}")
    click.echo(f"Log in with one of these; the password is always: {DEMO_PASSWORD}")
    for login in DEMO_LOGINS:
        click.echo(f"  {login.email:<32} {login.role:<10} {login.organisation}")
    click.echo(
        f"The event 'Aurora Summit' has {people:,} attendees: cancel it as an administrator."
    )
    click.echo(f"What the mail server receives:  {platform.mail_control_url}/messages")
    click.echo("Stop it with:  make down")


def _start(platform: LocalPlatform) -> int:
    """Start what is not running and return how many people the demo's event has."""
    stack = LocalStack(platform)
    is_running = stack.is_running
    if not is_running:
        check_ports(platform)
    settings = Settings.from_env(process_environment() | platform.environment())
    upgrade(settings.database.owner_url)
    seed(settings)
    if not is_running:
        stack.start()
    return fill_demo_event(settings, platform)


def stop_and_tell() -> None:
    """Stop the platforms of VAR_DIR: the one of ``up`` and one that a demo left running."""
    var = Settings.from_env().var_dir
    stopped = [folder for folder in (var, var / "demo") if _stop(folder)]
    for folder in stopped:
        click.echo(f"Stopped the platform in '{folder}'.")
    if not stopped:
        click.echo("No platform is running here.")


def become_supervisor() -> NoReturn:
    """Replace this process by Supervisor with the production programs."""
    settings = Settings.from_env()
    environment = process_environment() | {
        "MEET2BE_ROOT": str(ROOT),
        "MEET2BE_VAR": str(settings.var_dir),
        "MEET2BE_BIN": str(Path(sys.executable).parent),
        "MEET2BE_BIND": f"{settings.web.host}:{settings.web.port}",
    }
    (settings.var_dir / "log").mkdir(parents=True, exist_ok=True)
    configuration = str(ROOT / "infra" / "supervisor" / "supervisord.conf")
    command = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", configuration]
    os.execve(sys.executable, command, environment)  # noqa: S606 - no shell, our interpreter


def local_platform(settings: Settings) -> LocalPlatform:
    """Return the platform that ``up`` keeps in VAR_DIR, on the ports it had before.

    One that is running has the web port it was started with, whatever WEB_PORT says now.
    """
    var = settings.var_dir
    known = var / PORTS
    ports = _known_ports(known)
    wanted = {name: ports.get(name) or free_port() for name in CHOSEN_PORTS}
    platform = LocalPlatform(var=var, web_port=settings.web.port, **wanted)
    if "web_port" in ports and LocalStack(platform).is_running:
        return replace(platform, web_port=ports["web_port"])
    draft = known.with_suffix(".new")
    draft.write_text(json.dumps(wanted | {"web_port": platform.web_port}), "ascii")
    draft.replace(known)
    return platform


def _known_ports(path: Path) -> dict[str, int]:
    """Return the ports that were written down; raises ``StackError`` when those cannot be read."""
    try:
        found = json.loads(path.read_text("ascii"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StackError(_unreadable(path, str(error))) from error
    if not isinstance(found, dict):
        raise StackError(_unreadable(path, f"it holds {json.dumps(found)[:100]}"))
    for name, port in found.items():
        if type(port) is not int or not 1 <= port <= HIGHEST_PORT:
            raise StackError(_unreadable(path, f"'{name}' is {json.dumps(port)[:100]}, no port"))
    return found


def _unreadable(path: Path, why: str) -> str:
    return f"the file '{path}' is damaged ({why}): remove it, and other ports are chosen"


def _stop(folder: Path) -> bool:
    if not (folder / SOCKET_NAME).exists():
        return False
    stack = LocalStack(LocalPlatform(folder, 0, 0, 0, 0))
    was_running = stack.is_running
    try:
        stack.stop()
    except StackError as error:
        raise click.ClickException(str(error)) from error
    return was_running
