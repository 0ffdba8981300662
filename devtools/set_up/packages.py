"""Finds installed packages that are gone: files can vanish from `.venv` or `node_modules` while the stamp stays.

After an installation the folders of each package are written to a list. A start checks that they all exist, which takes
a few milliseconds. Rejected: reading each package's own RECORD at every start (a tenth of a second), and asking pip,
which trusts a RECORD whose files are gone.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path


def write_list(environment: Path, file: Path) -> None:
    """Write the list of the installed packages of a virtual environment."""
    file.write_text(json.dumps(_installed(environment)), encoding="utf-8")


def gone(environment: Path, file: Path) -> list[str]:
    """The packages of the list that lack a folder or their record, by the record's name."""
    listed = _listed(file)
    if listed is None:
        return ["the list of packages"]
    return sorted(package for package, parts in listed.items() if not _is_whole(environment, parts))


def forget(environment: Path, packages: Sequence[str]) -> None:
    """Remove the records of these packages, so that pip installs them anew: it skips a package with a record."""
    for record in (folder / package for folder in sites(environment) for package in packages):
        shutil.rmtree(record, ignore_errors=True)


def gone_folders(environment: Path, folder: str) -> list[str]:
    """The folder of one package, if it is missing."""
    return [] if any((site / folder).is_dir() for site in sites(environment)) else [folder]


def gone_modules(project: Path) -> list[str]:
    """The packages that npm has installed in `node_modules` and that are missing now."""
    try:
        noted = json.loads((project / "node_modules/.package-lock.json").read_text(encoding="utf-8"))["packages"]
    except (OSError, ValueError, KeyError, TypeError):
        return ["npm's own list"]
    return sorted(path for path in noted if path and not os.path.isfile(project / path / "package.json"))  # noqa: PTH113


def sites(environment: Path) -> list[Path]:
    """The folders of an environment's packages, on Windows and elsewhere."""
    return [environment / "Lib/site-packages", *environment.glob("lib/python*/site-packages")]


def _is_whole(environment: Path, parts: Sequence[str]) -> bool:
    return all(os.path.exists(environment / part) for part in parts)  # noqa: PTH110 - a thousand of them at each start


def _listed(file: Path) -> Mapping[str, list[str]] | None:
    try:
        listed = json.loads(file.read_text(encoding="utf-8"))
        return {str(package): [str(part) for part in parts] for package, parts in listed.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return None


def _installed(environment: Path) -> dict[str, list[str]]:
    """The parts of each package, below the environment: its folders, and its modules outside of folders."""
    return {
        record.parent.name: sorted(_parts(environment, record))
        for site in sites(environment)
        for record in site.glob("*.dist-info/RECORD")
    }


def _parts(environment: Path, record: Path) -> set[str]:
    site = record.parent.parent
    with record.open(encoding="utf-8", newline="") as lines:
        files = [Path(line[0]) for line in csv.reader(lines) if line and "__pycache__" not in line[0]]
    inside = [file for file in files if file.parts[0] != ".." and not file.is_absolute()]
    parts = {site / (file.parent if len(file.parts) > 1 else file) for file in inside}
    return {str(part.relative_to(environment)) for part in parts if part.exists()}
