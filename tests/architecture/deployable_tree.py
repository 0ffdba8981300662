"""The tree that publishing uploads: the repository without what .funcignore names.

So `devhost`, `sandbox` and the tests are not there to be imported by mistake.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec

ROOT = Path(__file__).resolve().parents[2]


def copied_to(target: Path) -> Path:
    """Copy every file that would be uploaded into `target`, which need not exist; return it."""
    for path in _deployable():
        (target / path.parent).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, target / path)
    return target


def _deployable() -> Iterator[Path]:
    """Relative paths. .funcignore has the syntax of .gitignore."""
    ignored = GitIgnoreSpec.from_lines((ROOT / ".funcignore").read_text().splitlines())
    for folder, folders, files in os.walk(ROOT):
        here = Path(folder).relative_to(ROOT)
        folders[:] = [name for name in folders if not ignored.match_file(f"{here / name}/")]
        yield from (here / name for name in files if not ignored.match_file(here / name))
