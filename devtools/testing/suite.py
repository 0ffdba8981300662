"""`python3 dev.py test`: every test."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from devtools.places import ROOT, VENV, Word, python_of
from devtools.processes import signals
from devtools.processes.programs import run_in_front
from devtools.testing import tree_copy


def main(words: Sequence[str]) -> int:
    """Run all tests, a file at a time on three workers, because tests wait a lot; or the tests that arguments choose.

    They run in a copy of the tree, so that the tree can be edited meanwhile. The cache of pytest stays in the tree.
    """
    signals.listen()
    # In the order of the folders: by the number of their tests, the two longest files would come last.
    everything = ["-n", "3", "--dist", "loadfile", "--no-loadscope-reorder"]
    with tree_copy.copied(ROOT) as tree:
        chosen = tree_copy.arguments_in(tree, ROOT, words) or everything
        memory: list[Word] = ["-o", f"cache_dir={ROOT / '.pytest_cache'}"]
        command: list[Word] = [python_of(tree / VENV.name), "-m", "pytest", *memory, *chosen]
        return run_in_front(command, tree_copy.environment_in(ROOT, os.environ), tree)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
