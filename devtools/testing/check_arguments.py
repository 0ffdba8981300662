"""The command line of `dev.py check`. Standard library alone, so that `--help` needs no set-up."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py check", description="Check format, lint, types and the fast tests.")
    parser.add_argument("--tests", action="store_true", help="the fast tests only, as on a second Python")
    return parser.parse_args(words)
