"""`python3 dev.py start`: the whole product on this machine, until Ctrl-C.

One thread starts, watches and stops the processes. They are stopped in order: Azurite last, after all that write to it,
and by SIGTERM, because a kill would lose its last five seconds of writes.

Rejected: a process manager (one more thing to install), containers (the same), and Azurite through `npx` (it asks the
network at every start).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from devtools.places import ROOT, SIGKILL, VENV, Word, python_of
from devtools.printing import say
from devtools.processes import signals
from devtools.processes.http import fetch, says_ok
from devtools.processes.lock import lock
from devtools.processes.ports import Ports, address, answers
from devtools.product import data_folder
from devtools.product.addresses import AddressesFile, advice_for_func, welcome
from devtools.product.arguments import parse
from devtools.product.children import Children
from devtools.product.commands import azurite_command, mail_command, payments_command
from devtools.product.left_overs import stop_left_overs
from devtools.product.surroundings import (
    environment_of_the_app,
    refuse_taken_ports,
    refuse_wrong_settings,
    wanted_ports,
)
from devtools.product.talk import Follower
from devtools.set_up.steps import run_logged
from devtools.trouble import Trouble


def main(words: Sequence[str]) -> int:
    arguments = parse(words)
    signals.listen()
    with contextlib.suppress(signals.Interrupted):
        _start(arguments)
    return 0


def _start(arguments: argparse.Namespace) -> None:
    data = Path(arguments.data).resolve()
    ports = Ports() if arguments.port is None else Ports.counted_from(arguments.port)
    data_folder.claim(data)
    with lock(data / "start.lock") as mine:
        if not mine:
            raise Trouble(
                f"Another `dev.py start` is running on {data}: stop it, or give this one its own `--data DIR` "
                "and `--port P`."
            )
        # First of all: the urls.json of a killed start would name servers that are gone.
        (data / "urls.json").unlink(missing_ok=True)
        stop_left_overs(data)
        refuse_taken_ports(wanted_ports(ports, arguments.host))
        if arguments.host:  # without devhost the settings are the real host's matter
            refuse_wrong_settings(environment_of_the_app(ports))
        os.umask(0o077)  # files written from here on are this user's alone
        names: list[Word] = [word for name in arguments.allow_host for word in ("--allow-host", name)]
        _serve(data, ports, arguments.host, names)


def _serve(data: Path, ports: Ports, with_host: bool, names: Sequence[Word]) -> None:
    """Never returns: raises Interrupted, or Trouble when a process ends. `names`: the words of `--allow-host`."""
    children = Children(data)
    urls, log = data / "urls.json", data / "logs" / "devhost.log"
    talk = Follower(log, log.stat().st_size if log.exists() else 0)
    try:
        environment = {**environment_of_the_app(ports), "DEVHOST_DATA": str(data)}
        for warning in data_folder.emptied(data):
            say(warning)
        data_folder.forget_drafts(data)
        _start_the_outside(children, ports, data, environment, names)
        seed: list[Word] = [python_of(VENV), "-m", "services.seed", ROOT / "catalogue.json"]
        run_logged("Writing the catalogue", seed, environment, data / "logs" / "seed.log")
        data_folder.mark_used(data)
        if with_host:
            _start_the_host(children, ports, environment, names)
        addresses_file = AddressesFile(urls, ports, children.pids())
        say(welcome(ports, data / "logs") if with_host else advice_for_func(ports, data / "logs"))
        children.watch(talk.news, addresses_file.update)
    finally:
        with contextlib.suppress(OSError):
            urls.unlink(missing_ok=True)
        children.stop()
        for line in (*talk.news(), *data_folder.unsaved(data)):
            say(line)
        say("Everything is stopped.")


def _start_the_outside(
    children: Children, ports: Ports, data: Path, environment: Mapping[str, str], names: Sequence[Word]
) -> None:
    say("Starting Azurite and the sandbox.")
    python, world = python_of(VENV), data / "sandbox"
    # Azurite saves its data on SIGTERM, so it gets that even when this process is killed.
    azurite = azurite_command(ports, data / "azurite")
    children.start("azurite", azurite, os.environ, death=signal.SIGTERM, grace=60)
    payments, mail = payments_command(python, ports, world), mail_command(python, ports, world)
    children.start("payments", [*payments, *names], environment, death=SIGKILL)
    children.start("mail", [*mail, *names], environment, death=SIGKILL)
    try:
        children.wait_for("azurite", lambda: all(map(answers, ports.storage)))
    except Trouble as ended:
        raise Trouble(data_folder.damaged(data) or str(ended)) from None
    children.wait_for("payments", lambda: says_ok(address(ports.payments) + "/sandbox/ledger"))
    children.wait_for("mail", lambda: says_ok(address(ports.mail) + "/sandbox/messages") and answers(ports.smtp))


def _start_the_host(children: Children, ports: Ports, environment: Mapping[str, str], names: Sequence[Word]) -> None:
    say("Starting devhost.")
    command: list[Word] = [python_of(VENV), "-m", "devhost", "--app", ROOT, "--port", str(ports.host), "--watch"]
    children.start("devhost", [*command, *names], environment, death=SIGKILL)
    children.wait_for("devhost", lambda: _is_ready(address(ports.host) + "/api/health"))


def _is_ready(health: str) -> bool:
    """Whether the app answers that it is well, or that only room on the disk is missing."""
    try:
        answer = fetch(health, patience=5)
    except OSError:
        return False
    return answer.status == 200 or (answer.status == 503 and b"DEVHOST_MIN_FREE_MB" in answer.body)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
