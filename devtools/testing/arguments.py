"""The command line of `dev.py test`. Standard library alone, so that `--help` needs no set-up."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The arguments for pytest, unchanged, unless they ask for help."""
    parser = argparse.ArgumentParser(
        prog="dev.py test",
        usage="dev.py test [ARGUMENT OF PYTEST ...]",
        description="Run every test, in a copy of this folder; with arguments, the tests that they choose.",
    )
    return parser.parse_known_args(words)[0]
