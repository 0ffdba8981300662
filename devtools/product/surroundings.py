"""The conditions of a start: free ports, and the settings of the app."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from devhost.settings import loads_with_comments
from devtools.places import LOOPBACK, ROOT, WINDOWS
from devtools.processes.ports import Ports, is_free
from devtools.trouble import Trouble
from services.settings import faults

TASK_HUB = "OrderSagaDev"


def refuse_taken_ports(wanted: Mapping[str, int]) -> None:
    taken = [f"{port} ({name})" for name, port in wanted.items() if not is_free(port)]
    if taken:
        ports, are = ("Port", "is") if len(taken) == 1 else ("Ports", "are")
        raise Trouble(
            f"{ports} {', '.join(taken)} {are} in use by another program: stop it, or use other ports with `--port P`."
        )


def wanted_ports(ports: Ports, with_host: bool) -> dict[str, int]:
    host = {"devhost": ports.host} if with_host else {}
    mail = {"payments": ports.payments, "SMTP": ports.smtp, "mail": ports.mail}
    return {**host, **mail, **{f"Azurite's {name}": getattr(ports, name) for name in ("blob", "queue", "table")}}


def environment_of_the_app(ports: Ports) -> dict[str, str]:
    """The settings for the app's host.

    The environment takes precedence over local.settings.json, and that over the example's values. But the addresses of
    the servers of `start` are always its own: otherwise an order could reach another storage account.
    """
    chosen = {
        **settings_in(ROOT / "local.settings.json.example"),
        **settings_in(ROOT / "local.settings.json"),
        **os.environ,
        **ports.settings(),
        "AzureFunctionsJobHost__extensions__durableTask__hubName": TASK_HUB,
        "PYTHONUNBUFFERED": "1",
    }
    # Some programs read one name first, some the other; on Windows both are one.
    direct = ",".join(filter(None, (chosen.get("no_proxy"), chosen.get("NO_PROXY"), LOOPBACK, "localhost")))
    return {**chosen, "NO_PROXY": direct} if WINDOWS else {**chosen, "NO_PROXY": direct, "no_proxy": direct}


def settings_in(file: Path) -> dict[str, str]:
    """The `Values` of a local.settings.json; none when there is no such file."""
    try:
        values = loads_with_comments(file.read_text(encoding="utf-8-sig"))["Values"]
        return {str(name): str(value) for name, value in values.items()}
    except FileNotFoundError:
        return {}
    except (RecursionError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Trouble(f"{file} is not JSON with an object of settings in `Values`: {error!r}.") from error


def refuse_wrong_settings(environment: Mapping[str, str]) -> None:
    """Check settings with the app's own table before any process starts. Raises Trouble with their faults."""
    wrong = faults(environment)
    if wrong:
        raise Trouble("\n".join(["these settings are wrong:", *wrong]))
