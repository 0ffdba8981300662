"""A copy of the tree in which the tests run, so that the tree can be edited meanwhile.

The tests start the product from the files of their tree, some of them with `--watch`: an edit in the middle of a run
would change a half of it. The copy takes a tenth of a second. Installed packages are linked, and the caches of pytest
and hypothesis stay in the tree. Rejected: a worktree of git, which leaves out uncommitted changes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from devtools.places import VENV

LEFT_OUT = (".git", ".venv*", ".local", "node_modules", "__pycache__", ".*_cache", ".hypothesis")
LINKED = (VENV.name, "devtools/azurite/node_modules")


@contextlib.contextmanager
def copied(root: Path) -> Iterator[Path]:
    """The copy, for the length of a block. Where links are not allowed (Windows) it is the tree itself."""
    if os.name == "nt":
        yield root
        return
    with tempfile.TemporaryDirectory(prefix="order-saga-tests-", ignore_cleanup_errors=True) as folder:
        tree = Path(folder).resolve() / root.name
        shutil.copytree(root, tree, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
        for name in LINKED:
            (tree / name).symlink_to(root / name, target_is_directory=True)
        yield tree


def arguments_in(tree: Path, root: Path, words: Sequence[str]) -> list[str]:
    """Arguments of pytest that name files of the tree by their whole path, as names in the copy."""
    return [str(tree / Path(word).relative_to(root)) if word.startswith(f"{root}{os.sep}") else word for word in words]


def environment_in(root: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with which hypothesis keeps its examples in the tree, and compiled files go with the copy.

    Without compiled files each of the hundreds of processes that the tests start would compile the tree anew.
    """
    kept = {name: value for name, value in environment.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {"HYPOTHESIS_STORAGE_DIRECTORY": str(root / ".hypothesis"), **kept}
