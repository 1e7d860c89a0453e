"""``make demo``: import, cancel through the pages, kill, export, count.

The exit code is the verdict.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from sqlalchemy import select

from demo.expectation import expectation_of
from demo.killer import Killer
from demo.office import Office
from demo.processor_time import processor_seconds
from demo.telling import Teller, office_table, result, table
from demo.verdict import Verdict, conclude, judge_mails, judge_refunds
from demo.visitor import Visitor
from meet2be.attendees.console import import_and_report
from meet2be.attendees.csv_rows import opened, rows_of
from meet2be.attendees.demo_list import DEMO_LIST
from meet2be.bootstrap import Services, bootstrap
from meet2be.config import Settings, process_environment
from meet2be.db.migrating import upgrade
from meet2be.errors import Meet2BeError
from meet2be.events.models import Event
from meet2be.local.environment import LocalPlatform, free_port
from meet2be.local.preconditions import alone
from meet2be.local.seeding import (
    AURORA,
    DEMO_EVENT,
    DEMO_LOGINS,
    DEMO_PASSWORD,
    SECOND_EVENT,
    seed,
)
from meet2be.local.stack import LocalStack
from meet2be.payments.queries import provider_payments
from onqueue.clock import SystemClock
from simulators.control import MailSinkControl, ProviderControl

ADMIN = next(login for login in DEMO_LOGINS if login.role == "admin")
LONGEST_RUN = 900.0
PAYMENTS_A_CALL = 1000
EXISTING_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
COUNT = click.IntRange(min=0)
ENDED = frozenset({"done", "done_with_errors", "aborted"})


@dataclass(frozen=True, slots=True)
class Options:
    """What can be varied; ``latency`` is in milliseconds."""

    file: Path
    kills: int
    latency: int
    seed: int
    keep: bool


class Demo:
    """One cancelled conference, from an empty folder to the verdict."""

    def __init__(self, options: Options, var: Path) -> None:
        """Work in ``var``, whose earlier content goes."""
        self.options = options
        self.clock = SystemClock()
        self.teller = Teller()
        self.platform = LocalPlatform(
            var=var,
            web_port=free_port(),
            provider_port=free_port(),
            mail_port=free_port(),
            mail_control_port=free_port(),
            latency=options.latency,
        )
        self.stack = LocalStack(self.platform)
        self.office: Office | None = None

    def run(self) -> bool:
        """Do it all and return whether everything is as it should be."""
        _check_list(self.options.file)
        self._clean()
        try:
            self._set_up()
            verdict = self._cancel_and_judge()
        finally:
            if self.office is not None:
                self.office.close()
            if self.options.keep and self.stack.is_running:
                self.teller.say(f"Left running at {self.platform.base_url} (make down stops it);")
                self.teller.say(f"log in as {ADMIN.email} with {DEMO_PASSWORD}")
            else:
                self.stack.stop()
        self._report(verdict)
        return verdict.is_good

    def _clean(self) -> None:
        if self.stack.is_running:
            self.teller.say("Stopping the platform of an earlier demo")
            self.stack.stop()
        shutil.rmtree(self.platform.var, ignore_errors=True)
        self.platform.var.mkdir(parents=True)

    def _set_up(self) -> None:
        self.settings = Settings.from_env(process_environment() | self.platform.environment())
        self.teller.say("Making the database and the demo's people")
        upgrade(self.settings.database.owner_url)
        seed(self.settings)
        self.teller.say("Starting Valkey, web, workers, relay, payment provider and mail server")
        self.stack.start()
        self.provider = ProviderControl(self.platform.provider_url)
        self.sink = MailSinkControl(self.platform.mail_control_url)
        services = bootstrap(self.settings)
        self.teller.say(f"Importing {self.options.file.name}")
        import_and_report(services, self.options.file, AURORA, DEMO_EVENT, 5)
        self._take_payments(services)
        services.close()

    def _take_payments(self, services: Services) -> None:
        """Let the provider have the payments that the imported orders were made with."""
        with services.database.system_session("demo: list payments", read_only=True) as session:
            event = session.scalars(select(Event).where(Event.slug == DEMO_EVENT)).one()
            self.event_uid, self.event_title = event.uid, event.title
            second = select(Event.uid).where(Event.slug == SECOND_EVENT)
            self.second_event_uid = session.scalars(second).one()
            payments = list(provider_payments(session, event))
        for start in range(0, len(payments), PAYMENTS_A_CALL):
            self.provider.create_payments(payments[start : start + PAYMENTS_A_CALL])
        self.refunded_before = {item["payment_intent"]: item["refunded"] for item in payments}
        self.teller.say(f"The provider holds {len(payments):,} payments")

    def _cancel_and_judge(self) -> Verdict:
        expected = expectation_of(self.options.file)
        verdict = Verdict(attendees=expected.attendees)
        verdict.not_refunded = dict(expected.not_refunded)
        verdict.without_address = expected.without_address
        visitor = Visitor(self.platform.base_url)
        self._log_in(visitor)
        office = Office(visitor, self.teller, self.stack.wait, free_port())
        self.office = office
        office.add_partner()
        self._confirm_cancellation(visitor)
        started, used = self.clock.monotonic(), processor_seconds(self.stack)
        progress = self._follow(visitor, verdict)
        verdict.seconds = self.clock.monotonic() - started
        if not verdict.workers_killed:  # what killed processes used is not to be had
            verdict.processor_ms = {
                program: round(1000 * (seconds - used[program]) / max(1, expected.attendees), 3)
                for program, seconds in processor_seconds(self.stack).items()
            }
        verdict.run_state = progress["state"]
        verdict.uncertain_refunds = progress["tracks"]["refund"]["uncertain"]
        verdict.uncertain_mails = progress["tracks"]["mail"]["uncertain"]
        judge_refunds(verdict, expected, self.provider.ledger(), self.refunded_before)
        judge_mails(verdict, expected, self.sink.messages())
        if verdict.workers_killed < self.options.kills:
            verdict.problems.append(f"only {verdict.workers_killed} workers could be killed")
        conclude(verdict)
        started = self.clock.monotonic()
        office.work(self.event_uid, expected.attendees, self.second_event_uid)
        office.verdict.seconds = self.clock.monotonic() - started
        verdict.problems += office.verdict.problems
        verdict.office = office.verdict
        return verdict

    def _log_in(self, visitor: Visitor) -> None:
        self.teller.say(f"Logging in as {ADMIN.email}")
        visitor.get("/login")
        visitor.submit("/login", email=ADMIN.email, password=DEMO_PASSWORD)

    def _confirm_cancellation(self, visitor: Visitor) -> None:
        """Do what an administrator does: preview, ask for the code, confirm."""
        self.teller.say("Asking for a preview of the cancellation")
        visitor.get("/events")
        visitor.get(visitor.link(f"/events/{self.event_uid}"))
        visitor.get(visitor.link("/cancel"))
        visitor.submit("/cancel")
        self.stack.wait(lambda: "/confirm" in visitor.get(visitor.url), 60, "the preview is shown")
        visitor.submit("/code")
        code = self._mailed_code()
        self.teller.say("Confirming with the event's name and the mailed code")
        visitor.submit("/confirm", event_name=self.event_title, code=code)

    def _mailed_code(self) -> str:
        self.stack.wait(
            lambda: bool(self.sink.messages(recipient=ADMIN.email)), 30, "the code was mailed"
        )
        newest = self.sink.messages(recipient=ADMIN.email)[-1]
        found = re.search(r"\b\d{8}\b", newest.subject)
        if found is None:
            message = f"the mail '{newest.subject}' holds no code"
            raise RuntimeError(message)
        return found.group()

    def _follow(self, visitor: Visitor, verdict: Verdict) -> dict[str, Any]:
        """Watch the run to its end and kill workers on the way; return the last progress."""
        address = f"{visitor.url}/progress.json"
        killer = Killer(self.stack, self.options.kills, self.options.seed)
        deadline = self.clock.monotonic() + LONGEST_RUN
        while True:
            progress = visitor.json(address)
            killer.watch(_share(progress))
            verdict.workers_killed = len(killer.done)
            self.teller.progress(_line(progress, killer))
            if progress["state"] in ENDED and not progress["tracks"]["mail"]["open"]:
                return progress
            if self.clock.monotonic() > deadline:
                verdict.problems.append(f"the run was not done after {LONGEST_RUN:.0f} s")
                return progress
            self.clock.sleep(0.25)

    def _report(self, verdict: Verdict) -> None:
        path = self.platform.var / "report.json"
        facts = {"seed": self.options.seed, "file": self.options.file.name, **verdict.as_json()}
        path.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
        self.teller.say("")
        self.teller.say(table(verdict, "EUR"))
        self.teller.say(office_table(verdict.office))
        self.teller.say(result(verdict))
        self.teller.say(f"The same as JSON: {path}   (kills repeat with SEED={self.options.seed})")


def _share(progress: dict[str, Any]) -> float:
    tracks = progress["tracks"].values()
    total = sum(track["total"] for track in tracks)
    return sum(track["done"] for track in tracks) / total if total else 0.0


def _line(progress: dict[str, Any], killer: Killer) -> str:
    tracks = progress["tracks"]
    parts = [f"{name} {track['done']:,}/{track['total']:,}" for name, track in tracks.items()]
    return (
        f"  {progress['state']:<10} {'   '.join(parts)}   killed {len(killer.done)}/{killer.kills}"
    )


def _check_list(file: Path) -> None:
    """Raise what is wrong with the file before anything is started."""
    with opened(file) as (name, content):
        next(rows_of(name, content), None)


def _end(signum: int, _frame: object) -> None:
    """End as an interruption does: what was started is stopped."""
    raise SystemExit(128 + signum)


@click.command()
@click.option("--file", type=EXISTING_FILE, default=DEMO_LIST, help="The attendee list.")
@click.option("--kills", type=COUNT, default=8, show_default=True, help="Workers to kill.")
@click.option(
    "--latency",
    type=COUNT,
    default=200,
    show_default=True,
    help="Milliseconds of a provider's call.",
)
@click.option("--seed", type=int, help="Repeat the kills of an earlier demo.")
@click.option("--keep", is_flag=True, help="Leave the platform running.")
def main(file: Path, kills: int, latency: int, seed: int | None, *, keep: bool) -> None:
    """Cancel a conference while its workers are killed; ends with 1 when anything is off."""
    for ending in (signal.SIGTERM, signal.SIGHUP):  # else the platform would be left running
        signal.signal(ending, _end)
    drawn = random.SystemRandom().randrange(10**6) if seed is None else seed
    options = Options(file.resolve(), kills, latency, drawn, keep)
    try:
        var = Settings.from_env().var_dir / "demo"
        with alone(var.with_name("demo.lock"), otherwise=f"a demo is under way in '{var}'"):
            is_good = Demo(options, var).run()
    except Meet2BeError as error:
        raise click.ClickException(str(error)) from error
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()
