"""The ports of the product's processes, and the free ports of this machine."""

from __future__ import annotations

import atexit
import random
import socket
from dataclasses import dataclass

from devtools.places import LOOPBACK, WINDOWS
from devtools.trouble import Trouble

# The sandbox signs its webhooks with this. It is no secret: only a local app accepts it.
WEBHOOK_SECRET = "whsec_sandbox"  # noqa: S105
# Azurite's account and key are the same on every machine: they are printed in Microsoft's documentation.
STORAGE_ACCOUNT = "devstoreaccount1"
STORAGE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
PORTS_IN_A_ROW = 7


@dataclass(frozen=True)
class Ports:
    """The port of each process, all on 127.0.0.1. The defaults are the well-known ports of these servers."""

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
        return cls(*range(port, port + PORTS_IN_A_ROW))

    @property
    def storage(self) -> tuple[int, int, int]:
        return self.blob, self.queue, self.table

    @property
    def storage_connection_string(self) -> str:
        """The whole string, because `UseDevelopmentStorage=true` means the well-known ports only."""
        endpoints = zip(("Blob", "Queue", "Table"), self.storage, strict=True)
        account = f"AccountName={STORAGE_ACCOUNT};AccountKey={STORAGE_KEY};"
        return f"DefaultEndpointsProtocol=http;{account}" + "".join(
            f"{name}Endpoint={address(port)}/{STORAGE_ACCOUNT};" for name, port in endpoints
        )

    @property
    def push_connection(self) -> str:
        """The sandbox's notification hub; its key is no secret, it only proves that requests are signed."""
        credentials = "SharedAccessKeyName=sandbox;SharedAccessKey=sandbox-push-key"
        return f"Endpoint={address(self.mail)};{credentials};EntityPath=orders"

    def settings(self) -> dict[str, str]:
        """The app's settings with the addresses of these processes."""
        return {
            "AzureWebJobsStorage": self.storage_connection_string,
            "STRIPE_API_KEY": "sk_test_sandbox",
            "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "STRIPE_API_BASE": address(self.payments),
            "SMTP_URL": address(self.smtp, "smtp"),
            "PUSH_CONNECTION": self.push_connection,
            "ALERT_WEBHOOK_URL": address(self.mail) + "/sandbox/alerts",
            "ALERT_WEBHOOK_SECRET": "sandbox-alert-secret",
        }


def address(port: int, scheme: str = "http") -> str:
    return f"{scheme}://{LOOPBACK}:{port}"


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        if not WINDOWS:  # there the option means the opposite: the port would be shared with its present owner
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def answers(port: int) -> bool:
    """Whether a server listens on the port."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


# Below 32768: a connection to a free port above may get the same port as its own, and answer itself.
BLOCKS = range(13000, 32000, 100)


def block_of_ports() -> range:
    """Ports that this process alone hands out, until it ends: it holds the port before them.

    A port that is only seen to be free is another's a moment later, if two processes look at the same time.
    """
    for first in random.sample(BLOCKS, len(BLOCKS)):
        holder = socket.socket()
        try:
            holder.bind((LOOPBACK, first))
        except OSError:
            holder.close()
            continue
        atexit.register(holder.close)
        return range(first + 1, first + BLOCKS.step)
    raise Trouble(f"No block of free ports was found between {BLOCKS.start} and {BLOCKS.stop}.")


def free_ports_in_a_row() -> int:
    """The first of as many as a product has."""
    while True:
        block = block_of_ports()
        for first in block[:-PORTS_IN_A_ROW:PORTS_IN_A_ROW]:
            if all(map(is_free, range(first, first + PORTS_IN_A_ROW))):
                return first
