"""Whether devhost can serve the installed Durable SDK. Checked before any other import."""

import importlib.util
import sys
from importlib import metadata
from pathlib import Path

SDK = "azure-functions-durable"
EXECUTOR = Path("models", "TaskOrchestrationExecutor.py")


def unfit() -> str | None:
    """The fault of the installed SDK, in one sentence; None when devhost can serve it. The SDK is not imported."""
    way_out = f"install one with: {sys.executable} -m pip install '{SDK}<2'."
    azure = importlib.util.find_spec("azure")
    folders = [Path(each, "durable_functions") for each in (azure and azure.submodule_search_locations) or ()]
    installed = next((folder for folder in folders if folder.is_dir()), None)
    if installed is None:
        return f"devhost serves apps of {SDK} 1.x, and none is installed: {way_out}"
    version = _version()
    if version.partition(".")[0] not in ("1", "") or not (installed / EXECUTOR).exists():
        return f"devhost serves apps of {SDK} 1.x, and {version or 'another one'} is installed: {way_out}"
    return None


def _version() -> str:
    try:
        return metadata.version(SDK)
    except metadata.PackageNotFoundError:
        return ""
