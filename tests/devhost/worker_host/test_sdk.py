"""An SDK that devhost cannot serve is refused with one sentence, before anything of it is imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from devhost.worker_host.sdk_version import unfit
from tests.devhost.support.hosts import ROOT

SERVES = "devhost serves apps of azure-functions-durable 1.x, and "
WAY_OUT = f" installed: install one with: {sys.executable} -m pip install 'azure-functions-durable<2'.\n"


def installed(folder: Path, version: str, files: tuple[str, ...]) -> None:
    """A package of the SDK's name in a folder."""
    metadata = folder / f"azure_functions_durable-{version}.dist-info" / "METADATA"
    for file in (metadata, *(folder / "azure" / "durable_functions" / name for name in files)):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    metadata.write_text(f"Metadata-Version: 2.1\nName: azure-functions-durable\nVersion: {version}\n")


def outcome(*options: str, path: str = "") -> tuple[int, str]:
    """How `python -m devhost` ends with a path of modules, and what it prints."""
    command = [sys.executable, *options, "-m", "devhost", "--app", "nowhere"]
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("version", ["2.0.0", "2.0.0b2", "2.1.0rc1", "10.0"])
def test_another_version_is_refused_in_one_sentence(tmp_path: Path, version: str) -> None:
    installed(tmp_path, version, ("__init__.py", "client.py"))
    assert outcome(path=str(tmp_path)) == (1, f"{SERVES}{version} is{WAY_OUT}")


def test_an_sdk_of_another_shape_is_refused_in_one_sentence(tmp_path: Path) -> None:
    installed(tmp_path, "1.99.0", ("__init__.py",))
    assert outcome(path=str(tmp_path)) == (1, f"{SERVES}1.99.0 is{WAY_OUT}")


def test_a_python_without_the_sdk_is_refused_in_one_sentence() -> None:
    assert outcome("-S") == (1, f"{SERVES}none is{WAY_OUT}")


def test_the_one_that_is_installed_here_is_fit() -> None:
    assert unfit() is None
