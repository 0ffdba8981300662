#!/usr/bin/env python3
"""The one entrance: every command of this project is a verb of this file.

    python3 dev.py start    the whole product on this machine, until Ctrl-C
    python3 dev.py demo     a tour with two orders, which checks what it shows
    python3 dev.py test     every test (arguments go to pytest)
    python3 dev.py check    format, lint, types and the fast tests

It needs Python 3.11 and nothing else, so it is one file of the standard library, and each verb first makes what it needs:
an environment in `.venv`, and Azurite under `azurite/node_modules`, run by the machine's own Node or by the one that
PyPI carries.

How it looks after processes:

1. One thread starts, watches and stops them. Signals only set a flag, which every wait looks at: an exception thrown by
   a signal handler can arrive between starting a process and noting that it was started.
2. Each child has a session of its own, so the terminal's Ctrl-C reaches this process alone, and children are stopped in
   order: whatever writes before Azurite, and Azurite by SIGTERM, for killing it loses its last five seconds of writes.
3. What is started dies with this process even when that is killed (Linux: a parent-death signal). Where the system has
   no such thing, the next start finds what was left over in a file of process ids. Each id is kept with the time its
   process began, so a number that the system has since given to somebody else's process is left alone.

Rejected: a process manager (one more thing to install), containers (the same), and Azurite through `npx` (it asks the
network at every start).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
AZURITE = ROOT / "azurite"
LOOPBACK = "127.0.0.1"
WINDOWS = os.name == "nt"
LINUX = sys.platform == "linux"
OLDEST_NODE = 20

# Azurite's account and key are the same on every machine: they are printed in Microsoft's documentation.
STORAGE_ACCOUNT = "devstoreaccount1"
STORAGE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class Trouble(Exception):
    """Something the person at the terminal can mend; the text is one clear sentence for them."""


# ---------------------------------------------------------------------------------------------------------------- ports


@dataclass(frozen=True)
class Ports:
    """Where each process listens, all on 127.0.0.1. The defaults are the ones everybody knows these servers by."""

    host: int = 7071
    payments: int = 12111
    smtp: int = 1025
    mail: int = 8025
    blob: int = 10000
    queue: int = 10001
    table: int = 10002

    @classmethod
    def counted_from(cls, port: int) -> Ports:
        """Seven ports in a row, so that several copies run side by side."""
        return cls(*range(port, port + 7))

    @property
    def storage(self) -> tuple[int, int, int]:
        return self.blob, self.queue, self.table

    @property
    def storage_connection_string(self) -> str:
        """In full, because `UseDevelopmentStorage=true` means the well-known ports and no others."""
        endpoints = zip(("Blob", "Queue", "Table"), self.storage, strict=True)
        return f"DefaultEndpointsProtocol=http;AccountName={STORAGE_ACCOUNT};AccountKey={STORAGE_KEY};" + "".join(
            f"{name}Endpoint={address(port)}/{STORAGE_ACCOUNT};" for name, port in endpoints
        )


def push_connection(ports: Ports) -> str:
    """The sandbox's notification hub; its key is no secret, it only proves that requests are signed."""
    credentials = "SharedAccessKeyName=sandbox;SharedAccessKey=sandbox-push-key"
    return f"Endpoint={address(ports.mail)};{credentials};EntityPath=orders"


def address(port: int, scheme: str = "http") -> str:
    return f"{scheme}://{LOOPBACK}:{port}"


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        if not WINDOWS:  # there the option means the opposite: it would share the port with whoever has it
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


# ------------------------------------------------------------------------------------------------------------ processes


def parent_death_signal(number: int) -> Callable[[], None] | None:
    """What a child runs before its program: ask Linux to send it `number` when this process is gone."""
    if not LINUX:
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask() -> None:
        prctl(1, number)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:  # it died before the request
            os.kill(os.getpid(), number)

    return ask


def launch(
    command: Sequence[str | Path],
    log: Path,
    environment: Mapping[str, str] | None = None,
    *,
    death: int = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, in the repository's root, writing to the end of `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        return subprocess.Popen(
            [str(word) for word in command],
            cwd=ROOT,
            env=None if environment is None else dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=not WINDOWS,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            preexec_fn=parent_death_signal(death),  # noqa: PLW1509 - safe: this process has one thread
        )


def python_of(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if WINDOWS else "bin/python")


def azurite_command(ports: Ports, location: Path | None) -> list[str | Path]:
    """How Azurite is run, here and in the tests; without a location it keeps everything in memory."""
    services = zip(("blob", "queue", "table"), ports.storage, strict=True)
    where = ["--inMemoryPersistence"] if location is None else ["--location", location]
    return [
        node(),
        AZURITE / "node_modules/azurite/dist/src/azurite.js",
        *("--silent", "--skipApiVersionCheck", "--disableTelemetry"),
        *where,
        *(word for name, port in services for word in (f"--{name}Host", LOOPBACK, f"--{name}Port", str(port))),
    ]


def payments_command(ports: Ports, data: Path) -> list[str | Path]:
    return [python_of(VENV), "-m", "sandbox.payments", "--port", str(ports.payments), "--data", data]


def mail_command(ports: Ports, data: Path) -> list[str | Path]:
    command = [python_of(VENV), "-m", "sandbox.mail", "--port", str(ports.mail)]
    return [*command, "--smtp-port", str(ports.smtp), "--data", data]


def node() -> Path:
    found = shutil.which("node")
    if found is None:
        raise Trouble("no Node")
    return Path(found)
