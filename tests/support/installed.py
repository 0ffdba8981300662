"""What `python3 dev.py test` installs and `check` does not: a test that is run by hand may come before it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from devtools.places import Word
from devtools.processes.ports import Ports
from devtools.product.commands import azurite_command
from devtools.set_up import needs
from devtools.set_up.steps import Step


def installed_azurite(ports: Ports, location: Path | None) -> list[Word]:
    """The command of the storage emulator; without a location it keeps everything in memory.

    Fails the test if the emulator is missing, or older than what `devtools/azurite` names.
    """
    _demand(needs.AZURITE_PACKAGE, needs.AZURITE_PACKAGE.is_done())
    return azurite_command(ports, location)


def demand_worker_library() -> None:
    """Fails the test if this Python has no Azure worker library."""
    _demand(needs.WORKER, importlib.util.find_spec("azure_functions_runtime") is not None)


def _demand(step: Step, installed: bool) -> None:
    if not installed:
        pytest.fail(
            f"This test needs {step.name}, which is not installed, or is not of the version that is named here: "
            "`python3 dev.py test` with the names of tests installs it and runs them.",
            pytrace=False,
        )
