"""Write infra/types.json: `.venv/bin/python -m devtools.azure_types FOLDER`.

FOLDER is an environment with msmcp-azure and pulumi-azure-native (`pip install --no-deps`: together half a gigabyte, so
it is not our environment). CONTRIBUTING.md says how to make it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from devtools.azure_types import digest, official
from devtools.azure_types.templates import Resource, resources


def main(words: list[str]) -> None:
    environment = Path(words[0])
    (packages,) = environment.glob("lib/python*/site-packages")
    uses: dict[str, list[Resource]] = {}
    for resource in resources():
        uses.setdefault(resource.type, []).append(resource)
    types = {name: digest.used_part(_official(environment, packages, name, some), some) for name, some in uses.items()}
    digest.save(types, {name: _version(packages, name) for name in ("msmcp-azure", "pulumi-azure-native")})


def _official(environment: Path, packages: Path, name: str, uses: list[Resource]) -> digest.Type:
    if name in official.PULUMI:
        return official.of_pulumi(packages / "pulumi_azure_native", name)
    return official.of_microsoft(environment / "bin" / "azmcp", name, {str(each.body.get("name")) for each in uses})


def _version(packages: Path, name: str) -> str:
    (folder,) = packages.glob(f"{name.replace('-', '_')}-*.dist-info")
    version = re.search(r"-([\d.]+)\.dist-info$", folder.name)
    assert version is not None
    return version[1]


if __name__ == "__main__":
    main(sys.argv[1:])
