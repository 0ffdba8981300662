"""The commands of the processes beside the host, for `start` and for the tests."""

from __future__ import annotations

from pathlib import Path

from devtools.places import AZURITE, LOOPBACK, Word
from devtools.processes.ports import WEBHOOK_SECRET, Ports, address
from devtools.set_up.node import OLDEST_NODE, node_and_npm
from devtools.trouble import Trouble


def azurite_command(ports: Ports, location: Path | None) -> list[Word]:
    """The command of Azurite, for `start` and for the tests; without a location it keeps everything in memory."""
    programs = node_and_npm()
    if programs is None:
        raise Trouble(f"There is no Node {OLDEST_NODE} or later to run Azurite: `python3 dev.py test` installs one.")
    listening: list[Word] = []
    for service, port in zip(("blob", "queue", "table"), ports.storage, strict=True):
        listening += [f"--{service}Host", LOOPBACK, f"--{service}Port", str(port)]
    return [
        *(programs[0], "--require", AZURITE / "rows-by-key.cjs"),
        AZURITE / "node_modules/azurite/dist/src/azurite.js",
        *("--silent", "--skipApiVersionCheck", "--disableTelemetry"),
        *(["--inMemoryPersistence"] if location is None else ["--location", location]),
        *listening,
    ]


def payments_command(python: Word, ports: Ports, data: Path) -> list[Word]:
    command: list[Word] = [python, "-m", "sandbox.payments", "--port", str(ports.payments), "--data", data]
    webhooks = f"{address(ports.host)}/api/webhooks/stripe"
    return [*command, "--webhook-url", webhooks, "--webhook-secret", WEBHOOK_SECRET]


def mail_command(python: Word, ports: Ports, data: Path) -> list[Word]:
    listening = ["--port", str(ports.mail), "--smtp-port", str(ports.smtp)]
    return [python, "-m", "sandbox.mail", *listening, "--data", data]
