"""`python3 dev.py test`: every test."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from devtools.places import ROOT, VENV, Word, python_of
from devtools.processes import signals
from devtools.processes.programs import run_in_front
from devtools.testing import tree_copy

# The folders of the longest files. What comes last should be short, because then workers have nothing else to do.
LONGEST_FIRST = ("e2e", "proof", "devhost", "replay")
PARALLEL = ("-n", "3", "--dist", "loadfile", "--no-loadscope-reorder")


def main(words: Sequence[str]) -> int:
    """Run all tests, a file at a time on three workers, because tests wait a lot; or the tests that arguments choose.

    They run in a copy of the tree, so that the tree can be edited meanwhile. The cache of pytest stays in the tree.
    """
    signals.listen()
    with tree_copy.copied(ROOT) as tree:
        chosen = tree_copy.arguments_in(tree, ROOT, words) or [*PARALLEL, *in_order(tree / "tests")]
        memory: list[Word] = ["-o", f"cache_dir={ROOT / '.pytest_cache'}"]
        command: list[Word] = [python_of(tree / VENV.name), "-m", "pytest", *memory, *chosen]
        return run_in_front(command, tree_copy.environment_in(ROOT, os.environ), tree)


def in_order(tests: Path) -> list[str]:
    """Every folder of the tests, in the order in which their files are begun."""
    folders = {folder.name for folder in tests.iterdir() if any(folder.rglob("test_*.py"))}
    first = [name for name in LONGEST_FIRST if name in folders]
    return [f"tests/{name}" for name in (*first, *sorted(folders - set(first)))]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
