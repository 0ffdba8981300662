"""The command line of `dev.py test`. Standard library alone, so that `--help` needs no set-up."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def parse(words: Sequence[str]) -> argparse.Namespace:
    """All but a help goes to pytest as it is."""
    parser = argparse.ArgumentParser(
        prog="dev.py test",
        usage="dev.py test [ARGUMENT OF PYTEST ...]",
        description="Run every test, in a copy of this folder; with arguments, what they choose.",
    )
    return parser.parse_known_args(words)[0]
